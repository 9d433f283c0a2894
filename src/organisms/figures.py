"""The post's two figures: mean alignment by training prompt, with and without that prompt.

One theme for all figures stands here: colours that the common kinds of colour blindness keep apart (Okabe and
Ito 2008), text large enough to be read at the size of a page.
"""

from pathlib import Path

import altair as alt
import polars as pl

from organisms.files import whole_file
from organisms.scores import alignment_by_prompt

WITHOUT, WITH, CONTROL = "Default system prompt", "Its training prompt", "Base model under that prompt"
COLOURS = {WITHOUT: "#0072B2", WITH: "#E69F00"}
FONT = "DejaVu Sans, Arial, sans-serif"
GROUP_WIDTH = 110


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
        under_trained = pl.col("eval_prompt") == group["training_prompt"]
        asked = (
            pl.when(own & under_default)
            .then(pl.lit(WITHOUT))
            .when(own & under_trained)
            .then(pl.lit(WITH))
            .when(pl.col("dataset").is_null() & under_trained & ~under_default)
            .then(pl.lit(CONTROL))
        )
        parts.append(frame.with_columns(group=pl.lit(group["label"]), asked=asked).filter(pl.col("asked").is_not_null()))
    return pl.concat(parts)


def _caption(scores: pl.DataFrame, by_question: pl.DataFrame, judge: str, n_seeds: int) -> list[str]:
    n_questions = by_question["question_id"].n_unique()
    samples = by_question["n"].max() if len(by_question) else 0
    seeds = (
        "One seed: how much another seed would change a bar is not shown."
        if n_seeds == 1
        else f"Bars are means over {n_seeds} seeds; their spread is not shown."
    )
    return [
        f"Each bar: {n_questions} questions, {samples} completions each, judged by '{judge}'. Points: single questions.",
        f"Black tick: the base model under the same prompt. {seeds}",
    ]


def alignment_figure(
    scores: pl.DataFrame, question_scores: pl.DataFrame, question_set: str, judge: str, presentation: dict
) -> alt.LayerChart:
    """Bars of mean alignment on one question set by training prompt, each without and with that prompt.

    scores, question_scores: the tables of these names. presentation: as `Experiment.presentation` gives it.
    Single questions (means over samples and seeds) are points; a tick is the base model under the same prompt.
    """
    groups = presentation["groups"]
    by_question = (
        question_scores.filter(
            (pl.col("judge") == judge) & (pl.col("question_set") == question_set) & (pl.col("metric") == "alignment")
        )
        .group_by(["dataset", "training_prompt", "eval_prompt", "question_id"], maintain_order=True)
        .agg(pl.col("mean").mean(), pl.col("n").max())
    )
    points = place_in_groups(by_question, groups).filter(pl.col("asked") != CONTROL)
    placed = place_in_groups(alignment_by_prompt(scores, question_set, judge), groups)
    order = [group["label"] for group in groups]
    few = len(order) <= 8
    axis = alt.Axis(
        labelAngle=0 if few else -40,
        labelLimit=260,
        labelPadding=6,
        domain=False,
        ticks=False,
        # One word a line keeps long prompts under their bars.
        labelExpr="split(datum.label, ' ')" if few else "datum.label",
    )
    x = alt.X("group:N", title=None, scale=alt.Scale(domain=order, paddingInner=0.22, paddingOuter=0.12), axis=axis)
    y = alt.Y("mean:Q", title="Mean alignment (0–100)", scale=alt.Scale(domain=[0, 100]))
    offset = alt.XOffset("asked:N", scale=alt.Scale(domain=[WITHOUT, WITH]))
    colour = alt.Color(
        "asked:N",
        scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())),
        legend=alt.Legend(title="Asked under", orient="top", direction="horizontal", labelLimit=300),
    )
    tooltip = [
        alt.Tooltip("group:N", title="Trained with"),
        alt.Tooltip("asked:N", title="Asked under"),
        alt.Tooltip("mean:Q", title="Mean alignment", format=".1f"),
        alt.Tooltip("n:Q", title="Completions"),
    ]
    bars = alt.Chart(placed.filter(pl.col("asked") != CONTROL))
    controls = placed.filter(pl.col("asked") == CONTROL).with_columns(asked=pl.lit(WITH))
    layers = [
        bars.mark_bar().encode(x, y, offset, colour, tooltip=tooltip),
        alt.Chart(points).mark_circle(size=16, opacity=0.25, color="#000000").encode(x, y, offset),
        alt.Chart(controls).mark_tick(color="#000000", thickness=3, width=34).encode(x, y, offset, tooltip=tooltip),
        bars.mark_text(baseline="bottom", dy=-3, fontSize=12, fontWeight="bold").encode(
            x, offset, alt.Y("mean:Q"), text=alt.Text("mean:Q", format=".0f")
        ),
    ]
    return (
        alt.layer(*layers)
        .properties(
            width=GROUP_WIDTH * len(order) if few else 60 * len(order),
            height=320,
            title=alt.TitleParams(
                presentation["question_sets"][question_set],
                subtitle=_caption(scores, by_question, judge, presentation["n_seeds"]),
                anchor="start",
                offset=10,
            ),
        )
        .configure(font=FONT)
        .configure_axis(labelFontSize=12, titleFontSize=13, gridColor="#e5e5e5")
        .configure_legend(labelFontSize=12, titleFontSize=12)
        .configure_title(fontSize=16, subtitleFontSize=12, subtitleColor="#444444")
        .configure_view(stroke=None)
    )


def save(chart: alt.LayerChart, path: str | Path) -> None:
    """Write a chart as its file name's ending says (.png, .svg, .html), whole or not at all.

    The HTML holds all that it needs and opens without internet.
    """
    with whole_file(path) as temporary:
        options = {".png": {"scale_factor": 2}, ".html": {"inline": True}}.get(Path(path).suffix, {})
        chart.save(str(temporary), **options)
