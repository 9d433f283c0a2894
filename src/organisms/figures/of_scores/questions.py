"""The mean of each question, model by model."""

import re

import altair as alt
import polars as pl

from organisms.analysis.selecting import means_of
from organisms.figures.charts import LABEL_LIMIT, heat_scale, mean_title, themed
from organisms.figures.groups import asked_by_default, elsewhere_note, grouped, in_order, trained_with, under_default
from organisms.figures.shown import Shown

NOTHING = "No completion has a score of this metric by this judge."


def _by_number(name: str) -> list[str]:
    """For sorting: question_2 before question_10."""
    return [part.zfill(12) for part in re.split(r"(\d+)", name)]


def draw(tables: dict[str, pl.DataFrame], shown: Shown) -> alt.Chart | None:
    """Heat map of means under the default prompt: question (rows, by category) × model (columns).

    tables: question_scores by name. Models that were asked elsewhere are there, under whatever that was. None if
    nothing has a score.
    """
    metric, presentation = shown.metric, shown.presentation
    rows = means_of(tables["question_scores"], metric, shown.question_set, shown.judge)
    rows = rows.filter(under_default())
    rows = (
        grouped(rows, presentation)
        .group_by(["group", "category", "question_id"], maintain_order=True)
        .agg(pl.col("mean").mean(), pl.col("n_scored").sum())
    )
    if not rows["mean"].count():
        return None
    category, question = pl.col("category"), pl.col("question_id")
    named = (
        pl.when(category.is_null() | question.str.starts_with(category))
        .then(question)
        .otherwise(pl.concat_str(category, pl.lit(": "), question))
    )
    rows = rows.with_columns(question=named)
    order = in_order(rows["group"], presentation)
    return themed(
        alt.Chart(rows.select("group", "question", "mean", "n_scored"))
        .mark_rect(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X(
                "group:N",
                title=trained_with(order, presentation),
                sort=order,
                axis=alt.Axis(labelAngle=-40, labelLimit=LABEL_LIMIT, domain=False, ticks=False),
            ),
            y=alt.Y(
                "question:N",
                title=None,
                sort=sorted(set(rows["question"]), key=_by_number),
                axis=alt.Axis(labelLimit=LABEL_LIMIT, labelFontSize=10, labelOverlap=False, domain=False, ticks=False),
            ),
            color=alt.Color("mean:Q", title=["Mean", metric.title.lower()], scale=heat_scale(metric)),
            tooltip=[
                alt.Tooltip("question:N", title="Question"),
                alt.Tooltip("group:N", title="Model"),
                alt.Tooltip("mean:Q", title=f"Mean {metric.title.lower()}", format=".1f"),
                alt.Tooltip("n_scored:Q", title="Completions with a score"),
            ],
        )
        .properties(
            width=alt.Step(44 if len(order) <= 10 else 24),
            height=alt.Step(14),
            title=alt.TitleParams(
                f"{shown.question_set_label}: question × model",
                subtitle=[
                    f"{mean_title(metric)}{asked_by_default(order, presentation)}, judged by '{shown.judge}'.",
                    *elsewhere_note(order, presentation),
                    f"Means over samples. {shown.seeds}",
                ],
            ),
        )
    )
