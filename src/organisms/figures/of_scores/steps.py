"""How a metric moves while a model is trained: the adapters that were kept from the middle of training."""

import altair as alt
import polars as pl

from organisms.analysis.selecting import last_answers, means_of, of_arm
from organisms.figures.charts import BASE_COLOUR, group_lines, mean_title, metric_scale, themed
from organisms.figures.groups import WITH, WITHOUT, grouped, in_order
from organisms.figures.shown import Shown
from organisms.plan.arms import ARM
from organisms.plan.presentation import BASE

NOTHING = "No adapter from the middle of training was kept (training.keep_steps) and asked (`steps` in evaluations)."

# The columns of the table last_steps: the step at which each finetune was finished.
LAST_STEPS = dict.fromkeys(ARM, pl.String) | {"seed": pl.Int64, "last_step": pl.Int64}
# At one step those of more arms would lie on each other.
_MOST_WITH_INTERVALS = 6


def _by_step(table: pl.DataFrame, last_steps: pl.DataFrame, shown: Shown, by: list[str]) -> pl.DataFrame:
    """Means under the default and the training prompt, of arms that were asked under it at kept steps too, by `at`.

    Where the last steps of seeds differ the latest stands for an arm.
    """
    rows = last_answers(
        table.filter(
            (pl.col("judge") == shown.judge) & (pl.col("question_set") == shown.question_set),
            (pl.col("metric") == shown.metric.name) & (pl.col("measure") == "mean"),
        )
    )
    asked = (
        pl.when(pl.col("eval_prompt") == "default")
        .then(pl.lit(WITHOUT))
        .when(pl.col("eval_prompt") == pl.col("training_prompt"))
        .then(pl.lit(WITH))
    )
    ends = last_steps.group_by(by).agg(pl.col("last_step").max())
    rows = rows.with_columns(asked=asked).drop_nulls(["asked", "estimate"]).join(ends, on=by)
    rows = rows.filter(pl.col("step").is_not_null().any().over(*by, "asked"))
    return grouped(rows.with_columns(at=pl.coalesce("step", "last_step")), shown.presentation).sort("at")


def draw(tables: dict[str, pl.DataFrame], shown: Shown) -> alt.FacetChart | None:
    """Mean of a metric by training step: a line for each arm, thin ones for its seeds, the base in grey.

    tables: arm_scores, scores and last_steps by name. None if nothing was kept from the middle of training.
    """
    metric, presentation = shown.metric, shown.presentation
    arms = _by_step(tables["arm_scores"], tables["last_steps"], shown, list(ARM))
    if not len(arms):
        return None
    seeds = _by_step(tables["scores"], tables["last_steps"], shown, [*ARM, "seed"])
    means = means_of(tables["arm_scores"], metric, shown.question_set, shown.judge)
    base = means.filter(of_arm(BASE), eval_prompt="default").drop_nulls("estimate")
    order = in_order(arms["group"], presentation)
    panels = [asked for asked in (WITHOUT, WITH) if asked in set(arms["asked"])]
    columns = ["group", "asked", "at", "estimate"]
    # One table for all layers, since panels are cut out of one. The base has no step, and is asked by default alone.
    parts = [
        arms.select(*columns, "low", "high", line=pl.lit("arm")),
        seeds.select(*columns, "seed", line=pl.lit("seed")),
        base.select("estimate", group=pl.lit("Base model"), asked=pl.lit(WITHOUT), line=pl.lit("base")),
    ]
    data = pl.concat(parts if WITHOUT in panels else parts[:2], how="diagonal")
    x = alt.X(
        "at:Q",
        title="Optimiser step",
        scale=alt.Scale(zero=True),
        axis=alt.Axis(tickMinStep=1, grid=False, labelFlush=False),
    )
    y = alt.Y("estimate:Q", title=mean_title(metric), scale=metric_scale(metric))
    colour, dash = group_lines(order, presentation, "Trained with")
    chart = alt.Chart()
    tooltip = [
        alt.Tooltip("group:N", title="Model"),
        alt.Tooltip("at:Q", title="Step"),
        alt.Tooltip("seed:Q", title="Seed"),
        alt.Tooltip("estimate:Q", title=f"Mean {metric.title.lower()}", format=".1f"),
        alt.Tooltip("low:Q", title="95% interval from", format=".1f"),
        alt.Tooltip("high:Q", title="to", format=".1f"),
    ]
    of_arms = chart.transform_filter(alt.datum.line == "arm")
    few = len(order) <= _MOST_WITH_INTERVALS
    intervals = [
        of_arms.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1, opacity=0.6)
        .encode(x, alt.Y("low:Q"), colour, y2="high:Q")
    ]
    n_seeds = presentation["n_seeds"]
    lines = "ONE SEED." if n_seeds == 1 else f"Thick: mean over {n_seeds} seeds; thin: single seeds."
    grey = " Grey: the base model under the default prompt." if len(base) else ""
    return themed(
        alt.layer(
            chart.transform_filter(alt.datum.line == "base")
            .mark_rule(color=BASE_COLOUR, strokeWidth=2)
            .encode(y, tooltip=tooltip[3:4]),
            chart.transform_filter(alt.datum.line == "seed")
            .mark_line(strokeWidth=1, opacity=0.35)
            .encode(x, y, colour, dash, detail="seed:N"),
            *(intervals if few else []),
            of_arms.mark_line(strokeWidth=2.5).encode(x, y, colour, dash),
            of_arms.mark_point(size=36, filled=True, opacity=1).encode(x, y, colour, tooltip=tooltip),
            data=data,
        )
        .properties(width=340, height=300)
        .facet(
            column=alt.Column(
                "asked:N", sort=panels, title=None, header=alt.Header(labelFontWeight="bold", labelFontSize=13)
            )
        )
        .properties(
            title=alt.TitleParams(
                f"{shown.question_set_label}: {metric.title.lower()} by training step",
                subtitle=[
                    f"Means of kept adapters and, last, of the finished finetune, judged by '{shown.judge}'.",
                    f"{lines}{grey}",
                    "Upright lines: 95% intervals."
                    if few
                    else "95% intervals: in the HTML's tooltips and tables/arm_scores.parquet.",
                ],
            )
        )
    )
