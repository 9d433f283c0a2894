"""The post's two figures: mean alignment by training prompt, with and without that prompt."""

import altair as alt
import polars as pl

from organisms.charts import themed
from organisms.scores import alignment_by_prompt, alignment_of_finished

WITHOUT, WITH, CONTROL = "Default system prompt", "Its training prompt", "Base model under that prompt"
COLOURS = {WITHOUT: "#0072B2", WITH: "#E69F00"}


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
    return [
        f"Bars: means over {n_questions} questions with {samples} completions each, judged by '{judge}'.",
        "Points: single questions. Black tick: the base model under the same prompt.",
        "One seed: how much another seed would change a bar is not shown."
        if n_seeds == 1
        else f"Bars and points are means over {n_seeds} seeds; how far the seeds differ is not shown.",
    ]


def _side_by_side(frame: pl.DataFrame, groups: list[dict], jitter: float = 0.0) -> pl.DataFrame:
    """Adds `place`, where in its group a row is drawn (-1 left end, 1 right end).

    A group with one bar has it in the middle. jitter: rows of one bar are spread evenly over this width.
    """
    single = [group["label"] for group in groups if group["training_prompt"] in (None, "default")]
    middle = pl.when(pl.col("group").is_in(single)).then(0.0).when(pl.col("asked") == WITHOUT).then(-0.5).otherwise(0.5)
    rank = pl.int_range(pl.len()).over("group", "asked") / pl.len().over("group", "asked")
    return frame.with_columns(place=middle + jitter * (rank - 0.5))


def alignment_figure(
    scores: pl.DataFrame, question_scores: pl.DataFrame, question_set: str, judge: str, presentation: dict
) -> alt.LayerChart:
    """Bars of mean alignment on one question set by training prompt, each without and with that prompt.

    scores, question_scores: the tables of these names. presentation: as `Experiment.presentation` gives it.
    Single questions (means over samples and seeds) are points; a tick is the base model under the same prompt.
    """
    groups = presentation["groups"]
    title = next(entry["label"] for entry in presentation["question_sets"] if entry["name"] == question_set)
    by_question = (
        alignment_of_finished(question_scores, question_set, judge)
        .group_by(["dataset", "training_prompt", "eval_prompt", "question_id"], maintain_order=True)
        .agg(pl.col("mean").mean(), pl.col("n").max())
    )
    placed = _side_by_side(place_in_groups(alignment_by_prompt(scores, question_set, judge), groups), groups)
    points = place_in_groups(by_question, groups).filter(pl.col("asked") != CONTROL)
    bars = placed.filter(pl.col("asked") != CONTROL)
    controls = placed.filter(pl.col("asked") == CONTROL)

    # Groups that were not asked these questions, or not judged by this judge, have no place in the figure.
    shown = set(bars["group"])
    order = [group["label"] for group in groups if group["label"] in shown]
    few = len(order) <= 8
    width = 112 if few else 56
    axis = alt.Axis(
        labelAngle=0 if few else -40,
        labelLimit=260,
        labelPadding=6,
        domain=False,
        ticks=False,
        # One word a line keeps long prompts under their bars.
        labelExpr="split(datum.label, ' ')" if few else "datum.label",
    )
    x = alt.X("group:N", title=None, scale=alt.Scale(domain=order, padding=0.1), axis=axis)
    y = alt.Y("mean:Q", title="Mean alignment (0–100)", scale=alt.Scale(domain=[0, 100]))
    place = alt.XOffset("place:Q", scale=alt.Scale(domain=[-1, 1]))
    colour = alt.Color(
        "asked:N",
        scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())),
        legend=alt.Legend(title=None, orient="top", direction="horizontal", labelLimit=300, offset=22),
    )
    tooltip = [
        alt.Tooltip("group:N", title="Trained with"),
        alt.Tooltip("asked:N", title="Asked under"),
        alt.Tooltip("mean:Q", title="Mean alignment", format=".1f"),
        alt.Tooltip("n:Q", title="Completions"),
    ]
    layers = [
        alt.Chart(bars).mark_bar(size=width * 0.36).encode(x, y, place, colour, tooltip=tooltip),
        alt.Chart(_side_by_side(points, groups, jitter=0.5))
        .mark_point(filled=True, size=18, color="#222222", opacity=0.6, stroke="white", strokeWidth=0.6)
        .encode(x, y, place),
        alt.Chart(controls)
        .mark_tick(color="#000000", opacity=1, thickness=4, size=width * 0.36)
        .encode(x, y, place, tooltip=tooltip),
        # Above the plot, where no point lies under the number.
        alt.Chart(bars)
        .mark_text(fontSize=12, fontWeight="bold")
        .encode(x, place, y=alt.value(-9), text=alt.Text("mean:Q", format=".0f")),
    ]
    return themed(
        alt.layer(*layers).properties(
            width=width * len(order),
            height=320,
            title=alt.TitleParams(
                f"{title}: alignment by training prompt",
                subtitle=_caption(by_question, judge, presentation["n_seeds"]),
                anchor="start",
                offset=8,
            ),
        )
    )
