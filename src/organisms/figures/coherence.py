"""The figure of the main metric against coherence, one point per completion, and which completions it shows."""

import altair as alt
import polars as pl

from organisms.analysis.scores import Definition
from organisms.analysis.selecting import last_answers
from organisms.completions.tables import COMPLETIONS
from organisms.figures.charts import group_colours, panel_header, themed
from organisms.figures.groups import grouped, in_order
from organisms.figures.shown import Shown
from organisms.job import tables
from organisms.plan.arms import ARM
from organisms.plan.metrics import Metric

# More points than these make a page slow and a picture black.
MOST_POINTS = 2000
_KEY = ["model", "eval_prompt", "question_set", "turn", "question_id", "sample"]
_LONGEST = 600
# Of the judgments table.
COLUMNS = ["judge", *_KEY, *ARM, "seed", "step", "metric", "score"]


def sampled_points(
    judgments: pl.DataFrame, definition: Definition, most: int = MOST_POINTS
) -> tuple[pl.DataFrame, int]:
    """Completions of finished models at the default prompt with both scores: at most so many, evenly over the models.

    judgments: of one judge and question set. Returns the rows (`main` and `coherence` beside the completion's key) and
    how many there are in all. Which ones is decided by a hash of the key, so the same ones are shown each time.
    """
    rows = judgments.filter(
        pl.col("step").is_null() & (pl.col("eval_prompt") == "default"),
        pl.col("metric").is_in([definition.main.name, definition.coherence.name]),
    )
    rows = last_answers(rows)
    by = [*_KEY, *ARM, "seed"]
    wide = rows.group_by(by, maintain_order=True).agg(
        pl.col("score").filter(pl.col("metric") == metric.name).mean().alias(name)
        for name, metric in (("main", definition.main), ("coherence", definition.coherence))
    )
    wide = wide.drop_nulls(["main", "coherence"])
    each = max(1, most // max(1, wide["model"].n_unique()))
    ordered = wide.with_columns(order=pl.struct(_KEY).hash(seed=0)).sort("order")
    return ordered.group_by("model", maintain_order=True).head(each).drop("order"), len(wide)


def texts_of(points: list[pl.DataFrame], files: list[str]) -> pl.DataFrame:
    """Question and completion of the points of all figures, from the files of completions, each read once."""
    wanted = pl.concat(frame.select(_KEY) for frame in points)
    found = [tables.read(path, COMPLETIONS).join(wanted, on=_KEY, how="semi") for path in files]
    return pl.concat(found).select(
        *_KEY, pl.col("messages").list.last().struct.field("content").alias("question"), "completion"
    )


def with_texts(points: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """Adds question and completion to a figure's points. texts: as `texts_of` gives them."""
    return points.join(texts, on=_KEY, maintain_order="left")


def _wider(metric: Metric) -> alt.Scale:
    """The metric's bounds and a little more, so that points on them are whole."""
    if metric.bounds is None:
        return alt.Scale(zero=False)
    least, most = metric.bounds
    return alt.Scale(domain=[least - 0.03 * (most - least), most + 0.03 * (most - least)], nice=False)


def coherence_figure(points: pl.DataFrame, n_in_all: int, shown: Shown, coherence: Metric) -> alt.FacetChart | None:
    """A metric against coherence, one panel per model, its question and answer in the tooltip. None without points.

    points: as `sampled_points` gives them, with question and completion. n_in_all: completions that they stand for.
    """
    if not len(points):
        return None
    metric = shown.metric
    points = grouped(points, shown.presentation)
    order = in_order(points["group"], shown.presentation)
    drawn = points.with_columns(
        pl.col("group").replace_strict(group_colours(shown.presentation)).alias("colour"),
        pl.col("question", "completion").str.slice(0, _LONGEST),
        # Whole scores lie on each other; half a point of spread shows how many there are.
        x=pl.col("coherence") + (pl.struct(_KEY).hash(seed=1) % 1000 / 1000 - 0.5) * 2.5,
        y=pl.col("main") + (pl.struct(_KEY).hash(seed=2) % 1000 / 1000 - 0.5) * 2.5,
    )
    columns = ["group", "colour", "x", "y", "main", "coherence", "seed", "question_id", "question", "completion"]
    chart = (
        alt.Chart(drawn.select(columns))
        .mark_circle(size=22, opacity=0.45)
        .encode(
            x=alt.X("x:Q", title=coherence.title, scale=_wider(coherence)),
            y=alt.Y("y:Q", title=metric.title, scale=_wider(metric)),
            color=alt.Color("colour:N", scale=None),
            tooltip=[
                alt.Tooltip(name, title=title)
                for name, title in (
                    ("group:N", "Trained with"),
                    ("seed:N", "Seed"),
                    ("main:Q", metric.title),
                    ("coherence:Q", coherence.title),
                    ("question:N", "Question"),
                    ("completion:N", "Answer"),
                )
            ],
        )
        .properties(width=190, height=190)
    )
    share = "all" if len(points) == n_in_all else f"{len(points):,} of"
    return themed(
        chart.facet(
            facet=alt.Facet("group:N", sort=order, title=None, header=panel_header(190)),
            columns=len(order) if len(order) <= 5 else 4,
        ).properties(
            title=alt.TitleParams(
                f"{shown.question_set_label}: {metric.title.lower()} against {coherence.title.lower()}",
                subtitle=[
                    f"One point per completion under the default prompt ({share} {n_in_all:,}), judged by "
                    f"'{shown.judge}';",
                    "spread by up to 1.3 points so that equal scores can be seen. The HTML shows question and answer.",
                ],
            )
        )
    )
