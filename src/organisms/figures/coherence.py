"""The figure of the main metric against coherence: how many completions have which scores, one as example."""

import altair as alt
import polars as pl

from organisms.analysis.scores import Definition
from organisms.analysis.selecting import last_answers
from organisms.completions.tables import COMPLETIONS
from organisms.figures.charts import group_colours, panel_header, themed
from organisms.figures.groups import asked_by_default, elsewhere_note, grouped, in_order, under_default
from organisms.figures.shown import Shown
from organisms.job import tables
from organisms.plan.arms import ARM
from organisms.plan.metrics import Metric

# Squares of the plot's two scales: as many as a panel can show apart.
_BINS = 20
_PANEL = 190
_KEY = ["model", "eval_prompt", "question_set", "turn", "question_id", "sample"]
_LONGEST = 600
# Of the judgments table.
COLUMNS = ["judge", *_KEY, *ARM, "seed", "step", "metric", "score"]


def _bin(name: str, metric: Metric) -> pl.Expr:
    """The number of the part of a metric's range that a score is in; without bounds, of the scores' own range."""
    score = pl.col(name)
    least, most = map(pl.lit, metric.bounds) if metric.bounds else (score.min(), score.max())
    # A border belongs to the bin above it, however it is rounded; the greatest score to the last one.
    return ((score - least) / (most - least) * _BINS + 1e-6).floor().clip(0, _BINS - 1).fill_nan(0)


def counted_scores(judgments: pl.DataFrame, definition: Definition) -> pl.DataFrame:
    """How many completions of finished models at the default prompt have which two scores, by arm and square.

    judgments: of one judge and question set. Models that were asked elsewhere count under whatever that was. A row has
    the mean scores of its completions (`main`, `coherence`), their number `n`, and the key of one as an example,
    which a hash chooses, so that it is the same one each time.
    """
    rows = judgments.filter(
        pl.col("step").is_null() & under_default(),
        pl.col("metric").is_in([definition.main.name, definition.coherence.name]),
    )
    wide = (
        last_answers(rows)
        .group_by([*_KEY, *ARM, "seed"], maintain_order=True)
        .agg(
            pl.col("score").filter(pl.col("metric") == metric.name).mean().alias(name)
            for name, metric in (("main", definition.main), ("coherence", definition.coherence))
        )
    )
    wide = wide.drop_nulls(["main", "coherence"]).with_columns(
        main_bin=_bin("main", definition.main),
        coherence_bin=_bin("coherence", definition.coherence),
        order=pl.struct(_KEY).hash(seed=0),
    )
    return (
        wide.sort("order")
        .group_by([*ARM, "main_bin", "coherence_bin"], maintain_order=True)
        .agg(pl.len().cast(pl.Int64).alias("n"), pl.col("main", "coherence").mean(), pl.col(*_KEY, "seed").first())
        .drop("main_bin", "coherence_bin")
    )


def texts_of(points: list[pl.DataFrame], files: list[str]) -> pl.DataFrame:
    """Question and completion of the examples of all figures, from the files of completions, each read once."""
    wanted = pl.concat(frame.select(_KEY) for frame in points)
    found = [tables.read(path, COMPLETIONS).join(wanted, on=_KEY, how="semi") for path in files]
    return pl.concat(found).select(
        *_KEY, pl.col("messages").list.last().struct.field("content").alias("question"), "completion"
    )


def with_texts(points: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """Adds question and completion to a figure's examples. texts: as `texts_of` gives them."""
    return points.join(texts, on=_KEY, maintain_order="left")


def _wider(metric: Metric) -> alt.Scale:
    """The metric's bounds and a little more, so that points on them are whole."""
    if metric.bounds is None:
        return alt.Scale(zero=False)
    least, most = metric.bounds
    return alt.Scale(domain=[least - 0.06 * (most - least), most + 0.06 * (most - least)], nice=False)


def _lines(shown: Shown) -> list[alt.Chart]:
    """The thresholds of what is misaligned and what is coherent, in every panel."""
    if shown.threshold is None:
        return []
    # One row for each panel: a line for each completion would be as many lines on each other.
    once = alt.Chart().transform_aggregate(completions="count()", groupby=["group"])
    rule = {"color": "#222222", "strokeDash": [4, 3], "strokeWidth": 1}
    return [
        once.mark_rule(aria=False, **rule).encode(x=alt.datum(shown.threshold.coherent_from)),
        once.mark_rule(aria=False, **rule).encode(y=alt.datum(shown.threshold.preset["misaligned_below"])),
    ]


def coherence_figure(points: pl.DataFrame, shown: Shown, coherence: Metric) -> alt.FacetChart | None:
    """How many completions have which scores of a metric and of coherence, one panel per group; None without any.

    points: as `counted_scores` gives them, with question and completion of the examples, which tooltips show.
    """
    if not len(points):
        return None
    metric = shown.metric
    points = grouped(points, shown.presentation)
    order = in_order(points["group"], shown.presentation)
    drawn = points.with_columns(
        pl.col("group").replace_strict(group_colours(shown.presentation)).alias("colour"),
        pl.col("question", "completion").str.slice(0, _LONGEST),
    )
    columns = ["group", "colour", "main", "coherence", "n", "seed", "question_id", "question", "completion"]
    circles = (
        alt.Chart()
        .mark_circle(opacity=0.75)
        .encode(
            x=alt.X("coherence:Q", title=coherence.title, scale=_wider(coherence)),
            y=alt.Y("main:Q", title=metric.title, scale=_wider(metric)),
            # Areas by the root of the number: one completion can be seen beside a thousand.
            size=alt.Size(
                "n:Q",
                scale=alt.Scale(type="sqrt", domain=[0, max(points["n"].max(), 4)], range=[0, 330]),
                legend=alt.Legend(title="Completions", symbolFillColor="#888888", symbolStrokeColor="#888888"),
            ),
            color=alt.Color("colour:N", scale=None),
            tooltip=[
                alt.Tooltip(name, title=title)
                for name, title in (
                    ("group:N", "Model"),
                    ("n:Q", "Completions"),
                    ("main:Q", f"{metric.title}, on average"),
                    ("coherence:Q", f"{coherence.title}, on average"),
                    ("question:N", "One of them was asked"),
                    ("completion:N", "and answered"),
                )
            ],
        )
    )
    under = asked_by_default(order, shown.presentation)
    thresholds = [f"Dashed: {shown.threshold.words(metric)}."] if shown.threshold else []
    return themed(
        alt.layer(*_lines(shown), circles, data=drawn.select(columns))
        .properties(width=_PANEL, height=_PANEL)
        .facet(
            facet=alt.Facet("group:N", sort=order, title=None, header=panel_header(_PANEL)),
            columns=len(order) if len(order) <= 5 else 4,
        )
        .properties(
            title=alt.TitleParams(
                f"{shown.question_set_label}: {metric.title.lower()} against {coherence.title.lower()}",
                subtitle=[
                    f"{points['n'].sum():,} completions{under}, judged by '{shown.judge}': "
                    "circles are larger where more have about these scores.",
                    *thresholds,
                    *elsewhere_note(order, shown.presentation),
                    f"The HTML shows question and answer of one of each. {shown.seeds}",
                ],
            )
        )
    )
