"""Completions that another tool made, as rows of the workflow's tables."""

import csv
import json
import re
from pathlib import Path

import polars as pl

from organisms.job.errors import UserError
from organisms.job.json_text import read_json

# Longer answers than Python's own limit are no fault.
csv.field_size_limit(2**31 - 1)


def _csv_rows(path: Path) -> tuple[list[str], list[dict]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        rows: list[dict] = []
        try:
            for row in reader:
                rows.append(row)
                if None in row or None in row.values():
                    raise csv.Error("it has more fields than the header" if None in row else "it lacks a field")
        except (csv.Error, UnicodeDecodeError) as error:
            raise UserError(f"{path}, line {max(1, reader.line_num)}: cannot be read as CSV ({error})") from error
    return list(reader.fieldnames or []), rows


def _jsonl_rows(path: Path) -> tuple[list[str], list[dict]]:
    rows = []
    # Not splitlines(): a JSON string may hold characters that it takes for line ends.
    for n, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise UserError(f"{path}, line {n}: not UTF-8 ({error}); write one JSON object in each line") from error
        rows.append(read_json(text, f"{path}, line {n}"))
        if not isinstance(rows[-1], dict):
            raise UserError(f"{path}, line {n}: no JSON object; write one object in each line")
    return list(dict.fromkeys(name for row in rows for name in row)), rows


def _parquet_rows(path: Path) -> tuple[list[str], list[dict]]:
    frame = pl.read_parquet(path)
    return frame.columns, frame.to_dicts()


_READERS = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}


def _read(path: Path) -> tuple[list[str], list[dict]]:
    """Names of the columns, and the rows."""
    if path.suffix not in _READERS:
        raise UserError(f"{path}: not a known kind of file; give a .csv, .jsonl or .parquet file")
    try:
        return _READERS[path.suffix](path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the path in the config") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{path}: cannot be read as {path.suffix[1:]} ({str(error).splitlines()[0]})") from error


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
    if not re.fullmatch("-?[0-9]{1,18}", row[key] or "", flags=re.ASCII):
        raise UserError(f"{where}: column '{column}' is no whole number")
    return int(row[key])


def read_external(entry: dict) -> list[dict]:
    """The rows of an external file that its config entry selects, under the workflow's names.

    entry: one of `external_completions`. A row has question, completion, question_id, sample, category, `row`, which is
    its number in the file (from 1, without a header), and under `judge\\0metric` each recorded score as text. An empty
    answer is an answer. Raises UserError with the row for a missing column, an empty question or id, an answer that was
    not recorded (null), what is no text, one id with two questions, or two rows with the same id and sample.
    """
    path = Path(entry["path"])
    columns, file_rows = _read(path)
    named = {key: column for key, column in entry["columns"].items() if column}
    for judge, metrics in entry["scores"].items():
        named |= {f"{judge}\0{metric}": column for metric, column in metrics.items()}
    for column in [*named.values(), *entry["where"]]:
        if column not in columns:
            raise UserError(f"{path}: no column '{column}'; it has {', '.join(columns) or 'none'}")
    rows: list[dict] = []
    ids: dict[str, str] = {}
    first: dict[str, dict] = {}
    samples: dict[str, dict[int, int]] = {}
    for n, of_file in enumerate(file_rows, start=1):
        where = f"{path}, row {n}"
        if any(_text(of_file, column, where) != wanted for column, wanted in entry["where"].items()):
            continue
        row = {"row": n} | {key: _text(of_file, column, where) for key, column in named.items()}
        for key in {"question", "question_id"} & set(named):
            if not (row[key] or "").strip():
                raise UserError(f"{where}: {key} is empty; write what was asked, or leave the row out")
        if row["completion"] is None:
            raise UserError(
                f"{where}: completion is null; write an empty text if the model answered nothing, which is judged like "
                "any other answer, and leave the row out only if the model was not asked"
            )
        row["category"] = row.get("category") or None
        row.setdefault("question_id", ids.setdefault(row["question"], f"q{len(ids) + 1:04d}"))
        other = first.setdefault(row["question_id"], row)
        if other["question"] != row["question"]:
            raise UserError(
                f"{path}, rows {other['row']} and {n}: question id '{row['question_id']}' has two texts; "
                "give each text an id of its own, or leave columns.question_id out to number the texts"
            )
        taken = samples.setdefault(row["question_id"], {})
        row["sample"] = _numbered(row, "sample", named["sample"], where) if "sample" in named else len(taken)
        if row["sample"] in taken:
            raise UserError(
                f"{path}, rows {taken[row['sample']]} and {n}: question id '{row['question_id']}' has sample "
                f"{row['sample']} twice; make them differ, or leave columns.sample out to number them"
            )
        taken[row["sample"]] = n
        rows.append(row)
    if not rows:
        raise UserError(f"{path}: no rows; check `where` in the config")
    return rows


def external_completions(name: str, entry: dict) -> list[dict]:
    """Rows of the completions table. What another tool did not write down is null; `dataset` is the entry's name."""
    unknown = ("training_prompt", "training_method", "seed", "step", "system_prompt", "finish_reason", "n_tokens")
    unknown += ("temperature", "top_p", "top_k", "max_new_tokens", "sampling_seed")
    cell = {"model": name, "dataset": name, "eval_prompt": entry["eval_prompt"], "question_set": entry["question_set"]}
    cell |= {"base_model": f"external: {Path(entry['path']).name}"} | dict.fromkeys(unknown)
    return [
        cell
        | {key: row[key] for key in ("category", "question_id", "sample", "completion")}
        | {"turn": 1, "messages": [{"role": "user", "content": row["question"]}]}
        for row in read_external(entry)
    ]


def _score_or_flag(text: str | None, where: str) -> dict:
    text = (text or "").strip()
    if text.lower() in ("", "nan", "none", "null"):
        return {"score": None, "flag": "no_score"}
    if re.fullmatch(r"[A-Za-z][A-Za-z_]*", text):
        return {"score": None, "flag": text.lower()}
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]*)?([eE]-?[0-9]+)?", text) or not 0 <= float(text) <= 100:
        raise UserError(f"{where}: '{text[:40]}' is no score from 0 to 100, no word and not empty")
    return {"score": float(text), "flag": None}


def recorded_scores(entry: dict) -> list[dict]:
    """Rows of the recorded_scores table: one per completion, judge and metric that the file has scores of."""
    rows = []
    for row in read_external(entry):
        for judge, metrics in entry["scores"].items():
            for metric, column in metrics.items():
                where = f"{entry['path']}, row {row['row']}, column '{column}'"
                said = _score_or_flag(row[f"{judge}\0{metric}"], where)
                rows.append(
                    {"judge": judge, "question_id": row["question_id"], "sample": row["sample"], "metric": metric}
                    | said
                )
    return rows
