"""The post's two figures: mean alignment by training prompt, with and without that prompt."""

import altair as alt
import polars as pl

from organisms.charts import LABEL_LIMIT, group_scale, mean_tooltips, seeds_note, themed
from organisms.findings import alignment_of
from organisms.labels import question_set_labels

WITHOUT, WITH, CONTROL = "Default system prompt", "Its training prompt", "Base model under that prompt"
_GROUP = ["dataset", "training_prompt"]


def place_in_groups(frame: pl.DataFrame, groups: list[dict]) -> pl.DataFrame:
    """The rows of a table of means that the figure shows, each with its group's label and what was asked under.

    frame: rows with dataset, training_prompt and eval_prompt. groups: as in `Experiment.presentation`.
    Adds `group` and `asked`: WITHOUT for the default prompt, WITH for the prompt that the model was trained with,
    CONTROL for the base model under the group's training prompt (so one row of the base may stand in several
    groups). Other rows are left out. A model trained with the default prompt has only WITHOUT.
    """
    parts = []
    for group in groups:
        own = pl.col("dataset").eq_missing(group["dataset"]) & pl.col("training_prompt").eq_missing(
            group["training_prompt"]
        )
        under_default = pl.col("eval_prompt") == "default"
        under_trained = pl.col("eval_prompt") == pl.lit(group["training_prompt"], pl.String)
        asked = (
            pl.when(own & under_default)
            .then(pl.lit(WITHOUT))
            .when(own & under_trained)
            .then(pl.lit(WITH))
            .when(pl.col("dataset").is_null() & under_trained & ~under_default)
            .then(pl.lit(CONTROL))
        )
        parts.append(
            frame.with_columns(group=pl.lit(group["label"]), asked=asked).filter(pl.col("asked").is_not_null())
        )
    return pl.concat(parts)


def _caption(by_question: pl.DataFrame, judge: str, n_seeds: int) -> list[str]:
    n_questions, samples = by_question["question_id"].n_unique(), by_question["n"].max() or 0
    of = "each" if n_seeds == 1 else f"each and seed, {n_seeds} seeds"
    return [
        f"Bars: means over {n_questions} questions with {samples} completions {of}, judged by '{judge}'.",
        "Full colour: asked under the default system prompt. Pale: under the training prompt.",
        "Points: single questions. Black tick: the base model under the same prompt.",
        seeds_note(n_seeds),
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


def alignment_figure(
    variant_scores: pl.DataFrame, question_scores: pl.DataFrame, question_set: str, judge: str, presentation: dict
) -> alt.LayerChart:
    """Bars of mean alignment on one question set by training prompt, each without and with that prompt.

    variant_scores, question_scores: the tables of these names. presentation: as `Experiment.presentation` gives it.
    Lines are 95% intervals; single questions (means over samples and seeds) are points; a tick is the base model under
    the same prompt.
    """
    groups = presentation["groups"]
    by_question = (
        alignment_of(question_scores, question_set, judge)
        .group_by([*_GROUP, "eval_prompt", "question_id"], maintain_order=True)
        .agg(pl.col("mean").mean(), pl.col("n").max())
    )
    columns = [*_GROUP, "eval_prompt", "estimate", "low", "high", "n", "n_seeds"]
    rows = alignment_of(variant_scores, question_set, judge).select(columns)
    placed = _side_by_side(place_in_groups(rows, groups), groups)
    # With more models than fit on a page points would be a grey cloud; the question map has them.
    points = place_in_groups(by_question if len(groups) <= 60 else by_question.clear(), groups)
    points = points.filter(pl.col("asked") != CONTROL)
    bars = placed.filter(pl.col("asked") != CONTROL)
    controls = placed.filter(pl.col("asked") == CONTROL)

    # Groups that were not asked these questions, or not judged by this judge, have no place in the figure.
    shown = set(bars["group"])
    order = [group["label"] for group in groups if group["label"] in shown]
    width, axis = prompt_axis(len(order))
    x = alt.X("group:N", title=None, scale=alt.Scale(domain=order, padding=0.1), axis=axis)
    y = alt.Y("estimate:Q", title="Mean alignment (0–100)", scale=alt.Scale(domain=[0, 100]))
    place = alt.XOffset("place:Q", scale=alt.Scale(domain=[-1, 1]))
    asked = alt.FillOpacity("asked:N", scale=alt.Scale(domain=[WITHOUT, WITH], range=[1.0, 0.35]), legend=None)
    scale = group_scale(order, presentation)
    tooltip = [
        *mean_tooltips(),
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
                f"{question_set_labels(presentation)[question_set]}: alignment by training prompt",
                subtitle=_caption(by_question, judge, presentation["n_seeds"]),
            ),
        )
    )
