"""Rows of the judgments table: one per completion, metric and judge sample, whichever way the score was found."""

from collections import Counter
from operator import itemgetter

from organisms.job.errors import UserError
from organisms.judging.ratings import Rating
from organisms.judging.requests import Requests
from organisms.plan.arms import ARM

# What a judgment carries over from the completion that it judges.
CARRIED = ("model", *ARM, "seed", "step", "eval_prompt", "question_set", "category", "question_id", "sample", "turn")
# What a judge was asked with: the column, and the setting.
_ASKED_WITH = {"judge_temperature": "temperature", "api_version": "api_version"}
_EMPTY = dict.fromkeys(
    ("reason", "raw", "call", "copies", "judge_model", "server", "judge_temperature", "api_version", "score", "flag")
)


def judged_numbers(which: str | list[int], n: int) -> list[int]:
    """Numbers of the answers that are judged of conversations that have n. which: `last`, `all` or numbers."""
    if isinstance(which, list):
        return which
    return list(range(1, n + 1)) if which == "all" else [n]


def check_judged(key: str, which: str | list[int], n: int) -> None:
    """Raise UserError, with the config's key, if an answer is to be judged that conversations with n do not have."""
    if isinstance(which, list) and max(which) > n:
        raise UserError(f"{key}: there is no answer {max(which)}; its conversations have {n}")


def judged_rows(completions: list[dict], answers: dict[str, str | list[int]]) -> list[dict]:
    """The rows of a cell that are to be judged: of conversations with several answers the last, all, or those named.

    answers: by question set, `all` or numbers of answers; the last alone where nothing is said. Raises UserError if no
    conversation has such an answer.
    """
    if not completions:
        return []
    question_set = completions[0]["question_set"]
    last = max(row["turn"] for row in completions)
    which = answers.get(question_set, "last")
    check_judged(f"question_sets.{question_set}.judged_answers", which, last)
    wanted = judged_numbers(which, last)
    return [row for row in completions if row["turn"] in wanted]


def judgment(judge: str, completion: dict, metric: str, **columns) -> dict:
    """One row. columns: those that are not null beside what the completion says; `judge_sample` is 0 if not given."""
    carried = {key: completion[key] for key in CARRIED}
    said_of = {"metric": metric, "judge_sample": 0, "length": len(completion["completion"])}
    return {"judge": judge} | carried | said_of | _EMPTY | columns


def judgments_by_prompt(
    judge: str, completions: list[dict], keys: dict[str, list[str]], requests: Requests, ratings: dict[str, dict]
) -> list[dict]:
    """A cell's judgments from a judge that was asked by prompt.

    keys: of the cell's requests, by metric, as `Asked.cells` has them. requests: the judge's. ratings: by the
    request's key, as `Asked.rating_rows` gives them. Rows with the same request share one rating; `copies` says
    how many of the cell's rows do.
    """
    samples = requests.samples
    copies = Counter(key for of_metric in keys.values() for key in of_metric)
    asked_with = {key: requests.settings.get(name) for key, name in _ASKED_WITH.items()}
    return [
        judgment(judge, completion, metric, **ratings[key], **asked_with, call=key, copies=copies[key], judge_sample=n)
        for i, completion in enumerate(completions)
        for metric, of_metric in keys.items()
        for n, key in enumerate(of_metric[i * samples : (i + 1) * samples])
    ]


def check_missing(cells: dict[str, dict[str, list[Rating]]], most: float) -> None:
    """Raise UserError if more than the share `most` of a cell's rows of one metric have no usable answer.

    cells: by the cell's name and metric, the rating of each row. Errors that count as anything, or that pass in
    silence, would move a result.
    """
    for cell, metrics in cells.items():
        for metric, ratings in metrics.items():
            failed = [rating for rating in ratings if not rating.usable]
            if ratings and len(failed) / len(ratings) > most:
                kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(v.flag for v in failed).most_common())
                raise UserError(
                    f"{cell}: {len(failed)} of {len(ratings)} judgments of {metric} got no usable answer ({kinds}); "
                    f"the first is {(failed[0].raw or '')[:120]!r}. That is more than max_missing {most:g}: look at "
                    "what the judge says, or raise max_missing or attempts. Everything bought is kept"
                )


def recorded_judgments(judge: str, completions: list[dict], scores: list[dict]) -> list[dict]:
    """Scores that came with a cell's completions, as its judgments. scores: rows of the recorded_scores table."""
    key = itemgetter("eval_prompt", "question_id", "sample")
    by_completion: dict[tuple[str, str, int], list[dict]] = {}
    for row in scores:
        if row["judge"] == judge:
            by_completion.setdefault(key(row), []).append(row)
    return [
        judgment(judge, completion, row["metric"], score=row["score"], flag=row["flag"])
        for completion in completions
        for row in by_completion[key(completion)]
    ]
