"""How a metric is spread over completions."""

import altair as alt
import polars as pl

from organisms.analysis.selecting import last_answers
from organisms.figures.charts import LABEL_LIMIT, group_scale, themed
from organisms.figures.groups import CONTROL, ELSEWHERE, WITH, WITHOUT, elsewhere_note, in_order, place_in_groups
from organisms.figures.shown import Shown
from organisms.plan.arms import ARM

NOTHING = "No completion has a score of this metric by this judge, or the metric has no bounds."


def draw(tables: dict[str, pl.DataFrame], shown: Shown) -> alt.FacetChart | None:
    """How scores are spread over completions: one ridge of shares per model, without and with its prompt.

    tables: distributions by name. Twenty bins; a mean in the middle may be two heaps at the ends. None if no completion
    has a score, or the metric has no bounds.
    """
    metric, presentation = shown.metric, shown.presentation
    if metric.bounds is None:
        return None
    least, most = metric.bounds
    step = (most - least) / 20
    rows = last_answers(
        tables["distributions"].filter(
            (pl.col("judge") == shown.judge) & (pl.col("question_set") == shown.question_set),
            (pl.col("metric") == metric.name) & pl.col("step").is_null(),
        )
    )
    # A score on a border belongs to the bin above it, however it is rounded; the greatest to the last one.
    number = ((pl.col("score") - least) / step + 1e-6).floor().clip(0, 19)
    binned = rows.group_by([*ARM, "eval_prompt", (number * step + least).alias("bin")]).agg(pl.col("n").sum())
    counts = place_in_groups(binned.sort("bin"), presentation["groups"]).filter(pl.col("asked") != CONTROL)
    if not len(counts):
        return None
    counts = counts.with_columns(
        share=100 * pl.col("n") / pl.col("n").sum().over("group", "asked"), end=pl.col("bin") + step
    )
    order = in_order(counts["group"], presentation)
    # Every panel gets a row: Vega-Lite puts panels of a grid with holes in the wrong places.
    asked = [prompt for prompt in (WITHOUT, WITH, ELSEWHERE) if prompt in set(counts["asked"])]
    pairs = [[group, prompt] for group in order for prompt in asked]
    panels = pl.DataFrame(pairs, ["group", "asked"], orient="row")
    counts = panels.join(counts, on=["group", "asked"], how="left", maintain_order="left").with_columns(
        pl.col("bin").fill_null(least), pl.col("n", "share").fill_null(0), pl.col("end").fill_null(least + step)
    )
    return themed(
        alt.Chart(counts)
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X(
                "bin:Q",
                bin="binned",
                title=metric.title,
                scale=alt.Scale(domain=[least, most]),
                axis=alt.Axis(values=[least + (most - least) * part / 4 for part in range(5)]),
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
                alt.Tooltip("group:N", title="Model"),
                alt.Tooltip("asked:N", title="Asked under"),
                alt.Tooltip("bin:Q", title=f"{metric.title} from"),
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
            column=alt.Column("asked:N", sort=asked, title=None, header=alt.Header(labelFontWeight="bold")),
            spacing={"row": 6, "column": 24},
        )
        .properties(
            title=alt.TitleParams(
                f"{shown.question_set_label}: distribution of {metric.title.lower()}",
                subtitle=[
                    f"Percent of completions with a score, in steps of {step:g} {metric.unit}, judged by "
                    f"'{shown.judge}'.",
                    *elsewhere_note(order, presentation),
                    shown.seeds,
                ],
            )
        )
    )
