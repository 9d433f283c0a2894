"""Completions that another tool made, as rows of the workflow's tables."""

import re
from pathlib import Path

import polars as pl

from organisms.job.errors import UserError

_READERS = {
    ".csv": lambda path: pl.read_csv(path, infer_schema=False, encoding="utf8"),
    ".jsonl": pl.read_ndjson,
    ".parquet": pl.read_parquet,
}


def _read(path: Path) -> pl.DataFrame:
    if path.suffix not in _READERS:
        raise UserError(f"{path}: not a known kind of file; give a .csv, .jsonl or .parquet file")
    try:
        return _READERS[path.suffix](path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the path in the config") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{path}: cannot be read as {path.suffix[1:]} ({str(error).splitlines()[0]})") from error


def read_external(entry: dict) -> pl.DataFrame:
    """The rows of an external file that its config entry selects, under the workflow's names.

    entry: one of `external_completions`. Returns question, completion, question_id, sample, category, and a text
    column `judge\\0metric` for each recorded score. Raises UserError for a missing column, an empty answer or
    question, or two rows with the same id and sample, with the row's number in the file (from 1, without a header).
    """
    path = Path(entry["path"])
    frame = _read(path).with_row_index("row", offset=1)
    columns = entry["columns"]
    wanted = [*filter(None, columns.values()), *entry["where"]]
    wanted += [column for metrics in entry["scores"].values() for column in metrics.values()]
    for column in wanted:
        if column not in frame.columns:
            raise UserError(f"{path}: no column '{column}'; it has {', '.join(frame.columns[1:])}")
    for column, text in entry["where"].items():
        frame = frame.filter(pl.col(column).cast(pl.String) == text)
    if frame.is_empty():
        raise UserError(f"{path}: no rows; check `where` in the config")
    named = {key: pl.col(column).cast(pl.String) for key, column in columns.items() if column}
    for judge, metrics in entry["scores"].items():
        named |= {f"{judge}\0{metric}": pl.col(column).cast(pl.String) for metric, column in metrics.items()}
    frame = frame.select("row", **named)
    for key in ("question", "completion"):
        empty = frame.filter(pl.col(key).is_null() | (pl.col(key).str.strip_chars() == ""))
        if len(empty):
            raise UserError(f"{path}, row {empty['row'][0]}: {key} is empty ({len(empty)} such rows); remove them")
    if "question_id" not in frame.columns:
        ids = {text: f"q{n:04d}" for n, text in enumerate(frame["question"].unique(maintain_order=True), start=1)}
        frame = frame.with_columns(question_id=pl.col("question").replace_strict(ids))
    if "category" not in frame.columns:
        frame = frame.with_columns(category=pl.lit(None, pl.String))
    if "sample" in frame.columns:
        frame = frame.with_columns(sample=pl.col("sample").cast(pl.Int64, strict=False))
        wrong = frame.filter(pl.col("sample").is_null())
        if len(wrong):
            raise UserError(f"{path}, row {wrong['row'][0]}: column '{columns['sample']}' is no whole number")
    else:
        frame = frame.with_columns(sample=pl.int_range(pl.len()).over("question_id"))
    twice = frame.filter(pl.struct("question_id", "sample").is_duplicated())
    if len(twice):
        row = twice.row(0, named=True)
        raise UserError(
            f"{path}, row {row['row']}: question id '{row['question_id']}' has sample {row['sample']} twice; "
            "make them differ, or leave columns.sample out to number them"
        )
    return frame


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
        for row in read_external(entry).iter_rows(named=True)
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
    for row in read_external(entry).iter_rows(named=True):
        for judge, metrics in entry["scores"].items():
            for metric, column in metrics.items():
                where = f"{entry['path']}, row {row['row']}, column '{column}'"
                said = _score_or_flag(row[f"{judge}\0{metric}"], where)
                rows.append(
                    {"judge": judge, "question_id": row["question_id"], "sample": row["sample"], "metric": metric}
                    | said
                )
    return rows
