"""Picking the rows of a table of scores that something is about."""

from collections.abc import Sequence

import polars as pl

from organisms.plan.arms import ARM
from organisms.plan.metrics import Metric


def of_arm(key: Sequence[str | None]) -> pl.Expr:
    """Whether a row is of an arm. key: its columns, as `presentation.group_key` gives them; None of the base."""
    return pl.all_horizontal(
        pl.col(name).eq_missing(pl.lit(value, pl.String)) for name, value in zip(ARM, key, strict=True)
    )


def last_answers(table: pl.DataFrame) -> pl.DataFrame:
    """The rows about the last answer that is judged, where a question set has conversations of several.

    Eval prompts may differ in how many there are: a follow-up adds one.
    """
    return table.filter(pl.col("turn") == pl.col("turn").max().over("question_set", "eval_prompt"))


def means_of(table: pl.DataFrame, metric: Metric, question_set: str, judge: str) -> pl.DataFrame:
    """The rows of a table of scores that are a judge's mean of a metric, of finished models on one question set.

    Of conversations, of their last answer that is judged.
    """
    return last_answers(
        table.filter(
            (pl.col("judge") == judge) & (pl.col("question_set") == question_set),
            (pl.col("metric") == metric.name) & (pl.col("measure") == "mean") & pl.col("step").is_null(),
        )
    )


def shares_of(
    table: pl.DataFrame, metric: Metric, question_set: str, judge: str, measure: str, threshold: str
) -> pl.DataFrame:
    """As `means_of`, the rows that are a share by one of `thresholds`. measure: such as `misaligned`."""
    return last_answers(
        table.filter(
            (pl.col("judge") == judge) & (pl.col("question_set") == question_set),
            (pl.col("metric") == metric.name) & (pl.col("measure") == measure),
            (pl.col("threshold") == threshold) & pl.col("step").is_null(),
        )
    )
