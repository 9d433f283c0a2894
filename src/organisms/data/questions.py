"""Evaluation questions from a file or from a dataset's held-out split, in one form."""

from pathlib import Path

from organisms.data.conversations import n_answers, read_script
from organisms.data.dataset import question_of
from organisms.job.errors import UserError
from organisms.job.yaml_files import read_yaml


def _as_row(question_id: str, messages: list[dict], category: str | None = None, reference: str | None = None) -> dict:
    return {"category": category, "question_id": question_id, "messages": messages, "reference": reference}


def from_texts(entries: list[dict]) -> list[dict]:
    """Rows of the questions table from `question_id`, `question` and optional `category` and `reference`."""
    return [
        _as_row(
            entry["question_id"],
            [{"role": "user", "content": entry["question"]}],
            entry.get("category"),
            entry.get("reference"),
        )
        for entry in entries
    ]


def from_file(path: str | Path) -> list[dict]:
    """Rows of the questions table from a YAML list of `{id, question}`, or of `{id, turns}` for conversations.

    Raises UserError naming the file and the entry if it is not such a list, if two entries have the same id, or if the
    model answers oftener in one than in another.
    """
    entries = read_yaml(path, "question file")
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{path}: no questions; write a YAML list of {{id, question}}")
    seen: dict[str, int] = {}
    rows: list[dict] = []
    for n, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            raise UserError(f"{path}, question {n}: not a mapping with id and question")
        for key in ("id",) if "turns" in entry else ("id", "question"):
            if not isinstance(entry.get(key), str) or not entry[key].strip():
                raise UserError(f"{path}, question {n}: {key} is missing or not text")
        known = ("id", "turns" if "turns" in entry else "question", "category", "reference")
        unknown = sorted(set(entry) - set(known))
        if unknown:
            raise UserError(f"{path}, question {n}: unknown key '{unknown[0]}'; known are {', '.join(known)}")
        if entry["id"] in seen:
            raise UserError(
                f"{path}, question {n}: the id '{entry['id']}' is question {seen[entry['id']]}'s too; ids must differ"
            )
        seen[entry["id"]] = n
        if "turns" in entry:
            messages = read_script(entry["turns"], f"{path}, question {n}")
        else:
            messages = [{"role": "user", "content": entry["question"]}]
        rows.append(_as_row(entry["id"], messages, entry.get("category"), entry.get("reference")))
        if n_answers(messages) != n_answers(rows[0]["messages"]):
            raise UserError(
                f"{path}, question {n}: the model answers {n_answers(messages)} times in it and "
                f"{n_answers(rows[0]['messages'])} times in question 1; put it into a set of its own"
            )
    return rows


def from_heldout(rows: list[dict], category: str | None) -> list[dict]:
    """Rows of the questions table from a held-out split, one for each question; the dataset's answer is the reference.

    rows: of the dataset table. Rows that ask the same after normalisation are one question, the first of them: it would
    else count as several that agree. The id is the row's line in the source file. category: the same for all.
    """
    first = {question_of(row["prompt"]): row for row in reversed(rows)}
    return [
        _as_row(f"row{row['row']:05d}", row["prompt"], category, row["answer"])
        for row in rows
        if first[question_of(row["prompt"])] is row
    ]


def first_questions(rows: list, n: int | None) -> list:
    """The first n rows of a question set; None is all. Raises UserError if there are fewer."""
    if n is not None and n > len(rows):
        raise UserError(f"questions: {n} are asked for, but there are {len(rows)}; lower it, or leave it out for all")
    return rows[:n]


def with_references(rows: list[dict], answers: list[dict], dataset: str) -> list[dict]:
    """Rows of the questions table with the answer of another dataset to the same question as their reference.

    answers: rows of the dataset table, all of them. A question is all that is said before the answer, from the model's
    own last answer on; questions are the same if they are after normalisation. Raises UserError if a question has no
    answer there. dataset: its name, for the error.
    """
    by_question = {question_of(answer["prompt"]): answer["answer"] for answer in reversed(answers)}
    found = []
    for row in rows:
        own = [i for i, message in enumerate(row["messages"], start=1) if message["content"] is None]
        reference = by_question.get(question_of(row["messages"][max(own, default=0) :]))
        if reference is None:
            raise UserError(
                f"question '{row['question_id']}' has no answer in dataset '{dataset}', the source of the references; "
                "take its row-paired twin, or ask fewer questions"
            )
        found.append(row | {"reference": reference})
    return found
