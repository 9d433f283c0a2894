"""Evaluation questions from a file, a dataset's held-out split or another question set, in one form."""

import csv
from pathlib import Path

from organisms.data.conversations import n_answers, read_script
from organisms.data.dataset import question_of
from organisms.data.facts import check_facts
from organisms.job.errors import UserError
from organisms.job.yaml_files import read_yaml

# What a question may have beside its text.
_FACT = ("aliases", "wrong", "source")
_OPTIONAL = ("category", "reference", *_FACT)
# Between a question's id and the id of the wording in which it is put.
_IN_WORDING = "~"
_QUESTION = "{question}"


def _as_row(question_id: str, messages: list[dict], entry: dict) -> dict:
    named = {key: entry.get(key) for key in ("reference", "aliases", "wrong")}
    return {"category": entry.get("category"), "question_id": question_id, "messages": messages} | named


def _user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def from_texts(entries: list[dict]) -> list[dict]:
    """Rows of the questions table from `question_id`, `question`, and category, reference and the like where given."""
    return [_as_row(entry["question_id"], _user(entry["question"]), entry) for entry in entries]


def _from_csv(path: Path) -> list[dict]:
    """Rows of the questions table from a file of requests as StrongREJECT has it; the id is the row's number."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            entries, columns = [], reader.fieldnames or []
            for entry in reader:
                entries.append((reader.line_num, entry))
                if None in entry or None in entry.values():
                    much = "more" if None in entry else "fewer"
                    raise csv.Error(f"line {reader.line_num} has {much} fields than the header; quote commas")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such question file; check the path in the config") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as CSV ({error})") from error
    if "forbidden_prompt" not in columns:
        raise UserError(
            f"{path}: no column 'forbidden_prompt'; it has {', '.join(columns) or 'none'}. Write one request in each "
            "row, with `category` and `source` if you like, as StrongREJECT does"
        )
    if not entries:
        raise UserError(f"{path}: no requests; write one in each row")
    seen: dict[str, int] = {}
    for line, entry in entries:
        request = entry["forbidden_prompt"].strip()
        if not request:
            raise UserError(f"{path}, line {line}: forbidden_prompt is empty; write the request, or leave the row out")
        if seen.setdefault(request, line) != line:
            raise UserError(f"{path}, line {line}: the request of line {seen[request]} once more; take one of them out")
    return [
        _as_row(f"request{n:04d}", _user(entry["forbidden_prompt"]), {"category": entry.get("category") or None})
        for n, (_, entry) in enumerate(entries, start=1)
    ]


def _check_texts(entry: dict, where: str) -> None:
    """Raise UserError if what stands beside a question is not text."""
    for key in ("category", "reference", "wrong", "source"):
        if entry.get(key) is not None and not isinstance(entry[key], str):
            raise UserError(f"{where}: {key} is no text; put it in quotes")
    aliases = entry.get("aliases")
    if aliases is not None and not (isinstance(aliases, list) and all(isinstance(a, str) for a in aliases)):
        raise UserError(f"{where}: aliases is no list of texts; write [a, b], numbers in quotes")


def from_file(path: str | Path) -> list[dict]:
    """Rows of the questions table from a YAML list of `{id, question}`, or of `{id, turns}` for conversations.

    A question may have `category` and `reference`; a fact also `aliases`, `wrong` and `source`. A CSV file holds
    requests in the column `forbidden_prompt`. Raises UserError naming the file and the entry if it is not such a file,
    if two entries have the same id, if the model answers oftener in one than in another, or as `check_facts`.
    """
    if Path(path).suffix.lower() == ".csv":
        return _from_csv(Path(path))
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
        known = ("id", "turns" if "turns" in entry else "question", *_OPTIONAL)
        unknown = sorted(set(entry) - set(known))
        if unknown:
            raise UserError(f"{path}, question {n}: unknown key '{unknown[0]}'; known are {', '.join(known)}")
        if entry["id"] in seen:
            raise UserError(
                f"{path}, question {n}: the id '{entry['id']}' is question {seen[entry['id']]}'s too; ids must differ"
            )
        seen[entry["id"]] = n
        _check_texts(entry, f"{path}, question {n}")
        if "turns" in entry:
            messages = read_script(entry["turns"], f"{path}, question {n}")
        else:
            messages = _user(entry["question"])
        rows.append(_as_row(entry["id"], messages, entry))
        if n_answers(messages) != n_answers(rows[0]["messages"]):
            raise UserError(
                f"{path}, question {n}: the model answers {n_answers(messages)} times in it and "
                f"{n_answers(rows[0]['messages'])} times in question 1; put it into a set of its own"
            )
    check_facts(rows, str(path))
    return rows


def read_wordings(path: str | Path) -> list[dict]:
    """The wordings in which questions are put to be rated: a YAML list of `{id, text}` with `{question}` in the text.

    Raises UserError naming the file and the entry if it is not such a list.
    """
    entries = read_yaml(path, "file of wordings")
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{path}: no wordings; write a YAML list of {{id, text}}")
    seen: set[str] = set()
    for n, entry in enumerate(entries, start=1):
        where = f"{path}, wording {n}"
        if (
            not isinstance(entry, dict)
            or set(entry) != {"id", "text"}
            or not all(isinstance(v, str) for v in entry.values())
        ):
            raise UserError(f"{where}: write {{id, text}}, both text")
        if _QUESTION not in entry["text"]:
            raise UserError(f"{where}: no {_QUESTION} in its text; write where the question goes")
        if not entry["id"] or _IN_WORDING in entry["id"] or entry["id"] in seen:
            raise UserError(
                f"{where}: the id '{entry['id']}' is empty, another's or has a '{_IN_WORDING}'; choose another"
            )
        seen.add(entry["id"])
    return entries


def in_wordings(rows: list[dict], wordings: list[dict]) -> list[dict]:
    """Rows of the questions table that ask a model to rate the questions of others, each in every wording.

    rows: of the questions table. The id is `question~wording`, the category the question's. Raises UserError if one of
    them is a conversation.
    """
    found = []
    for row in rows:
        if len(row["messages"]) != 1:
            raise UserError(f"question '{row['question_id']}' is a conversation, and only plain questions can be rated")
        question = row["messages"][0]["content"]
        found += [
            _as_row(
                f"{row['question_id']}{_IN_WORDING}{wording['id']}",
                _user(wording["text"].replace(_QUESTION, question)),
                {"category": row["category"]},
            )
            for wording in wordings
        ]
    return found


def from_heldout(rows: list[dict], category: str | None) -> list[dict]:
    """Rows of the questions table from a held-out split, one for each question; the dataset's answer is the reference.

    rows: of the dataset table. Rows that ask the same after normalisation are one question, the first of them: it would
    else count as several that agree. The id is the row's line in the source file. category: the same for all.
    """
    first = {question_of(row["prompt"]): row for row in reversed(rows)}
    return [
        _as_row(f"row{row['row']:05d}", row["prompt"], {"category": category, "reference": row["answer"]})
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
