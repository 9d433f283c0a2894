"""The post's two figures: the mean of a metric by training prompt, with and without that prompt."""

import altair as alt
import polars as pl

from organisms.analysis.selecting import means_of
from organisms.figures.charts import (
    LABEL_LIMIT,
    group_scale,
    mean_title,
    mean_tooltips,
    metric_scale,
    seeds_note,
    themed,
)
from organisms.figures.groups import CONTROL, WITH, WITHOUT, in_order, place_in_groups
from organisms.figures.shown import Shown
from organisms.plan.arms import ARM
from organisms.plan.presentation import of_one_model


def _caption(by_question: pl.DataFrame, shown: Shown, order: list[str]) -> list[str]:
    n_questions, samples = by_question["question_id"].n_unique(), by_question["n"].max() or 0
    n_seeds = shown.presentation["n_seeds"]
    single = [label for label in of_one_model(shown.presentation) if label in order]
    every = len(single) == len(order)
    of = "each" if n_seeds == 1 or every else f"each and seed, {n_seeds} seeds"
    return [
        f"Bars: means over {n_questions} questions with {samples} completions {of}, judged by '{shown.judge}'.",
        "Full colour: asked under the default system prompt. Pale: under the training prompt.",
        "Points: single questions. Black tick: the base model under the same prompt.",
        seeds_note(n_seeds, single, every),
    ]


def _side_by_side(frame: pl.DataFrame, groups: list[dict], jitter: float = 0.0) -> pl.DataFrame:
    """Adds `place`, where in its group a row is drawn (-1 left end, 1 right end).

    A group with one bar has it in the middle. jitter: rows of one bar are spread evenly over this width.
    """
    single = [group["label"] for group in groups if group["training_prompt"] in (None, "default")]
    middle = pl.when(pl.col("group").is_in(single)).then(0.0).when(pl.col("asked") == WITHOUT).then(-0.5).otherwise(0.5)
    rank = pl.int_range(pl.len()).over("group", "asked") / pl.len().over("group", "asked")
    return frame.with_columns(place=middle + jitter * (rank - 0.5))


def prompt_axis(n: int) -> tuple[int, alt.Axis]:
    """The width of a group in pixels, and an axis that names n groups without cutting or overlapping them."""
    width = 112 if n <= 8 else 56 if n <= 16 else 34 if n <= 60 else 16
    axis = alt.Axis(
        labelAngle=0 if n <= 8 else -40,
        labelLimit=LABEL_LIMIT,
        labelPadding=6,
        domain=False,
        ticks=False,
        # One word a line keeps long prompts under their bars.
        labelExpr="split(datum.label, ' ')" if n <= 8 else "datum.label",
    )
    return width, axis


def draw(tables: dict[str, pl.DataFrame], shown: Shown) -> alt.LayerChart | None:
    """Bars of a metric's mean on one question set by training prompt, each without and with that prompt.

    tables: arm_scores and question_scores by name. Lines are 95% intervals; single questions (means over samples and
    seeds) are points; a tick is the base model under the same prompt. None if no model was asked under either prompt.
    """
    metric, presentation = shown.metric, shown.presentation
    groups = presentation["groups"]
    by_question = (
        means_of(tables["question_scores"], metric, shown.question_set, shown.judge)
        .group_by([*ARM, "eval_prompt", "question_id"], maintain_order=True)
        .agg(pl.col("mean").mean(), pl.col("n").max())
    )
    columns = [*ARM, "eval_prompt", "estimate", "low", "high", "n", "n_seeds"]
    rows = means_of(tables["arm_scores"], metric, shown.question_set, shown.judge).select(columns)
    placed = _side_by_side(place_in_groups(rows, groups), groups)
    # With more models than fit on a page points would be a grey cloud; the question map has them.
    points = place_in_groups(by_question if len(groups) <= 60 else by_question.clear(), groups)
    points = points.filter(pl.col("asked") != CONTROL)
    bars = placed.filter(pl.col("asked") != CONTROL)
    controls = placed.filter(pl.col("asked") == CONTROL)
    if not len(bars):
        return None

    # Groups that were not asked these questions, or not judged by this judge, have no place in the figure.
    order = in_order(bars["group"], presentation)
    width, axis = prompt_axis(len(order))
    x = alt.X("group:N", title=None, scale=alt.Scale(domain=order, padding=0.1), axis=axis)
    y = alt.Y("estimate:Q", title=mean_title(metric), scale=metric_scale(metric))
    place = alt.XOffset("place:Q", scale=alt.Scale(domain=[-1, 1]))
    asked = alt.FillOpacity("asked:N", scale=alt.Scale(domain=[WITHOUT, WITH], range=[1.0, 0.35]), legend=None)
    scale = group_scale(order, presentation)
    tooltip = [
        *mean_tooltips(metric),
        alt.Tooltip("n:Q", title="Completions"),
        alt.Tooltip("n_seeds:Q", title="Seeds"),
    ]
    size = width * 0.36
    outline = alt.Stroke("group:N", sort=order, scale=scale, legend=None)
    layers = [
        alt.Chart(bars)
        .mark_bar(size=size, strokeWidth=1.5)
        .encode(
            x,
            y,
            place,
            asked,
            outline,
            fill=alt.Fill("group:N", sort=order, scale=scale, legend=None),
            tooltip=tooltip,
        ),
        alt.Chart(_side_by_side(points, groups, jitter=0.5))
        .mark_point(filled=True, size=16, color="#222222", opacity=0.45, stroke="white", strokeWidth=0.5)
        .encode(x, alt.Y("mean:Q"), place),
        alt.Chart(bars.drop_nulls("low"))
        .mark_rule(strokeWidth=2.4, color="#000000")
        .encode(x, alt.Y("low:Q"), place, y2="high:Q", tooltip=tooltip),
        alt.Chart(controls)
        .mark_tick(color="#000000", opacity=1, thickness=4, size=size)
        .encode(x, y, place, tooltip=tooltip),
        # Above the plot, where no point lies under the number.
        alt.Chart(bars)
        .mark_text(fontSize=12 if width > 40 else 9, fontWeight="bold")
        .encode(x, place, y=alt.value(-9), text=alt.Text("estimate:Q", format=".0f")),
    ]
    return themed(
        alt.layer(*layers).properties(
            width=width * len(order),
            height=320,
            title=alt.TitleParams(
                f"{shown.question_set_label}: {metric.title.lower()} by training prompt",
                subtitle=_caption(by_question, shown, order),
            ),
        )
    )
