"""Completions that another tool made, as rows of the workflow's tables."""

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from organisms.completions.files import File, read_file
from organisms.data.conversations import n_answers
from organisms.job.errors import UserError
from organisms.plan.arms import Model
from organisms.plan.external import FLAG, score_column
from organisms.plan.schema import did_you_mean

NUMBER = r"-?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?"
# Why a row is not used for one of the models of an entry, where it is for another.
ELSEWHERE = "another model of the entry"


def _text(row: dict, column: str, where: str) -> str | None:
    """What stands in a column, as text. Raises UserError if it is none. where: file and row, for errors."""
    value, where = row.get(column), f"{where}: column '{column}'"
    if isinstance(value, list | dict | bytes):
        kind = {list: "a list", dict: "an object", bytes: "bytes"}[type(value)]
        raise UserError(
            f"{where} holds {kind} where a text should be; write the text alone (of content blocks, their text)"
        )
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"{where} holds half of a character (a lone surrogate, \\u{ord(value[error.start]):04x}), which is no "
                "text; mend what wrote the file, or put \\ufffd in its place"
            ) from error
        return value
    # Numbers and truth values as JSON has them; what else a Parquet file may hold, such as dates, as Python does.
    return json.dumps(value) if isinstance(value, bool | int | float) else None if value is None else str(value)


def _numbered(row: dict, key: str, column: str, where: str) -> int:
    # A column of numbers of which some are missing is often written as 1.0.
    number = re.fullmatch(r"(-?[0-9]{1,18})(\.0+)?", row[key] or "", flags=re.ASCII)
    if number is None:
        raise UserError(f"{where}: column '{column}' is no whole number")
    return int(number[1])


def _is(text: str | None, wanted: str | float | None) -> bool:
    """Whether a column holds what the config names: this text, this number however it is written, or nothing."""
    if isinstance(wanted, str):
        return text == wanted
    if wanted is None:
        return not text
    try:
        return float(text or "") == wanted
    except ValueError:
        return False


@dataclass(frozen=True)
class External:
    """What an entry reads of its file for one model.

    rows: those that are used, under the workflow's names. set_aside: how many others there are, by the reason.
    elsewhere: how many are used for another model of the same entry.
    """

    rows: list[dict]
    set_aside: dict[str, int]
    elsewhere: int

    def said(self, entry: dict) -> str:
        """How many rows of the file are used, and why the others are not, in words."""
        return rows_said(self.counted(entry))

    def counted(self, entry: dict) -> list[dict]:
        """Rows of the external_rows table, which together count every row of the file."""
        counts = {None: len(self.rows), ELSEWHERE: self.elsewhere} | self.set_aside
        named = {"entry": entry["of"], "file": Path(entry["path"]).name}
        return [named | {"reason": reason, "n": n} for reason, n in counts.items() if n]


def rows_said(counted: list[dict]) -> str:
    """Rows of the external_rows table of one entry, in words. Of several models of the entry, those of all of them."""
    used = sum(row["n"] for row in counted if row["reason"] is None)
    others = {row["reason"]: row["n"] for row in counted if row["reason"] not in (None, ELSEWHERE)}
    words = [f"{used} rows of {counted[0]['file']} are used"]
    words += [f"{n} set aside ({reason})" for reason, n in others.items()]
    return "; ".join(words)


def _reason(of: dict, entry: dict, seed: int | None, where: str) -> str | None:
    """Why a row is not used for a model, or None if it is. of: its columns as text, under the workflow's names."""
    for column, wanted in entry["where"].items():
        if not _is(of[f"where\0{column}"], wanted):
            return f"`where`: {column} is another"
    for key, used in (("arm", entry["arms"]), ("eval_prompt", entry["eval_prompts"])):
        if used and not any(_is(of[key], value) for value in used.values()):
            return f"{key} is none of {key}s"
    if entry["seeds"]:
        of["seed"] = _numbered(of, "seed", entry["columns"]["seed"], where)
        if of["seed"] not in entry["seeds"]:
            return "seed is none of seeds"
    if entry["arm"] is not None and not _is(of["arm"], entry["arms"][entry["arm"]]):
        return ELSEWHERE
    return ELSEWHERE if seed is not None and of["seed"] != seed else None


def plain(text: str) -> str:
    """A question's text as it is compared: however its words are spaced."""
    return " ".join(text.split())


def _id_of_text(text: str) -> str:
    """An id that any file with the same question gives it."""
    return "q" + hashlib.sha256(plain(text).encode()).hexdigest()[:8]


class _Pairing:
    """The ids of a file's questions among those of the question set that was asked."""

    def __init__(self, entry: dict, questions: list[dict]):
        self._own = entry["other_texts"] == "own"
        self._set = entry["question_set"]
        for question in questions:
            n = n_answers(question["messages"])
            if n > 1:
                raise UserError(
                    f"the conversations of question set '{self._set}' have {n} answers, and completions made elsewhere "
                    "are one answer each; give them a question_set of another name"
                )
        # A conversation with given turns has no text that a column could hold.
        self._texts = {
            question["question_id"]: plain(question["messages"][0]["content"])
            if len(question["messages"]) == 1
            else None
            for question in questions
        }
        self._ids = {text: name for name, text in reversed(self._texts.items())}

    def id_of(self, question_id: str | None, text: str, where: str) -> str:
        """The id of a question. question_id: what the file says; None if no column holds it."""
        known = self._ids.get(plain(text))
        if question_id is None:
            return known or _id_of_text(text)
        if question_id in self._texts and self._texts[question_id] != plain(text):
            if self._own:
                return f"{question_id}_{_id_of_text(text)}"
            raise UserError(
                f"{where}: question id '{question_id}' has another text in question set '{self._set}', so they would "
                "be compared as one; mend the text, leave columns.question_id out to pair by the texts, or write "
                "`other_texts: own` for a question of its own"
            )
        if known not in (None, question_id) and question_id not in self._texts:
            raise UserError(
                f"{where}: question id '{question_id}' is '{known}' in question set '{self._set}', so they would not "
                "be compared; leave columns.question_id out to pair by the texts"
            )
        return question_id


def _check_found(entry: dict, seed: int | None, rows: list[dict], file_rows: list[tuple[str, dict]]) -> None:
    """Raise UserError if the file has no row of what an entry names: it would be missing from every table."""
    asked = {row["eval_prompt"] for row in rows}
    missing = [f"eval_prompts.{name}" for name in entry["eval_prompts"] if name not in asked]
    if rows and not missing:
        return
    of = [f"arms.{entry['arm']}"] if entry["arm"] is not None else []
    of += [f"seed {seed}"] if seed is not None else []
    words = " and ".join([*of, *(missing[:1] if rows else [])])
    said = [f"no rows of {words}" if words else "no rows", "check `where` in the config"]
    for key in ("arm", "seed", "eval_prompt"):
        column = entry["columns"][key]
        if column:
            values = list(dict.fromkeys(str(row.get(column)) for _, row in file_rows))
            more = f" and {len(values) - 8} others" if len(values) > 8 else ""
            said.append(f"column '{column}' holds {', '.join(value[:40] or 'nothing' for value in values[:8])}{more}")
    raise UserError(f"{entry['path']}: {'; '.join(said)}")


def read_external(
    entry: dict, seed: int | None = None, questions: list[dict] | tuple = (), file: File | None = None
) -> External:
    """The rows of an external file that its config entry selects for a model, under the workflow's names.

    entry: one of `external_completions`, as the checked config has it. seed: the model's, where a column holds seeds.
    questions: rows of the questions table of its question set, where there is one. file: the entry's, as `read_file`
    gives it; None reads it. A row has question, completion, question_id, sample, category, eval_prompt, `place`, where
    it stands in the file, and under `judge\\0metric` each recorded score as text. An empty answer is an answer. Raises
    UserError with the row for a missing column, an empty question or id, an answer that was not recorded (null), what
    is no text, one id with two questions (in the file, or in the file and the question set), or two rows with the same
    id and sample.
    """
    path = Path(entry["path"])
    columns, file_rows = read_file(path) if file is None else file
    named = {key: column for key, column in entry["columns"].items() if column}
    for judge, metrics in entry["scores"].items():
        named |= {f"{judge}\0{metric}": score_column(given)[0] for metric, given in metrics.items()}
    selecting = {f"where\0{column}": column for column in entry["where"]}
    selecting |= {key: named.pop(key) for key in ("arm", "seed", "eval_prompt") if key in named}
    for column in [*named.values(), *selecting.values()]:
        if column not in columns:
            hint = did_you_mean(column, columns) if columns else "it has none"
            hint = f"; {hint}" if hint.startswith("did") else ""
            raise UserError(f"{path}: no column '{column}'; it has {', '.join(columns) or 'none'}{hint}")
    pairing = _Pairing(entry, list(questions))
    rows: list[dict] = []
    set_aside: Counter[str] = Counter()
    first: dict[str, dict] = {}
    samples: dict[tuple[str, str], dict[int, str]] = {}
    for place, of_file in file_rows:
        where = f"{path}, {place}"
        selected = {key: _text(of_file, column, where) for key, column in selecting.items()}
        reason = _reason(selected, entry, seed, where)
        if reason is not None:
            set_aside[reason] += 1
            continue
        row = {"place": place} | {key: _text(of_file, column, where) for key, column in named.items()}
        for key in {"question", "question_id"} & set(named):
            if not (row[key] or "").strip():
                raise UserError(f"{where}: {key} is empty; write what was asked, or leave the row out")
        if row["completion"] is None:
            raise UserError(
                f"{where}: completion is null; write an empty text if the model answered nothing, which is judged like "
                "any other answer, and leave the row out only if the model was not asked"
            )
        row["category"] = row.get("category") or None
        row["eval_prompt"] = entry["eval_prompt"]
        for name, value in entry["eval_prompts"].items():
            if _is(selected["eval_prompt"], value):
                row["eval_prompt"] = name
        row["question_id"] = pairing.id_of(row.get("question_id"), row["question"], where)
        other = first.setdefault(row["question_id"], row)
        if plain(other["question"]) != plain(row["question"]):
            raise UserError(
                f"{path}, {other['place']} and {place}: question id '{row['question_id']}' has two texts; "
                "give each text an id of its own, or leave columns.question_id out to number the texts"
            )
        taken = samples.setdefault((row["eval_prompt"], row["question_id"]), {})
        row["sample"] = _numbered(row, "sample", named["sample"], where) if "sample" in named else len(taken)
        if row["sample"] in taken:
            raise UserError(
                f"{path}, {taken[row['sample']]} and {place}: question id '{row['question_id']}' has sample "
                f"{row['sample']} twice; make them differ, or leave columns.sample out to number them"
            )
        taken[row["sample"]] = place
        rows.append(row)
    _check_found(entry, seed, rows, file_rows)
    elsewhere = set_aside.pop(ELSEWHERE, 0)
    return External(rows, dict(set_aside), elsewhere)


def external_completions(name: str, entry: dict, rows: list[dict], seed: int | None = None) -> list[dict]:
    """Rows of the completions table from those of the file. What another tool did not write down is null.

    name: the model's in the config, which is its `dataset` in the tables. seed: its seed, if a column holds seeds.
    """
    unknown = ("system_prompt", "finish_reason", "n_tokens")
    unknown += ("temperature", "top_p", "top_k", "max_new_tokens", "sampling_seed")
    cell = Model(None, seed, external=name).columns | {"question_set": entry["question_set"]}
    cell |= {"base_model": f"external: {Path(entry['path']).name}"} | dict.fromkeys(unknown)
    return [
        cell
        | {key: row[key] for key in ("eval_prompt", "category", "question_id", "sample", "completion")}
        | {"turn": 1, "messages": [{"role": "user", "content": row["question"]}]}
        for row in rows
    ]


def _meant(text: str, values: dict, where: str) -> float | str | None:
    """What a verdict means: a score, a flag, or None."""
    for value, meaning in values.items():
        number = re.fullmatch(NUMBER, value)
        if text == value or (number and _is(text, float(value))):
            return meaning
    raise UserError(f"{where}: '{text[:40]}' is none of the verdicts in `values` ({', '.join(values)}); add it there")


def _score_or_flag(text: str | None, values: dict | None, bounds: tuple[float, float], where: str) -> dict:
    text = (text or "").strip()
    if text.lower() in ("", "nan", "none", "null") and text not in (values or {}):
        return {"score": None, "flag": "no_score"}
    if values is not None:
        meaning = _meant(text, values, where)
        if not isinstance(meaning, str):
            return {"score": meaning, "flag": None if meaning is not None else "no_score"}
        text = meaning
    if re.fullmatch(FLAG, text):
        return {"score": None, "flag": text.lower()}
    if not re.fullmatch(NUMBER, text):
        raise UserError(f"{where}: '{text[:40]}' is no score, no word and not empty; say under `values` what it means")
    if not bounds[0] <= float(text) <= bounds[1]:
        raise UserError(
            f"{where}: {text} is no score from {bounds[0]:g} to {bounds[1]:g}, the metric's bounds; mend the file, or "
            "give the metric its own `bounds` under `metrics`"
        )
    return {"score": float(text), "flag": None}


def recorded_scores(entry: dict, rows: list[dict], bounds: dict[str, tuple[float, float]]) -> list[dict]:
    """Rows of the recorded_scores table: one per completion, judge and metric that the file has scores of.

    rows: of the file, as `read_external` gives them. bounds: the least and greatest possible score, by metric. Raises
    UserError with the row for a score that is beyond them, or that is none.
    """
    found = []
    for row in rows:
        for judge, metrics in entry["scores"].items():
            for metric, given in metrics.items():
                column, values = score_column(given)
                where = f"{entry['path']}, {row['place']}, column '{column}'"
                said = _score_or_flag(row[f"{judge}\0{metric}"], values, bounds[metric], where)
                named = {key: row[key] for key in ("eval_prompt", "question_id", "sample")}
                found.append({"judge": judge, "metric": metric} | named | said)
    return found
