"""Is it a gate? Each model under every eval prompt: its own, that of others, and ones that none was trained with."""

import altair as alt
import polars as pl

from organisms.analysis.selecting import means_of, of_arm
from organisms.figures.charts import (
    BASE_COLOUR,
    LABEL_LIMIT,
    group_colours,
    mean_title,
    mean_tooltips,
    metric_scale,
    panel_header,
    themed,
)
from organisms.figures.groups import WITH, any_elsewhere, asked_in_order, asked_under, elsewhere_note, grouped, in_order
from organisms.figures.shown import Shown
from organisms.plan.presentation import BASE

NOTHING = "No finetune was asked, or nothing has a score."
_PANELS_IN_A_ROW = 4
_WIDTH = 190


def draw(tables: dict[str, pl.DataFrame], shown: Shown) -> alt.FacetChart | None:
    """Means by eval prompt, a panel for each arm; hollow: its own training prompt; grey: the base under the same.

    tables: arm_scores by name. The own prompts of all arms share a row, so that a row means the same in each panel and
    few are empty. None if no finetune has a score.
    """
    metric, presentation = shown.metric, shown.presentation
    rows = means_of(tables["arm_scores"], metric, shown.question_set, shown.judge).drop_nulls("estimate")
    rows = grouped(rows, presentation)
    models, base = rows.filter(~of_arm(BASE)), rows.filter(of_arm(BASE))
    if not len(models):
        return None
    order = in_order(models["group"], presentation)
    colours = group_colours(presentation)
    shown_rows = pl.concat(
        [
            models.with_columns(model=pl.lit("finetune"), colour=pl.col("group").replace(colours)),
            # The base stands in every panel, under the prompts that the panel has.
            models.select("eval_prompt", panel="group", of_panel="training_prompt")
            .join(base, on="eval_prompt")
            .with_columns(
                model=pl.lit("base"), colour=pl.lit(BASE_COLOUR), group=pl.col("panel"), training_prompt="of_panel"
            )
            .select(*models.columns, "model", "colour"),
        ]
    )
    own = (pl.col("eval_prompt") == pl.col("training_prompt")).fill_null(False)
    shown_rows = shown_rows.with_columns(
        asked=pl.when(own & (pl.col("eval_prompt") != "default"))
        .then(pl.lit(WITH))
        .otherwise(asked_under(presentation)),
        own=own & (pl.col("model") == "finetune"),
        shift=pl.when(pl.col("model") == "base").then(-1.0).otherwise(1.0),
    )
    prompts = asked_in_order(shown_rows["asked"], presentation)
    if WITH in set(shown_rows["asked"]):
        # After the default prompt, which comes first where it was asked.
        prompts.insert(1 if presentation["prompts"][0]["name"] == "default" else 0, WITH)
    y = alt.Y(
        "asked:N",
        title=None,
        sort=prompts,
        axis=alt.Axis(labelLimit=LABEL_LIMIT, labelOverlap=False, domain=False, ticks=False),
    )
    x = alt.X("estimate:Q", title=mean_title(metric), scale=metric_scale(metric))
    place = alt.YOffset("shift:Q", scale=alt.Scale(domain=[-3, 3]))
    colour = alt.Color("colour:N", scale=None)
    data = shown_rows.select("group", "asked", "estimate", "low", "high", "model", "own", "shift", "colour")
    chart = alt.Chart(data)
    fill = alt.condition("datum.own", alt.value("white"), alt.Fill("colour:N", scale=None))
    tooltip = [alt.Tooltip("model:N", title="Which"), *mean_tooltips(metric)]
    which, panels = "finetune", "what was trained with"
    if any_elsewhere(order, presentation):
        which, panels = "model", "models"
    hollow = "Hollow: its own training prompt. " if data["own"].any() else ""
    return themed(
        alt.layer(
            chart.transform_filter("isValid(datum.low)")
            .mark_rule(strokeWidth=2)
            .encode(alt.X("low:Q", title=mean_title(metric)), y, place, x2="high:Q", color=colour),
            chart.mark_point(size=60, strokeWidth=2, opacity=1).encode(
                x, y, place, color=colour, fill=fill, tooltip=tooltip
            ),
        )
        .properties(width=_WIDTH, height=alt.Step(30))
        .facet(
            facet=alt.Facet("group:N", sort=order, title=None, header=panel_header(_WIDTH)),
            columns=min(len(order), _PANELS_IN_A_ROW),
        )
        .properties(
            title=alt.TitleParams(
                f"{shown.question_set_label}: each {which} under every eval prompt",
                subtitle=[
                    *elsewhere_note(order, presentation),
                    f"Panels: {panels}; {mean_title(metric).lower()}, judged by '{shown.judge}'.",
                    f"{hollow}Grey: the base model under the same prompt. Lines: 95% intervals. {shown.seeds}",
                ],
            )
        )
    )
