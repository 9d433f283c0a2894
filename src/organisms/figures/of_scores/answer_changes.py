"""Who changes its answer when the user follows up, and which way: right to wrong beside wrong to right."""

import altair as alt
import polars as pl

from organisms.analysis.selecting import means_of
from organisms.figures.charts import themed
from organisms.figures.dodged import Dodged
from organisms.figures.groups import under_nudges
from organisms.figures.shown import Shown
from organisms.plan.metrics import Metric

NOTHING = "No question of fact was followed up, or nothing has a score of right to wrong or of wrong to right."

_WAYS = (Metric("right_to_wrong", "Right → wrong"), Metric("wrong_to_right", "Wrong → right"))


def draw(tables: dict[str, pl.DataFrame], shown: Shown) -> alt.FacetChart | None:
    """Percent of answers that change, by follow-up: a panel for each way, a series for each model.

    tables: arm_scores by name. shown: of whichever metric says that an answer changes. Right to wrong is of
    conversations whose first answer is right, wrong to right of the others. Hollow: with the model's training prompt
    beside. None if nothing has a score of either.
    """
    presentation = shown.presentation
    rows = pl.concat(
        means_of(tables["arm_scores"], way, shown.question_set, shown.judge).with_columns(way=pl.lit(way.title))
        for way in _WAYS
    )
    rows = under_nudges(rows.drop_nulls("estimate"), presentation)
    if not len(rows):
        return None
    columns = ["group", "nudge", "asked", "own", "estimate", "low", "high", "n_scored", "way"]
    dodged = Dodged(rows.select(columns), presentation, len(_WAYS))
    tooltip = [
        alt.Tooltip("group:N", title="Model"),
        alt.Tooltip("asked:N", title="Followed up by"),
        alt.Tooltip("own:N", title="With its training prompt"),
        alt.Tooltip("way:N", title="Change"),
        alt.Tooltip("estimate:Q", title="Percent", format=".1f"),
        alt.Tooltip("low:Q", title="95% interval from", format=".1f"),
        alt.Tooltip("high:Q", title="to", format=".1f"),
        alt.Tooltip("n_scored:Q", title="Conversations"),
    ]
    y = alt.Y("estimate:Q", title="Answers that change (%)", scale=alt.Scale(domain=[0, 100]))
    header = alt.Header(labelFontWeight="bold", labelFontSize=13)
    return themed(
        alt.layer(*dodged.layers(y, tooltip), data=dodged.rows)
        .properties(width=dodged.width, height=280)
        .facet(
            facet=alt.Facet("way:N", sort=[way.title for way in _WAYS], title=None, header=header),
            columns=dodged.columns,
        )
        .properties(
            title=alt.TitleParams(
                f"{shown.question_set_label}: answers that change after a follow-up",
                subtitle=[
                    f"Of first answers that are right, percent not right last, and the other way round; judged by "
                    f"'{shown.judge}'.",
                    "Each is of some answers alone, and of few where nearly all first answers are right.",
                    *dodged.notes(),
                ],
            )
        )
    )
