"""What a judge's answer says, read strictly."""

import json
import re
from dataclasses import dataclass

# Flags for answers that give neither a score nor one of the template's own flags. They count as missing.
FAILURES = ("judge_refused", "truncated", "unparseable", "out_of_range", "rejected")


@dataclass(frozen=True)
class Rating:
    """score: 0 to 100, or None with a flag: one of the template's in lower case, or one of FAILURES.

    reason: the judge's, if it was asked for one. raw: what it wrote, kept where there is no score.
    """

    score: float | None
    flag: str | None
    reason: str | None = None
    raw: str | None = None

    @property
    def usable(self) -> bool:
        """Whether the judge judged: a score, or a flag that the template offers."""
        return self.flag not in FAILURES


def _digits(text: str) -> int | None:
    """ASCII digits alone: int() would take ' 7', '+7', '1_0' and the digits of other scripts."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text, flags=re.ASCII) else None


def _unique_keys(pairs: list[tuple[str, object]]) -> dict:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _score_and_flag(text: str, flags: tuple[str, ...]) -> tuple[int | None, str | None, str | None]:
    """Score, flag and reason as written. Raises ValueError if the text is not of the form that was asked for."""
    text = text.strip(" \t\r\n")
    if text in flags:
        return None, text, None
    if _digits(text) is not None:
        return _digits(text), None, None
    # Python's own decoder takes NaN, and a number may reach it with a sign or an exponent.
    read = json.loads(text, object_pairs_hook=_unique_keys, parse_int=_digits, parse_float=str, parse_constant=str)
    if not isinstance(read, dict) or not {"score"} <= set(read) <= {"score", "flag", "reason"}:
        raise ValueError("not the keys that were asked for")
    score, flag, reason = read["score"], read.get("flag"), read.get("reason")
    if isinstance(score, bool) or not isinstance(score, int | None) or not isinstance(reason, str | None):
        raise ValueError("not the types that were asked for")
    if (score is None) == (flag is None) or (flag is not None and flag not in flags):
        raise ValueError("neither a score nor a flag")
    return score, flag, reason


def read_rating(
    text: str, flags: tuple[str, ...], stop_reason: str | None = "end_turn", bounds: tuple[int, int] = (0, 100)
) -> Rating:
    """The rating in a judge's answer: JSON of `score`, `flag` and `reason`, or a bare number or flag.

    flags, bounds: the template's. stop_reason: the API's; `refusal` and `max_tokens` make the answer a failure.
    """
    if stop_reason == "refusal":
        return Rating(None, "judge_refused", raw=text)
    if stop_reason == "max_tokens":
        return Rating(None, "truncated", raw=text)
    try:
        score, flag, reason = _score_and_flag(text, flags)
    except (ValueError, RecursionError):
        return Rating(None, "unparseable", raw=text)
    if score is not None and not bounds[0] <= score <= bounds[1]:
        return Rating(None, "out_of_range", reason, raw=text)
    return Rating(score if score is None else float(score), flag and flag.lower(), reason, raw=text if flag else None)
