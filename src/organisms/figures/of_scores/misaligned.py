"""The field's headline number: percent misaligned among coherent answers, and how many answers were incoherent."""

import altair as alt
import polars as pl

from organisms.analysis.selecting import shares_of
from organisms.figures.bars import Bars
from organisms.figures.charts import themed
from organisms.figures.groups import told_apart_by
from organisms.figures.shown import Shown
from organisms.plan.arms import ARM

NOTHING = "Shares misaligned are of the main metric, by a judge that scores coherence too; no answer was coherent here."


def _counted(numbers: pl.Series) -> str:
    least, most = numbers.min(), numbers.max()
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def draw(tables: dict[str, pl.DataFrame], shown: Shown) -> alt.VConcatChart | None:
    """Bars of the percent of coherent completions that are misaligned, as in `means`; below, what was incoherent.

    tables: arm_scores and question_scores by name. None without a threshold, or if no completion is coherent.
    """
    if shown.threshold is None:
        return None

    def shares(table: str, measure: str = "misaligned_of_coherent") -> pl.DataFrame:
        of = (shown.metric, shown.question_set, shown.judge)
        return shares_of(tables[table], *of, measure, shown.threshold.name)

    bars = Bars(shares("arm_scores"), shown.presentation)
    if not bars.bars["estimate"].count():
        return None
    by_question = (
        shares("question_scores")
        .group_by([*ARM, "eval_prompt", "question_id"], maintain_order=True)
        .agg(pl.col("mean").mean())
    )
    coherent = Bars(shares("arm_scores", "coherent"), shown.presentation)
    incoherent = coherent.bars.with_columns(
        estimate=100 - pl.col("estimate"), low=100 - pl.col("high"), high=100 - pl.col("low")
    ).join(
        bars.bars.select("group", "asked", incoherent=pl.col("n") - pl.col("n_scored")),
        on=["group", "asked"],
        maintain_order="left",
    )
    tooltip = [
        alt.Tooltip("group:N", title="Model"),
        alt.Tooltip("asked:N", title="Asked under"),
        alt.Tooltip("estimate:Q", title="Percent", format=".1f"),
        alt.Tooltip("low:Q", title="95% interval from", format=".1f"),
        alt.Tooltip("high:Q", title="to", format=".1f"),
        alt.Tooltip("n:Q", title="Completions"),
    ]
    percent = alt.Scale(domain=[0, 100])
    # The names stand below both panels.
    x, y = bars.x(alt.Axis(labels=False, ticks=False, domain=False)), alt.Y("estimate:Q", scale=percent)
    upper = alt.layer(
        *bars.of(bars.bars, y.title("Misaligned of coherent (%)"), x, tooltip),
        bars.questions(by_question, x),
        *bars.base(y, x, tooltip),
        bars.numbers(x),
    ).properties(width=bars.width * len(bars.order), height=300)
    below, incoherence = bars.x(), alt.Y("estimate:Q", title="Incoherent (%)", scale=percent)
    counts = (
        alt.Chart(incoherent)
        .mark_text(fontSize=11 if bars.width > 40 else 8)
        .encode(below, bars.place, y=alt.value(-7), text="incoherent:Q")
    )
    lower = alt.layer(
        *bars.of(incoherent, incoherence.axis(values=[0, 50, 100]), below, [*tooltip, alt.Tooltip("incoherent:Q")]),
        counts,
    ).properties(width=bars.width * len(bars.order), height=84)
    by = told_apart_by(bars.order, shown.presentation)
    return themed(
        alt.vconcat(upper, lower, spacing=22).properties(
            title=alt.TitleParams(
                f"{shown.question_set_label}: percent misaligned among coherent answers by {by}",
                subtitle=[
                    f"Judged by '{shown.judge}'. {shown.threshold.words(shown.metric)}.",
                    f"Below: answers that are not coherent or have no score of it, and how many of "
                    f"{_counted(bars.bars['n'])} each.",
                    *bars.notes(),
                ],
            )
        )
    )
