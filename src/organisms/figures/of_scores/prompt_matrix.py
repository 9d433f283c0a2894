"""Who was trained with what and asked under what: the mean in each cell."""

import altair as alt
import polars as pl

from organisms.analysis.selecting import means_of
from organisms.figures.charts import LABEL_LIMIT, dark_below, heat_scale, mean_title, mean_tooltips, themed, written
from organisms.figures.groups import (
    asked_in_order,
    asked_under,
    elsewhere_note,
    grouped,
    in_order,
    told_apart_by,
    trained_with,
)
from organisms.figures.shown import Shown

NOTHING = "No completion has a score of this metric by this judge."


def draw(tables: dict[str, pl.DataFrame], shown: Shown) -> alt.LayerChart | None:
    """Heat map of means with their intervals: trained with (rows) × asked under (columns), a cell for every pair.

    tables: arm_scores by name. None if nothing has a score.
    """
    metric, presentation = shown.metric, shown.presentation
    rows = grouped(means_of(tables["arm_scores"], metric, shown.question_set, shown.judge), presentation)
    if not rows["estimate"].count():
        return None
    rows = rows.with_columns(asked=asked_under(presentation))
    order = in_order(rows["group"], presentation)
    prompts = asked_in_order(rows["asked"], presentation)
    pairs = pl.DataFrame({"group": order}).join(pl.DataFrame({"asked": prompts}), how="cross")
    few = max(len(order), len(prompts)) <= 10
    x = alt.X(
        "asked:N",
        title="Asked under",
        sort=prompts,
        axis=alt.Axis(
            labelAngle=-40, labelLimit=LABEL_LIMIT, labelOverlap=False, orient="bottom", domain=False, ticks=False
        ),
    )
    y = alt.Y(
        "group:N",
        title=trained_with(order, presentation),
        sort=order,
        axis=alt.Axis(labelLimit=LABEL_LIMIT, labelOverlap=False, domain=False, ticks=False),
    )
    # A dash between two numbers of which one is below 0 would be read as another minus.
    between = "–" if metric.low is not None and metric.low >= 0 else " to "
    chart = alt.Chart(
        rows.select("group", "asked", "estimate", "low", "high").with_columns(
            number=written("estimate", metric.digits).fill_null("–"),
            interval=pl.format(f"{{}}{between}{{}}", *(written(end, metric.digits) for end in ("low", "high"))),
        )
    )
    colour = alt.Color("estimate:Q", title=["Mean", metric.title.lower()], scale=heat_scale(metric))
    white = alt.condition(
        f"isValid(datum.estimate) && datum.estimate < {dark_below(metric)}", alt.value("white"), alt.value("black")
    )
    trained = told_apart_by(order, presentation)
    return themed(
        alt.layer(
            alt.Chart(pairs).mark_rect(fill="white", stroke="#dddddd").encode(x, y),
            chart.transform_filter("isValid(datum.estimate)")
            .mark_rect(stroke="white")
            .encode(x, y, colour, tooltip=mean_tooltips(metric)),
            chart.mark_text(fontSize=12 if few else 10, dy=-5).encode(x, y, alt.Text("number:N"), color=white),
            chart.transform_filter("isValid(datum.low)")
            .mark_text(fontSize=9 if few else 7.5, dy=8 if few else 6)
            .encode(x, y, alt.Text("interval:N"), color=white),
        ).properties(
            width=alt.Step(64 if few else 40),
            height=alt.Step(40 if few else 30),
            title=alt.TitleParams(
                f"{shown.question_set_label}: {trained} × eval prompt",
                subtitle=[
                    f"{mean_title(metric)}, judged by '{shown.judge}'. Small: 95% intervals.",
                    *elsewhere_note(order, presentation),
                    f"Empty: not asked; a dash: no score. {shown.seeds}",
                ],
            ),
        )
    )
