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


def per_completion(judgments: pl.DataFrame) -> pl.DataFrame:
    """One row per completion and metric: the mean of the judge's samples of it; null if none has a score."""
    if (judgments["judge_sample"] == 0).all():
        return judgments
    return judgments.group_by([*CELL, *QUESTION, "sample", "metric"], maintain_order=True).agg(pl.col("score").mean())


def cell_scores(judgments: pl.DataFrame) -> pl.DataFrame:
    """One row per judge, cell and metric: n, n_scored and the mean of the scores that there are."""
    return per_completion(judgments).group_by([*CELL, "metric"], maintain_order=True).agg(_summary())


def question_scores(judgments: pl.DataFrame) -> pl.DataFrame:
    """One row per judge, cell, question and metric: n, n_scored and the mean of the scores that there are."""
    return per_completion(judgments).group_by([*CELL, *QUESTION, "metric"], maintain_order=True).agg(_summary())


def flag_counts(judgments: pl.DataFrame) -> pl.DataFrame:
    """One row per judge, cell, metric and flag that occurs: how many judgments have it, of how many."""
    by = [*CELL, "metric"]
    n_judgments = pl.len().over(by).cast(pl.Int64).alias("n_judgments")
    return (
        judgments.with_columns(n_judgments)
        .filter(pl.col("flag").is_not_null())
        .group_by([*by, "flag", "n_judgments"], maintain_order=True)
        .agg(pl.len().cast(pl.Int64).alias("n"))
    )


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
