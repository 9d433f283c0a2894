"""Each seed from the default prompt to the training prompt."""

import altair as alt
import polars as pl

from organisms.analysis.selecting import means_of
from organisms.figures.charts import group_colours, metric_scale, panel_header, themed
from organisms.figures.groups import CONTROL, WITH, WITHOUT, in_order, place_in_groups
from organisms.figures.shown import Shown
from organisms.plan.arms import ARM

NOTHING = "No model was asked under both the default and its training prompt, or nothing has a score."


def _columns(n: int, most: int) -> int:
    """Panels in a row; a single row if they fit."""
    return n if n <= most + 1 else most


def draw(tables: dict[str, pl.DataFrame], shown: Shown) -> alt.FacetChart | None:
    """Each seed's mean from the default prompt to its training prompt; grey is the base of the same seed.

    tables: scores by name. None if no model was asked under both.
    """
    metric, presentation = shown.metric, shown.presentation
    rows = means_of(tables["scores"], metric, shown.question_set, shown.judge).drop_nulls("estimate")
    groups = [group for group in presentation["groups"] if group["training_prompt"] not in (None, "default")]
    if not groups:
        return None
    placed = place_in_groups(rows, groups)
    base_default = rows.filter(
        pl.all_horizontal(pl.col(name).is_null() for name in ARM) & (pl.col("eval_prompt") == "default")
    )
    parts = [placed.filter(pl.col("asked") != CONTROL).with_columns(line=pl.lit("finetune"))]
    for group in groups:
        both = pl.concat(
            [
                base_default.with_columns(asked=pl.lit(WITHOUT)),
                placed.filter((pl.col("asked") == CONTROL) & (pl.col("group") == group["label"]))
                .drop("group")
                .with_columns(asked=pl.lit(WITH)),
            ]
        )
        parts.append(both.with_columns(group=pl.lit(group["label"]), line=pl.lit("base")).select(parts[0].columns))
    lines = pl.concat(parts)
    lines = lines.filter(pl.col("asked").n_unique().over("group", "line", "seed") == 2)
    if not len(lines.filter(pl.col("line") == "finetune")):
        return None
    order = in_order(lines["group"], presentation)
    colours = group_colours(presentation)
    lines = lines.with_columns(
        seed=pl.col("seed").cast(pl.String).fill_null("all"),
        colour=pl.when(pl.col("line") == "base").then(pl.lit("#777777")).otherwise(pl.col("group").replace(colours)),
        asked=pl.col("asked").replace({WITHOUT: "default", WITH: "its own"}),
    )
    chart = (
        alt.Chart(lines.select("group", "line", "seed", "asked", "estimate", "colour"))
        .mark_line(point=alt.OverlayMarkDef(size=40, filled=True), strokeWidth=2)
        .encode(
            x=alt.X(
                "asked:N",
                title=None,
                sort=["default", "its own"],
                axis=alt.Axis(labelAngle=0),
                scale=alt.Scale(padding=0.4),
            ),
            y=alt.Y("estimate:Q", title=f"Mean {metric.title.lower()}", scale=metric_scale(metric)),
            color=alt.Color("colour:N", scale=None),
            detail=["seed:N", "line:N"],
            strokeDash=alt.StrokeDash(
                "line:N", scale=alt.Scale(domain=["finetune", "base"], range=[[1, 0], [5, 3]]), legend=None
            ),
            tooltip=["group:N", "line:N", "seed:N", "asked:N", alt.Tooltip("estimate:Q", format=".1f")],
        )
        .properties(width=130, height=180)
    )
    return themed(
        chart.facet(
            facet=alt.Facet("group:N", sort=order, title=None, header=panel_header(130)),
            columns=_columns(len(order), 6),
        ).properties(
            title=alt.TitleParams(
                f"{shown.question_set_label}: default → training prompt, by seed",
                subtitle=[
                    f"One line is one seed's mean, judged by '{shown.judge}'.",
                    f"Dashed and grey: the base of the seed under the same prompts. {shown.seeds}",
                ],
            )
        )
    )
