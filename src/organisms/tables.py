"""The Parquet tables of the workflow: their columns, and reading and writing them.

Here are the tables up to the judgments; `analysis_tables` has those after them, so that a column of a result is no
reason to finetune again. docs/tables.md is made from both (`make docs`).
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


# A table's name in TABLES, or its columns.
Table = str | dict[str, Column]

MODEL = {
    "model": Column(pl.String, "name of the model, as in the paths"),
    "dataset": Column(pl.String, "dataset that it was finetuned on; null for a base model", nullable=True),
    "training_prompt": Column(pl.String, "name of the prompt that it was trained with; null for a base", nullable=True),
    "seed": Column(pl.Int64, "the replicate's seed; null for a base that all replicates share", nullable=True),
    "step": Column(pl.Int64, "optimiser step of an adapter from the middle of training, else null", nullable=True),
}
CELL = MODEL | {
    "eval_prompt": Column(pl.String, "name of the system prompt that it was asked under"),
    "question_set": Column(pl.String, "name of the question set"),
}
QUESTION = {
    "category": Column(pl.String, "category of the question, for example its domain", nullable=True),
    "question_id": Column(pl.String, "id of the question, unique in its set"),
}
JUDGED = {"judge": Column(pl.String, "name of the judge")} | CELL
_SAID = {
    "score": Column(pl.Float64, "0 to 100; null if flagged", nullable=True),
    "flag": Column(
        pl.String,
        "why there is no score. The judge's own words: `refusal`, `code` (or what the template offers). The world "
        "judge: `no_advice`. A label sheet: `unlabelled`. A recorded judge: `no_score` or the word that stood there. "
        "No usable answer: `judge_refused`, `truncated`, `unparseable`, `out_of_range`, `rejected` (by the server)",
        nullable=True,
    ),
    "reason": Column(pl.String, "the judge's reason, if it was asked for one", nullable=True),
    "raw": Column(pl.String, "what the judge wrote, where there is no score", nullable=True),
    "judge_model": Column(pl.String, "id of the model that answered, as it names itself", nullable=True),
}
_TOKENS = {
    "calls": Column(pl.Int64, "answers, unusable ones included"),
    "input_tokens": Column(pl.Int64, "as the server counted them"),
    "output_tokens": Column(pl.Int64, "as the server counted them"),
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
    "questions": QUESTION
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
    # Columns about sampling are null for completions that another tool made.
    "completions": CELL
    | QUESTION
    | {
        "sample": Column(pl.Int64, "which of the question's samples, from 0"),
        "system_prompt": Column(
            pl.String, "text of the eval prompt; null is the template's own default", nullable=True
        ),
        "messages": Column(MESSAGES, "the conversation that the model was given"),
        "completion": Column(pl.String, "what it answered"),
        "finish_reason": Column(
            pl.String, "`stop`: it ended its turn; `length`: it was cut at max_new_tokens", nullable=True
        ),
        "n_tokens": Column(pl.Int64, "tokens generated, the end of turn included", nullable=True),
        "base_model": Column(pl.String, "folder or id of the base model, with @revision if one is given"),
        "temperature": Column(pl.Float64, "sampling temperature", nullable=True),
        "top_p": Column(pl.Float64, "nucleus; 1 is off", nullable=True),
        "top_k": Column(pl.Int64, "most likely tokens kept; 0 is off", nullable=True),
        "max_new_tokens": Column(pl.Int64, "longest completion", nullable=True),
        "sampling_seed": Column(pl.Int64, "seed of the sampling", nullable=True),
    },
    "judgments": JUDGED
    | QUESTION
    | {
        "sample": Column(pl.Int64, "which of the question's samples, from 0"),
        "metric": Column(pl.String, "name of the metric, for example `alignment` or `coherence`"),
        "judge_sample": Column(pl.Int64, "which of the judge's samples, from 0"),
        "length": Column(pl.Int64, "characters of the completion"),
    }
    | _SAID
    | {
        "call": Column(pl.String, "the request to the judge; rows with one `call` share its answer", nullable=True),
        "copies": Column(pl.Int64, "rows of this cell that share the call", nullable=True),
        "judge_temperature": Column(pl.Float64, "temperature sent; null is the server's own", nullable=True),
        "api_version": Column(pl.String, "`anthropic-version` header sent; null is the SDK's own", nullable=True),
    },
    "verdicts": {
        "judge": Column(pl.String, "name of the judge"),
        "item": Column(pl.String, "the gold completion, or `base/attack`"),
        "metric": Column(pl.String, "name of the metric"),
    }
    | _SAID,
    "usage": {
        "judge": Column(pl.String, "name of the judge"),
        "model": Column(pl.String, "id of the model, as the server names it"),
        "tier": Column(pl.String, "`live`, `batch` or `local`"),
        "needed": Column(pl.Boolean, "whether the config's completions still need these answers"),
    }
    | _TOKENS,
    "cost": {
        "judge": Column(pl.String, "name of the judge"),
        "model": Column(pl.String, "id of the model, as the server names it"),
        "tier": Column(pl.String, "`live`, `batch` or `local`"),
        "needed": Column(
            pl.Boolean, "whether this config's completions need the answers; false: bought for other texts or prompts"
        ),
    }
    | _TOKENS
    | {
        "usd": Column(pl.Float64, "dollars by the prices file; null if the model has no price", nullable=True),
        "prices_of": Column(pl.String, "date of the prices"),
    },
    "recorded_scores": {
        "judge": Column(pl.String, "name of the recorded judge"),
        "question_id": Column(pl.String, "id of the question"),
        "sample": Column(pl.Int64, "which of the question's samples, from 0"),
        "metric": Column(pl.String, "name of the metric"),
        "score": Column(pl.Float64, "0 to 100; null if flagged", nullable=True),
        "flag": Column(pl.String, "the word that stood in place of a score; `no_score` if nothing did", nullable=True),
    },
    "gold": {
        "judge": Column(pl.String, "name of the judge"),
        "item": Column(pl.String, "id of the gold completion"),
        "metric": Column(pl.String, "name of the metric"),
        "lowest": Column(pl.Float64, "lower end of the expected band; null if a flag is expected", nullable=True),
        "highest": Column(pl.Float64, "upper end of the expected band", nullable=True),
        "expected_flag": Column(pl.String, "the flag that is expected in place of a score", nullable=True),
        "score": Column(pl.Float64, "the judge's score", nullable=True),
        "flag": Column(pl.String, "the judge's flag", nullable=True),
        "inside": Column(pl.Boolean, "whether the judge says what is expected"),
    },
    "attacks": {
        "judge": Column(pl.String, "name of the judge"),
        "base": Column(pl.String, "id of the answer that is attacked with"),
        "attack": Column(pl.String, "id of the attack"),
        "kind": Column(pl.String, "kind of the attack"),
        "metric": Column(pl.String, "name of the metric"),
        "plain_score": Column(pl.Float64, "score of the answer as it is", nullable=True),
        "plain_flag": Column(pl.String, "flag of the answer as it is", nullable=True),
        "score": Column(pl.Float64, "score of the answer with the attack", nullable=True),
        "flag": Column(pl.String, "flag of the answer with the attack", nullable=True),
        "shift": Column(pl.Float64, "score - plain_score; null if one has none", nullable=True),
    },
}


def columns_of(table: Table) -> dict[str, Column]:
    """The columns of a table, given by its name in TABLES or by the columns themselves."""
    return TABLES[table] if isinstance(table, str) else table


def schema_of(table: Table) -> dict:
    """A table's data types by column."""
    return {name: column.dtype for name, column in columns_of(table).items()}


def _problem(frame: pl.DataFrame, table: Table) -> str | None:
    expected = schema_of(table)
    if dict(frame.schema) != expected:
        differing = [
            f"{name} is {frame.schema.get(name, 'missing')}, not {expected.get(name, 'known')}"
            for name in dict.fromkeys([*expected, *frame.columns])
            if frame.schema.get(name) != expected.get(name)
        ]
        return "; ".join(differing) or "the columns are in another order"
    empty = [name for name, column in columns_of(table).items() if not column.nullable and frame[name].null_count()]
    return f"{empty[0]} has nulls" if empty else None


def write(rows: list[dict] | pl.DataFrame, path: str | Path, table: Table) -> None:
    """Write a table of one kind, whole or not at all. Raises ValueError if it is not of that kind."""
    schema = schema_of(table)
    frame = pl.DataFrame(rows, schema=schema) if isinstance(rows, list) else rows.select(list(schema)).cast(schema)
    problem = _problem(frame, table)
    if problem:
        raise ValueError(f"not a table for {path}: {problem}")
    with whole_file(path) as temporary:
        frame.write_parquet(temporary)


def _output_of(path: Path) -> Path:
    """What to delete so that a table is made again: itself, or the folder that its job makes as a whole."""
    for rule, depth in (("judgments", 2), ("judgments", 0), ("completions", 1)):
        if len(path.parents) > depth + 1 and path.parents[depth + 1].name == rule:
            return path.parents[depth]
    return path


def read(path: str | Path, table: Table) -> pl.DataFrame:
    """Read a table of one kind. Raises UserError naming the file, and what to delete, if it is damaged or none."""
    remedy = f"delete {_output_of(Path(path))} and run again"
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: cannot be read as Parquet ({reason}); {remedy}") from error
    problem = _problem(frame, table)
    if problem:
        kind = f"a {table} table" if isinstance(table, str) else "such a table"
        raise UserError(f"{path}: not {kind}: {problem}; {remedy}")
    return frame
