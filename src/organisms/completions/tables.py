"""The tables of completions: what was asked and answered, and scores that came with another tool's completions."""

import polars as pl

from organisms.job.tables import MESSAGES, Column, Table
from organisms.plan.columns import CELL, QUESTION, SAMPLE, TURN

# Columns about sampling are null for completions that another tool made.
COMPLETIONS = Table(
    "completions",
    CELL
    | QUESTION
    | SAMPLE
    | TURN
    | {
        "system_prompt": Column(
            pl.String, "the system message; null is the chat template's own default", nullable=True
        ),
        "messages": Column(MESSAGES, "the conversation that the model was given, its earlier answers included"),
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
    "completions/{model}/{eval_prompt}/{question_set}.parquet",
)
RECORDED_SCORES = Table(
    "recorded_scores",
    {
        "judge": Column(pl.String, "name of the recorded judge"),
        "eval_prompt": Column(pl.String, "name of the prompt that it was asked under"),
        "question_id": Column(pl.String, "id of the question"),
    }
    | SAMPLE
    | {
        "metric": Column(pl.String, "name of the metric"),
        "score": Column(pl.Float64, "within the metric's bounds; null if flagged", nullable=True),
        "flag": Column(pl.String, "the word that stood in place of a score; `no_score` if nothing did", nullable=True),
    },
    "external_completions/{model}/scores.parquet",
)
EXTERNAL_ROWS = Table(
    "external_rows",
    {
        "entry": Column(pl.String, "entry of `external_completions` in the config"),
        "file": Column(pl.String, "name of the file"),
        "reason": Column(
            pl.String, "why so many of its rows are not used for the model; null: they are", nullable=True
        ),
        "n": Column(pl.Int64, "rows; of one model they add up to the file's"),
    },
    "external_completions/{model}/rows.parquet",
)
