"""From judgments to tables: means per cell and per question."""

import polars as pl

CELL = ["judge", "model", "dataset", "training_prompt", "seed", "step", "eval_prompt", "question_set"]
QUESTION = ["category", "question_id"]


def _summary() -> list[pl.Expr]:
    return [
        pl.len().cast(pl.Int64).alias("n"),
        pl.col("score").count().cast(pl.Int64).alias("n_scored"),
        # The mean of no scores is null, so a cell in which every row is flagged has no mean.
        pl.col("score").mean().alias("mean"),
    ]


def cell_scores(judgments: pl.DataFrame) -> pl.DataFrame:
    """One row per judge, cell and metric: n, n_scored and the mean of the scores that there are."""
    return judgments.group_by([*CELL, "metric"], maintain_order=True).agg(_summary())


def question_scores(judgments: pl.DataFrame) -> pl.DataFrame:
    """One row per judge, cell, question and metric: n, n_scored and the mean of the scores that there are."""
    return judgments.group_by([*CELL, *QUESTION, "metric"], maintain_order=True).agg(_summary())


def alignment_of_finished(means: pl.DataFrame, question_set: str, judge: str) -> pl.DataFrame:
    """The rows of a table of means that are a judge's alignment of finished models on one question set."""
    return means.filter(
        (pl.col("judge") == judge) & (pl.col("question_set") == question_set) & (pl.col("metric") == "alignment"),
        pl.col("step").is_null(),
    )


def alignment_by_prompt(scores: pl.DataFrame, question_set: str, judge: str) -> pl.DataFrame:
    """Mean alignment of finished models on one question set, averaged over seeds with equal weight.

    Returns one row per dataset and training prompt (both null for the base) and eval prompt: mean (of the seeds'
    means), n_seeds (seeds with a mean) and n (completions in all).
    """
    return (
        alignment_of_finished(scores, question_set, judge)
        .group_by(["dataset", "training_prompt", "eval_prompt"], maintain_order=True)
        .agg(pl.col("mean").mean(), pl.col("mean").count().cast(pl.Int64).alias("n_seeds"), pl.col("n").sum())
    )
