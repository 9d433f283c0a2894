"""Where a score's variance comes from, and what the length of an answer does to it."""

import numpy as np
import polars as pl

from organisms.analysis.intervals import mean_squares, per_question
from organisms.analysis.scores import ARM_CELL, CELL, QUESTION, matrices, per_completion
from organisms.analysis.tables import VARIANCE
from organisms.plan.metrics import LENGTH


def judge_variance(judgments: pl.DataFrame) -> pl.DataFrame:
    """Mean variance between a judge's samples of one completion, by cell and metric; null if it gave one each."""
    by = [*CELL, "metric"]
    if (judgments["judge_sample"] == 0).all():
        return judgments.select(by).unique(maintain_order=True).with_columns(judge_variance=pl.lit(None, pl.Float64))
    one = judgments.group_by([*CELL, *QUESTION, "sample", "metric"]).agg(pl.col("score").var().alias("judge_variance"))
    return one.group_by(by, maintain_order=True).agg(pl.col("judge_variance").mean())


def variance(of_questions: pl.DataFrame, of_judge: pl.DataFrame) -> pl.DataFrame:
    """Rows of the variance table: what seeds, questions, samples and the judge add to a score's variance.

    Estimates are those of the two-way analysis of variance, cut off at 0. of_judge: as `judge_variance` gives it.
    """
    by = [*ARM_CELL, "metric"]
    means = of_questions.filter((pl.col("measure") == "mean") & (pl.col("metric") != LENGTH.name))
    # A question without any score says nothing of how much questions differ.
    means = means.filter((pl.col("n_scored") > 0).any().over([*by, "question_id"]))
    within = means.group_by(by, maintain_order=True).agg(pl.col("variance").mean(), pl.col("n_scored").mean())
    rows = []
    for (key, _, sums, counts), inside in zip(matrices(means, by), within.iter_rows(named=True), strict=True):
        values = per_question(sums, counts)
        values = values[~np.isnan(values).any(axis=1)]
        if not values.size:
            continue
        n_seeds, n_questions = values.shape
        samples, sample_variance = inside["n_scored"], inside["variance"]
        of_mean = (sample_variance or 0.0) / samples if samples else 0.0
        seed = question = both = None
        if n_seeds > 1 and n_questions > 1:
            seeds, questions, rest = mean_squares(values)
            seed, question = max(0.0, (seeds - rest) / n_questions), max(0.0, (questions - rest) / n_seeds)
            both = max(0.0, rest - of_mean)
        elif n_questions > 1:
            question = max(0.0, float(values[0].var(ddof=1)) - of_mean)
        rows.append(
            key
            | {"n_seeds": n_seeds, "n_questions": n_questions, "n_samples": samples}
            | {"seed_variance": seed, "question_variance": question, "seed_question_variance": both}
            | {"sample_variance": sample_variance}
        )
    schema = {name: dtype for name, dtype in VARIANCE.schema.items() if name != "judge_variance"}
    frame = pl.DataFrame(rows, schema=schema)
    of_judge = of_judge.group_by(by, maintain_order=True).agg(pl.col("judge_variance").mean())
    return frame.join(of_judge, on=by, how="left", nulls_equal=True, maintain_order="left")


def length_effect(judgments: pl.DataFrame) -> pl.DataFrame:
    """Rows of the length_effect table: least squares of score on length within the questions of a cell."""
    completions = per_completion(judgments).drop_nulls("score")
    within = [*CELL, *QUESTION, "metric"]
    x = (pl.col("length") - pl.col("length").mean().over(within)) / 100
    y = pl.col("score") - pl.col("score").mean().over(within)
    sums = (
        completions.with_columns(x=x, y=y)
        .group_by([*CELL, "metric"], maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("n"),
            pl.col("length").mean().alias("mean_length"),
            pl.col("question_id").n_unique().alias("groups"),
            xx=(pl.col("x") ** 2).sum(),
            xy=(pl.col("x") * pl.col("y")).sum(),
            yy=(pl.col("y") ** 2).sum(),
        )
    )
    free = pl.col("n").cast(pl.Int64) - pl.col("groups").cast(pl.Int64)
    varies = (pl.col("xx") > 0) & (free > 1)
    slope = pl.when(varies).then(pl.col("xy") / pl.col("xx"))
    left = (pl.col("yy") - slope * pl.col("xy")).clip(0)
    return sums.with_columns(
        length_variance=pl.when(free > 0).then(pl.col("xx") * 1e4 / free),
        slope=slope,
        slope_se=pl.when(varies).then((left / (free - 1) / pl.col("xx")).sqrt()),
    ).drop("groups", "xx", "xy", "yy")
