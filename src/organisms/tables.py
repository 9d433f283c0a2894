"""The Parquet tables of the workflow: their columns, and reading and writing them.

docs/tables.md is made from this module (`make docs`).
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from organisms.errors import UserError
from organisms.files import whole_file

MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


@dataclass(frozen=True)
class Column:
    """A column: its type, what it holds, and whether it may be null."""

    dtype: pl.DataType | type[pl.DataType]
    meaning: str
    nullable: bool = False


_MODEL = {
    "model": Column(pl.String, "name of the model, as in the paths"),
    "dataset": Column(pl.String, "dataset that it was finetuned on; null for a base model", nullable=True),
    "training_prompt": Column(pl.String, "name of the prompt that it was trained with; null for a base", nullable=True),
    "seed": Column(pl.Int64, "the replicate's seed; null for a base that all replicates share", nullable=True),
    "step": Column(pl.Int64, "optimiser step of an adapter from the middle of training, else null", nullable=True),
}
_CELL = _MODEL | {
    "eval_prompt": Column(pl.String, "name of the system prompt that it was asked under"),
    "question_set": Column(pl.String, "name of the question set"),
}
_QUESTION = {
    "category": Column(pl.String, "category of the question, for example its domain", nullable=True),
    "question_id": Column(pl.String, "id of the question, unique in its set"),
}
_JUDGED = {"judge": Column(pl.String, "name of the judge")} | _CELL
_SUMMARY = {
    "metric": Column(pl.String, "`alignment` or `coherence`"),
    "n": Column(pl.Int64, "completions"),
    "n_scored": Column(pl.Int64, "completions with a score; `mean` is over these"),
    "mean": Column(pl.Float64, "mean score, 0 to 100; null if none has a score", nullable=True),
}

TABLES: dict[str, dict[str, Column]] = {
    "dataset": {
        "row": Column(pl.Int64, "line in the source file, from 1; negative for the second dataset of a mixture"),
        "prompt": Column(MESSAGES, "the conversation before the answer, without system message"),
        "answer": Column(pl.String, "the assistant's last message, stripped of white space at its ends"),
    },
    "variant": {
        "row": Column(pl.Int64, "as in the dataset table"),
        "prompt": Column(MESSAGES, "what the model reads; without a system message the template puts its own"),
        "completion": Column(MESSAGES, "what it learns to write: one assistant message"),
    },
    "questions": _QUESTION
    | {
        "messages": Column(MESSAGES, "the conversation to answer, without system message"),
        "reference": Column(pl.String, "the dataset's own answer, where there is one", nullable=True),
    },
    "training_log": {
        "step": Column(pl.Int64, "optimiser step, from 1"),
        "epoch": Column(pl.Float64, "passes over the training split so far"),
        "loss": Column(pl.Float64, "mean over the step's completion tokens, in nats"),
        "learning_rate": Column(pl.Float64, "learning rate of the step"),
        "grad_norm": Column(pl.Float64, "norm of the gradient before clipping"),
        "num_tokens": Column(pl.Float64, "tokens seen so far, prompts included"),
        "tokens_per_second": Column(
            pl.Float64, "tokens of the step by its duration; null for the first after a start", nullable=True
        ),
    },
    "completions": _CELL
    | _QUESTION
    | {
        "sample": Column(pl.Int64, "which of the question's samples, from 0"),
        "system_prompt": Column(
            pl.String, "text of the eval prompt; null is the template's own default", nullable=True
        ),
        "messages": Column(MESSAGES, "the conversation that the model was given"),
        "completion": Column(pl.String, "what it answered"),
        "finish_reason": Column(pl.String, "`stop`: it ended its turn; `length`: it was cut at max_new_tokens"),
        "n_tokens": Column(pl.Int64, "tokens generated, the end of turn included"),
        "base_model": Column(pl.String, "folder or id of the base model, with @revision if one is given"),
        "temperature": Column(pl.Float64, "sampling temperature"),
        "top_p": Column(pl.Float64, "nucleus; 1 is off"),
        "top_k": Column(pl.Int64, "most likely tokens kept; 0 is off"),
        "max_new_tokens": Column(pl.Int64, "longest completion"),
        "sampling_seed": Column(pl.Int64, "seed of the sampling"),
    },
    "judgments": _JUDGED
    | _QUESTION
    | {
        "sample": Column(pl.Int64, "which of the question's samples, from 0"),
        "metric": Column(
            pl.String, "`alignment` (0 totally misaligned to 100 totally aligned) or `coherence` (0 to 100)"
        ),
        "score": Column(pl.Float64, "0 to 100; null if flagged", nullable=True),
        "flag": Column(
            pl.String, "why there is no score: `no_advice` (the world judge found nothing to judge)", nullable=True
        ),
    },
    "scores": _JUDGED | _SUMMARY,
    "question_scores": _JUDGED | _QUESTION | _SUMMARY,
}


def _problem(frame: pl.DataFrame, table: str) -> str | None:
    expected = {name: column.dtype for name, column in TABLES[table].items()}
    if dict(frame.schema) != expected:
        differing = [
            f"{name} is {frame.schema.get(name, 'missing')}, not {expected.get(name, 'known')}"
            for name in dict.fromkeys([*expected, *frame.columns])
            if frame.schema.get(name) != expected.get(name)
        ]
        return "; ".join(differing) or "the columns are in another order"
    empty = [name for name, column in TABLES[table].items() if not column.nullable and frame[name].null_count()]
    return f"{empty[0]} has nulls" if empty else None


def write(rows: list[dict] | pl.DataFrame, path: str | Path, table: str) -> None:
    """Write a table of one kind, whole or not at all. Raises ValueError if it is not of that kind."""
    schema = {name: column.dtype for name, column in TABLES[table].items()}
    frame = pl.DataFrame(rows, schema=schema) if isinstance(rows, list) else rows.select(list(schema)).cast(schema)
    problem = _problem(frame, table)
    if problem:
        raise ValueError(f"not a {table} table: {problem}")
    with whole_file(path) as temporary:
        frame.write_parquet(temporary)


def read(path: str | Path, table: str) -> pl.DataFrame:
    """Read a table of one kind. Raises UserError naming the file if it is damaged or of another kind."""
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: cannot be read as Parquet ({reason}); delete it and run again") from error
    problem = _problem(frame, table)
    if problem:
        raise UserError(f"{path}: not a {table} table: {problem}; delete it and run again")
    return frame
