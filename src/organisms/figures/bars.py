"""Bars by training prompt, each without and with that prompt: what the figures of means and of shares share."""

import unicodedata

import altair as alt
import polars as pl

from organisms.figures.charts import LABEL_LIMIT, group_scale, line_breaks, seeds_note, written
from organisms.figures.groups import CONTROL, WITH, WITHOUT, asked_notes, elsewhere_note, in_order, place_in_groups
from organisms.plan.arms import ARM
from organisms.plan.presentation import of_one_model

# With more models than fit on a page points would be a grey cloud; the question map has them.
_MOST_WITH_POINTS = 60
# Where in half a group, from 0 to 1, its bar begins and ends, and where its points lie beside it, spread how far.
_BEGINS, _ENDS, _POINTS, _SPREAD = 0.06, 0.62, 0.8, 0.22
_MIDDLE = (_BEGINS + _ENDS) / 2
# Pixels of the half of a group for each pixel of a group; the rest is between groups.
_HALF = 0.45


def _side_by_side(frame: pl.DataFrame, groups: list[dict]) -> pl.DataFrame:
    """Adds `place`, where in its group the middle of a row's bar is drawn (-1 left end, 1 right end)."""
    single = [group["label"] for group in groups if group["training_prompt"] in (None, "default")]
    left = pl.when(pl.col("group").is_in(single)).then(-0.5).when(pl.col("asked") == WITHOUT).then(-1.0).otherwise(0.0)
    return frame.with_columns(place=left + _MIDDLE)


def _beside_bars(points: pl.DataFrame, groups: list[dict]) -> pl.DataFrame:
    """As `_side_by_side`, but beside the bar, which no point covers, and spread."""
    rank = pl.int_range(pl.len()).over("group", "asked") / pl.len().over("group", "asked")
    beside = _POINTS - _MIDDLE + _SPREAD * (rank - 0.5)
    return _side_by_side(points, groups).with_columns(pl.col("place") + beside)


def _columns_of(text: str) -> int:
    """The width of a text in letters; those of East Asia are twice as wide."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def prompt_axis(labels: list[str]) -> tuple[int, alt.Axis]:
    """The width of a group in pixels, and an axis that names the groups without cutting or overlapping them."""
    n = len(labels)
    width = 112 if n <= 8 else 60 if n <= 16 else 34 if n <= _MOST_WITH_POINTS else 16
    longest = max((_columns_of(word) for label in labels for word in label.split()), default=0)
    level = n <= 8 and longest <= 15
    axis = alt.Axis(
        labelAngle=0 if level else -40,
        labelLimit=LABEL_LIMIT,
        labelPadding=6,
        labelOverlap=False,
        domain=False,
        ticks=False,
        labelExpr=line_breaks(width) if level else "datum.label",
    )
    return width, axis


class Bars:
    """The layers of a figure of bars, and what they share: `order`, the groups drawn, `width` of one, and encodings."""

    def __init__(self, rows: pl.DataFrame, presentation: dict):
        """rows: of a table of one measure by arm; those that the figure does not show are left out."""
        self.presentation, self.groups = presentation, presentation["groups"]
        columns = [*ARM, "eval_prompt", "estimate", "low", "high", "n", "n_scored", "n_seeds"]
        placed = _side_by_side(place_in_groups(rows.select(columns), self.groups), self.groups)
        self.bars = placed.filter(pl.col("asked") != CONTROL)
        # Groups that were not asked these questions, or not judged by this judge, have no place in the figure.
        self.order = in_order(self.bars["group"], presentation)
        self.controls = placed.filter((pl.col("asked") == CONTROL) & pl.col("group").is_in(self.order))
        self.width, self.axis = prompt_axis(self.order)
        self.bar_width = self.width * _HALF * (_ENDS - _BEGINS)
        self.scale = group_scale(self.order, presentation)
        self.place = alt.XOffset("place:Q", scale=alt.Scale(domain=[-1, 1]))

    @property
    def single(self) -> list[str]:
        """Labels of groups among the bars of which all seeds share one model."""
        return [label for label in of_one_model(self.presentation) if label in self.order]

    def notes(self) -> list[str]:
        """The lines of a caption on what bars, points, ticks and lines are."""
        ticks = " Black tick: the base model under the same prompt, with its interval." if len(self.controls) else ""
        return [
            *asked_notes(self.bars["asked"]),
            *elsewhere_note(self.order, self.presentation),
            f"Points: single questions.{ticks}",
            seeds_note(self.order, self.presentation),
        ]

    def x(self, axis: alt.Axis | None = None) -> alt.X:
        return alt.X("group:N", title=None, scale=alt.Scale(domain=self.order, padding=0.1), axis=axis or self.axis)

    def of(self, rows: pl.DataFrame, y: alt.Y, x: alt.X, tooltip: list) -> list[alt.Chart]:
        """Bars with their intervals, in the groups' colours; pale where asked under the training prompt."""
        pale = alt.condition(alt.datum.asked == WITH, alt.value(0.35), alt.value(1.0))
        return [
            alt.Chart(rows)
            .mark_bar(size=self.bar_width, strokeWidth=1.5)
            .encode(
                x,
                y,
                self.place,
                alt.Stroke("group:N", sort=self.order, scale=self.scale, legend=None),
                fill=alt.Fill("group:N", sort=self.order, scale=self.scale, legend=None),
                fillOpacity=pale,
                tooltip=tooltip,
            ),
            alt.Chart(rows.drop_nulls("low"))
            .mark_rule(strokeWidth=2, color="#000000")
            .encode(x, alt.Y("low:Q"), self.place, y2="high:Q", tooltip=tooltip),
        ]

    def numbers(self, x: alt.X, digits: int = 0) -> alt.Chart:
        """The estimates above the plot, where nothing lies under them; a dash where nothing has a score."""
        return (
            alt.Chart(self.bars.with_columns(number=written("estimate", digits).fill_null("–")))
            .mark_text(fontSize=12 if self.width > 40 else 9, fontWeight="bold")
            .encode(x, self.place, y=alt.value(-9), text="number:N")
        )

    def base(self, y: alt.Y, x: alt.X, tooltip: list) -> list[alt.Chart]:
        """The base under the same prompt: a tick over the bar's whole width, its interval at the bar's left end."""
        left = self.controls.with_columns(pl.col("place") - 0.8 * (_ENDS - _BEGINS) / 2)
        return [
            alt.Chart(left.drop_nulls("low"))
            .mark_rule(strokeWidth=1.5, color="#000000", strokeDash=[2, 1.5])
            .encode(x, alt.Y("low:Q"), self.place, y2="high:Q", tooltip=tooltip),
            alt.Chart(self.controls.drop_nulls("estimate"))
            .mark_tick(color="#000000", opacity=1, thickness=3, size=self.bar_width)
            .encode(x, y, self.place, tooltip=tooltip),
        ]

    def questions(self, by_question: pl.DataFrame, x: alt.X) -> alt.Chart:
        """Single questions as points beside the bars. by_question: rows with the columns of an arm and `mean`."""
        few = by_question if len(self.order) <= _MOST_WITH_POINTS else by_question.clear()
        points = place_in_groups(few.drop_nulls("mean"), self.groups)
        points = points.filter((pl.col("asked") != CONTROL) & pl.col("group").is_in(self.order))
        return (
            alt.Chart(_beside_bars(points, self.groups))
            # Not read out one by one: who does not see them has the question map and the tables.
            .mark_point(aria=False, filled=True, size=14 if self.width > 40 else 7, color="#222222", opacity=0.5)
            .encode(x, alt.Y("mean:Q"), self.place)
        )
