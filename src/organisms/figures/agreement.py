"""The figure of how judges agree."""

import altair as alt
import polars as pl

from organisms.analysis.agreement import MISALIGNED_BELOW
from organisms.analysis.selecting import last_answers
from organisms.figures.charts import group_lines, mean_title, metric_scale, themed
from organisms.figures.groups import any_elsewhere, elsewhere_note, grouped, in_order, trained_with, under_default
from organisms.plan.metrics import Metric
from organisms.plan.presentation import question_set_labels


def agreement_figure(ranked: pl.DataFrame, compared: pl.DataFrame, metric: Metric, presentation: dict) -> alt.Chart:
    """Mean of a metric of each model at the default prompt by judge: lines that cross are ranks that differ.

    ranked, compared: the tables rankings and agreement. presentation: as `plan.presentation` gives it.
    """
    sets = question_set_labels(presentation)
    points = last_answers(ranked).filter((pl.col("metric") == metric.name) & under_default())
    points = grouped(points.drop_nulls("mean"), presentation).with_columns(
        asked=pl.col("question_set").replace_strict(sets)
    )
    judges = points["judge"].unique(maintain_order=True).to_list()
    order = in_order(points["group"], presentation)
    by = trained_with(order, presentation)
    colour, dash = group_lines(order, presentation, by)
    under = "" if any_elsewhere(order, presentation) else " under the default system prompt"
    together = compared.filter((pl.col("metric") == metric.name) & pl.col("question_set").is_null() & (pl.col("n") > 0))
    lines = [
        f"{row['judge_a']} and {row['judge_b']}: "
        + (f"Krippendorff's alpha {row['alpha']:.2f}" if row["alpha"] is not None else "alpha not defined")
        + (f", Cohen's kappa below {MISALIGNED_BELOW} {row['kappa']:.2f}" if row["kappa"] is not None else "")
        + f", {row['n']} completions"
        for row in together.iter_rows(named=True)
    ]
    return themed(
        alt.Chart(points)
        .mark_line(point=alt.OverlayMarkDef(size=60, filled=True), strokeWidth=2)
        .encode(
            x=alt.X("judge:N", title=None, sort=judges, axis=alt.Axis(labelAngle=0, labelLimit=140, grid=False)),
            y=alt.Y("mean:Q", title=mean_title(metric), scale=metric_scale(metric)),
            color=colour,
            strokeDash=dash,
            tooltip=[
                alt.Tooltip("group:N", title=by),
                alt.Tooltip("judge:N", title="Judge"),
                alt.Tooltip("mean:Q", title=f"Mean {metric.title.lower()}", format=".1f"),
                alt.Tooltip("rank:Q", title="Rank"),
            ],
        )
        .properties(width=max(200, 90 * len(judges)), height=300)
        .facet(
            column=alt.Column(
                "asked:N",
                title=None,
                sort=list(sets.values()),
                header=alt.Header(labelFontSize=13, labelFontWeight="bold"),
            )
        )
        .resolve_scale(x="independent")
        .properties(
            title=alt.TitleParams(
                f"Mean {metric.title.lower()}{under}, by judge",
                subtitle=[
                    *elsewhere_note(order, presentation),
                    *lines[:6],
                    *([f"and {len(lines) - 6} more pairs in the table"] if len(lines) > 6 else []),
                ],
                anchor="start",
            )
        )
    )
