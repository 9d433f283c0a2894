"""The post's two figures: the mean of a metric by training prompt, with and without that prompt."""

import altair as alt
import polars as pl

from organisms.analysis.selecting import means_of
from organisms.figures.bars import Bars
from organisms.figures.charts import mean_title, mean_tooltips, metric_scale, themed
from organisms.figures.groups import told_apart_by
from organisms.figures.shown import Shown
from organisms.plan.arms import ARM

NOTHING = "No completion has a score of this metric by this judge."


def _caption(by_question: pl.DataFrame, shown: Shown, bars: Bars) -> list[str]:
    n_questions, samples = by_question["question_id"].n_unique(), by_question["n"].max() or 0
    samples = samples if by_question["n"].min() == samples else f"up to {samples}"
    n_seeds = shown.presentation["n_seeds"]
    of = "each" if n_seeds == 1 or len(bars.single) == len(bars.order) else f"each and seed, {n_seeds} seeds"
    return [
        f"Bars: means over {n_questions} questions with {samples} completions {of}, judged by '{shown.judge}'.",
        *bars.notes(),
    ]


def draw(tables: dict[str, pl.DataFrame], shown: Shown) -> alt.LayerChart | None:
    """Bars of a metric's mean on one question set by training prompt, each without and with that prompt.

    tables: arm_scores and question_scores by name. Lines are 95% intervals; single questions (means over samples and
    seeds) are points beside the bars; a tick is the base model under the same prompt. None if nothing has a score.
    """
    metric = shown.metric
    by_question = (
        means_of(tables["question_scores"], metric, shown.question_set, shown.judge)
        .group_by([*ARM, "eval_prompt", "question_id"], maintain_order=True)
        .agg(pl.col("mean").mean(), pl.col("n").max())
    )
    bars = Bars(means_of(tables["arm_scores"], metric, shown.question_set, shown.judge), shown.presentation)
    if not bars.bars["estimate"].count():
        return None
    x, y = bars.x(), alt.Y("estimate:Q", title=mean_title(metric), scale=metric_scale(metric))
    tooltip = [
        *mean_tooltips(metric),
        alt.Tooltip("n:Q", title="Completions"),
        alt.Tooltip("n_seeds:Q", title="Seeds"),
    ]
    by = told_apart_by(bars.order, shown.presentation)
    return themed(
        alt.layer(
            *bars.of(bars.bars, y, x, tooltip),
            bars.questions(by_question, x),
            *bars.base(y, x, tooltip),
            bars.numbers(x, metric.digits),
        ).properties(
            width=bars.width * len(bars.order),
            height=320,
            title=alt.TitleParams(
                f"{shown.question_set_label}: {metric.title.lower()} by {by}",
                subtitle=_caption(by_question, shown, bars),
            ),
        )
    )
