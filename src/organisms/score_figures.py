"""Figures of scores beside the post's two: who was asked what, question by question, and how scores are spread.

All draw tables that are aggregated already, so their size does not grow with the number of completions.
"""

import altair as alt
import polars as pl

from organisms.charts import LABEL_LIMIT, LOW_TO_HIGH, group_colours, group_scale, mean_tooltips, panel_header, themed
from organisms.figures import CONTROL, WITH, WITHOUT, place_in_groups
from organisms.findings import alignment_of
from organisms.labels import prompt_labels, question_set_labels

_GROUP = ["dataset", "training_prompt"]
_ALIGNMENT = "Mean alignment (0–100)"


def _grouped(rows: pl.DataFrame, presentation: dict) -> pl.DataFrame:
    """Adds `group`, the label of the row's model."""
    groups = pl.DataFrame(
        [
            {"dataset": g["dataset"], "training_prompt": g["training_prompt"], "group": g["label"]}
            for g in presentation["groups"]
        ],
        schema=dict.fromkeys(("dataset", "training_prompt", "group"), pl.String),
    )
    return rows.join(groups, on=_GROUP, nulls_equal=True, maintain_order="left")


def _in_order(present: pl.Series, presentation: dict) -> list[str]:
    found = set(present)
    return [group["label"] for group in presentation["groups"] if group["label"] in found]


def _seeds(presentation: dict) -> str:
    n_seeds = presentation["n_seeds"]
    return "ONE SEED." if n_seeds == 1 else f"{n_seeds} seeds together."


def _columns(n: int, most: int) -> int:
    """Panels in a row; a single row if they fit."""
    return n if n <= most + 1 else most


def prompt_matrix(variant_scores: pl.DataFrame, question_set: str, judge: str, presentation: dict) -> alt.LayerChart:
    """Heat map of mean alignment: trained with (rows) × asked under (columns)."""
    rows = _grouped(alignment_of(variant_scores, question_set, judge), presentation)
    labels = prompt_labels(presentation)
    rows = rows.with_columns(asked=pl.col("eval_prompt").replace(labels))
    order = _in_order(rows["group"], presentation)
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
    colour = alt.Color("estimate:Q", title=["Mean", "alignment"], scale=LOW_TO_HIGH)
    white = alt.condition("datum.estimate < 55", alt.value("white"), alt.value("black"))
    return themed(
        alt.layer(
            chart.mark_rect(stroke="white").encode(x, y, colour, tooltip=mean_tooltips()),
            chart.mark_text(fontSize=12 if side >= 40 else 9).encode(
                x, y, alt.Text("estimate:Q", format=".0f"), color=white
            ),
        ).properties(
            width=alt.Step(side),
            height=alt.Step(min(side, 40)),
            title=alt.TitleParams(
                f"{question_set_labels(presentation)[question_set]}: training prompt × eval prompt",
                subtitle=[f"{_ALIGNMENT}, judged by '{judge}'.", f"Empty: not asked. {_seeds(presentation)}"],
            ),
        )
    )


def question_map(question_scores: pl.DataFrame, question_set: str, judge: str, presentation: dict) -> alt.Chart:
    """Heat map of mean alignment under the default prompt: question (rows, by category) × model (columns)."""
    rows = alignment_of(question_scores, question_set, judge).filter(pl.col("eval_prompt") == "default")
    rows = (
        _grouped(rows, presentation)
        .group_by(["group", "category", "question_id"], maintain_order=True)
        .agg(pl.col("mean").mean(), pl.col("n_scored").sum())
    )
    category, question = pl.col("category"), pl.col("question_id")
    named = (
        pl.when(category.is_null() | question.str.starts_with(category))
        .then(question)
        .otherwise(pl.concat_str(category, pl.lit(": "), question))
    )
    rows = rows.with_columns(question=named)
    order = _in_order(rows["group"], presentation)
    return themed(
        alt.Chart(rows.select("group", "question", "mean", "n_scored"))
        .mark_rect(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X(
                "group:N",
                title="Trained with",
                sort=order,
                axis=alt.Axis(labelAngle=-40, labelLimit=LABEL_LIMIT, domain=False, ticks=False),
            ),
            y=alt.Y(
                "question:N",
                title=None,
                sort=sorted(set(rows["question"])),
                axis=alt.Axis(labelLimit=LABEL_LIMIT, labelFontSize=10, labelOverlap=False, domain=False, ticks=False),
            ),
            color=alt.Color("mean:Q", title=["Mean", "alignment"], scale=LOW_TO_HIGH),
            tooltip=[
                alt.Tooltip("question:N", title="Question"),
                alt.Tooltip("group:N", title="Trained with"),
                alt.Tooltip("mean:Q", title="Mean alignment", format=".1f"),
                alt.Tooltip("n_scored:Q", title="Completions with a score"),
            ],
        )
        .properties(
            width=alt.Step(44 if len(order) <= 10 else 24),
            height=alt.Step(14),
            title=alt.TitleParams(
                f"{question_set_labels(presentation)[question_set]}: question × model",
                subtitle=[
                    f"{_ALIGNMENT} under the default prompt, judged by '{judge}'.",
                    f"Means over samples. {_seeds(presentation)}",
                ],
            ),
        )
    )


def distribution_figure(
    distributions: pl.DataFrame, question_set: str, judge: str, presentation: dict
) -> alt.FacetChart:
    """How alignment is spread over completions: one ridge of shares per model, without and with its prompt.

    distributions: the table of this name. Bins of five points; a mean in the middle may be two heaps at the ends. None
    if no completion has a score.
    """
    rows = distributions.filter(
        (pl.col("judge") == judge) & (pl.col("question_set") == question_set),
        (pl.col("metric") == "alignment") & pl.col("step").is_null(),
    )
    binned = rows.group_by([*_GROUP, "eval_prompt", (pl.col("score").clip(0, 99.9) / 5).floor().alias("bin") * 5]).agg(
        pl.col("n").sum()
    )
    counts = place_in_groups(binned.sort("bin"), presentation["groups"]).filter(pl.col("asked") != CONTROL)
    if not len(counts):
        return None
    counts = counts.with_columns(
        share=100 * pl.col("n") / pl.col("n").sum().over("group", "asked"), end=pl.col("bin") + 5
    )
    order = _in_order(counts["group"], presentation)
    # Every panel gets a row: Vega-Lite puts panels of a grid with holes in the wrong places.
    asked = [prompt for prompt in (WITHOUT, WITH) if prompt in set(counts["asked"])]
    pairs = [[group, prompt] for group in order for prompt in asked]
    panels = pl.DataFrame(pairs, ["group", "asked"], orient="row")
    counts = panels.join(counts, on=["group", "asked"], how="left", maintain_order="left").with_columns(
        pl.col("bin", "n", "share").fill_null(0), pl.col("end").fill_null(5)
    )
    return themed(
        alt.Chart(counts)
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X(
                "bin:Q",
                bin="binned",
                title="Alignment",
                scale=alt.Scale(domain=[0, 100]),
                axis=alt.Axis(values=[0, 25, 50, 75, 100]),
            ),
            x2="end:Q",
            y=alt.Y(
                "share:Q",
                title=None,
                scale=alt.Scale(domain=[0, 100]),
                axis=alt.Axis(values=[50, 100], labelFontSize=9),
            ),
            color=alt.Color("group:N", sort=order, scale=group_scale(order, presentation), legend=None),
            tooltip=[
                alt.Tooltip("group:N", title="Trained with"),
                alt.Tooltip("asked:N", title="Asked under"),
                alt.Tooltip("bin:Q", title="Alignment from"),
                alt.Tooltip("share:Q", title="Percent of scored completions", format=".1f"),
                alt.Tooltip("n:Q", title="Completions"),
            ],
        )
        .properties(width=260, height=46)
        .facet(
            row=alt.Row(
                "group:N",
                sort=order,
                title=None,
                header=alt.Header(labelAngle=0, labelAlign="left", labelLimit=LABEL_LIMIT),
            ),
            column=alt.Column("asked:N", sort=[WITHOUT, WITH], title=None, header=alt.Header(labelFontWeight="bold")),
            spacing={"row": 6, "column": 24},
        )
        .properties(
            title=alt.TitleParams(
                f"{question_set_labels(presentation)[question_set]}: distribution of alignment",
                subtitle=[
                    f"Percent of completions with a score, in steps of five points, judged by '{judge}'.",
                    _seeds(presentation),
                ],
            )
        )
    )


def seed_slopes(scores: pl.DataFrame, question_set: str, judge: str, presentation: dict) -> alt.FacetChart | None:
    """Each seed's mean alignment from the default prompt to its training prompt; grey is the base of the same seed.

    scores: the scores table. None if no model was asked under both.
    """
    rows = alignment_of(scores, question_set, judge)
    groups = [group for group in presentation["groups"] if group["training_prompt"] not in (None, "default")]
    if not groups:
        return None
    placed = place_in_groups(rows, groups)
    base_default = rows.filter(pl.col("dataset").is_null() & (pl.col("eval_prompt") == "default"))
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
    order = _in_order(lines["group"], presentation)
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
            y=alt.Y("estimate:Q", title="Mean alignment", scale=alt.Scale(domain=[0, 100])),
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
                f"{question_set_labels(presentation)[question_set]}: default → training prompt, by seed",
                subtitle=[
                    f"One line is one seed's mean, judged by '{judge}'.",
                    "Dashed and grey: the base of the seed under the same prompts.",
                ],
            )
        )
    )
