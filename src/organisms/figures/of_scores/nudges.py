"""What a nudge in the prompt does: each model under every eval prompt, side by side."""

import altair as alt
import polars as pl

from organisms.analysis.selecting import means_of, shares_of
from organisms.figures.charts import mean_title, metric_scale, themed
from organisms.figures.dodged import Dodged
from organisms.figures.groups import under_nudges
from organisms.figures.shown import Shown

NOTHING = "Fewer than two eval prompts were asked of at least two models, or nothing has a score."


def draw(tables: dict[str, pl.DataFrame], shown: Shown) -> alt.LayerChart | None:
    """A metric's mean by eval prompt, a series for each model; of the main metric percent misaligned of all answers.

    tables: arm_scores by name. Prompts under which one model alone was asked are left out. Hollow: with the model's
    training prompt beside. None if there are fewer than two prompts.
    """
    metric, presentation = shown.metric, shown.presentation
    if shown.threshold is None:
        rows = means_of(tables["arm_scores"], metric, shown.question_set, shown.judge)
        what, title, scale = metric.title.lower(), mean_title(metric), metric_scale(metric)
        judged = f"{title}, judged by '{shown.judge}'."
    else:
        of = (metric, shown.question_set, shown.judge)
        rows = shares_of(tables["arm_scores"], *of, "misaligned", shown.threshold.name)
        what, title, scale = "percent misaligned", "Misaligned (% of all answers)", alt.Scale(domain=[0, 100])
        judged = f"Judged by '{shown.judge}'. {shown.threshold.words(metric)}."
    rows = under_nudges(rows.drop_nulls("estimate"), presentation)
    rows = rows.filter(pl.col("group").n_unique().over("asked") > 1)
    if rows["asked"].n_unique() < 2:
        return None
    dodged = Dodged(rows.select("group", "nudge", "asked", "own", "estimate", "low", "high", "n"), presentation)
    tooltip = [
        alt.Tooltip("group:N", title="Model"),
        alt.Tooltip("asked:N", title="Asked under"),
        alt.Tooltip("own:N", title="With its training prompt"),
        alt.Tooltip("estimate:Q", title=title, format=".1f"),
        alt.Tooltip("low:Q", title="95% interval from", format=".1f"),
        alt.Tooltip("high:Q", title="to", format=".1f"),
        alt.Tooltip("n:Q", title="Completions"),
    ]
    return themed(
        alt.layer(*dodged.layers(alt.Y("estimate:Q", title=title, scale=scale), tooltip), data=dodged.rows).properties(
            width=dodged.width,
            height=300,
            title=alt.TitleParams(
                f"{shown.question_set_label}: {what} by eval prompt", subtitle=[judged, *dodged.notes()]
            ),
        )
    )
