"""Who was trained with what and asked under what: the mean in each cell."""

import altair as alt
import polars as pl

from organisms.analysis.selecting import means_of
from organisms.figures.charts import LABEL_LIMIT, dark_below, heat_scale, mean_title, mean_tooltips, themed
from organisms.figures.groups import grouped, in_order
from organisms.figures.shown import Shown
from organisms.plan.presentation import prompt_labels


def draw(tables: dict[str, pl.DataFrame], shown: Shown) -> alt.LayerChart:
    """Heat map of means: trained with (rows) × asked under (columns). tables: arm_scores by name."""
    metric, presentation = shown.metric, shown.presentation
    rows = grouped(means_of(tables["arm_scores"], metric, shown.question_set, shown.judge), presentation)
    labels = prompt_labels(presentation)
    rows = rows.with_columns(asked=pl.col("eval_prompt").replace(labels))
    order = in_order(rows["group"], presentation)
    prompts = [entry["label"] for entry in presentation["prompts"] if entry["label"] in set(rows["asked"])]
    side = 64 if max(len(order), len(prompts)) <= 10 else 30
    x = alt.X(
        "asked:N",
        title="Asked under",
        sort=prompts,
        axis=alt.Axis(labelAngle=-40, labelLimit=LABEL_LIMIT, orient="bottom", domain=False, ticks=False),
    )
    y = alt.Y(
        "group:N", title="Trained with", sort=order, axis=alt.Axis(labelLimit=LABEL_LIMIT, domain=False, ticks=False)
    )
    chart = alt.Chart(rows.select("group", "asked", "estimate", "low", "high"))
    colour = alt.Color("estimate:Q", title=["Mean", metric.title.lower()], scale=heat_scale(metric))
    white = alt.condition(f"datum.estimate < {dark_below(metric)}", alt.value("white"), alt.value("black"))
    # Where cells are too small for it, the interval is in the tooltip.
    between = "format(datum.low, '.0f') + ' to ' + format(datum.high, '.0f')"
    intervals = (
        [
            chart.transform_filter("isValid(datum.low)")
            .transform_calculate(between=between)
            .mark_text(fontSize=9, dy=8)
            .encode(x, y, alt.Text("between:N"), color=white)
        ]
        if side >= 40
        else []
    )
    return themed(
        alt.layer(
            chart.mark_rect(stroke="white").encode(x, y, colour, tooltip=mean_tooltips(metric)),
            chart.mark_text(fontSize=12 if side >= 40 else 9, dy=-5 if side >= 40 else 0).encode(
                x, y, alt.Text("estimate:Q", format=".0f"), color=white
            ),
            *intervals,
        ).properties(
            width=alt.Step(side),
            height=alt.Step(min(side, 40)),
            title=alt.TitleParams(
                f"{shown.question_set_label}: training prompt × eval prompt",
                subtitle=[
                    f"{mean_title(metric)}, judged by '{shown.judge}'. Small: 95% intervals.",
                    f"Empty: not asked. {shown.seeds}",
                ],
            ),
        )
    )
