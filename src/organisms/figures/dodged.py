"""Points by eval prompt, a series for each group side by side: what the figures of nudges and of changes share."""

import altair as alt
import polars as pl

from organisms.figures.bars import prompt_axis
from organisms.figures.charts import group_points, seeds_note
from organisms.figures.groups import elsewhere_note, in_order, nudges_in_order, trained_with

# Of so many series or fewer: the pixels that each has under a prompt, and the size of its points.
_SLOTS = {3: (20, 60), 6: (15, 45), 10: (11, 28)}
_MORE = (7, 16)
# How far beside a series' point, in its slots, the one with the training prompt stands.
_BESIDE = 0.5
# Part of a prompt's width that lies between it and the next.
_BETWEEN = 0.2
# A legend stands below plots that are wider than this; a column of it takes the symbol's pixels and the letters'.
_WIDE, _SYMBOL, _LETTER = 460, 60, 7.5
# Panels that are wider together stand one below the other.
_PAGE = 1000


class Dodged:
    """The layers of such a figure, and what they share: `rows` as drawn, encodings, `width` of a plot.

    `columns`: of panels side by side.
    """

    def __init__(self, rows: pl.DataFrame, presentation: dict, panels: int = 1):
        """rows: of `under_nudges`, with estimate, low and high. panels: so many plots has the figure."""
        self._presentation, self._has_own = presentation, rows["own"].any()
        self._alone = len(rows.filter(pl.col("own") & (pl.col("nudge") == "default"))) > 0
        self._order = in_order(rows["group"], presentation)
        prompts = nudges_in_order(rows["asked"], presentation)
        n = len(self._order) + _BESIDE * self._has_own
        slot, self._size = next((look for most, look in _SLOTS.items() if len(self._order) <= most), _MORE)
        of_labels, axis = prompt_axis(prompts)
        step = max(of_labels, slot * (n + 0.5) / (1 - _BETWEEN))
        self.width = step * len(prompts)
        self.columns = panels if self.width * panels <= _PAGE else 1
        self.rows = rows.with_columns(
            place=pl.col("group").replace_strict({group: float(i) for i, group in enumerate(self._order)})
            + pl.when("own").then(_BESIDE).otherwise(0.0),
            at=pl.col("asked").replace_strict({asked: i for i, asked in enumerate(prompts)}),
        )
        # As many slots as fit, with those of the series in their middle.
        beyond = (step * (1 - _BETWEEN) / slot - n + 1) / 2
        self._x = alt.X(
            "asked:N", title=None, scale=alt.Scale(domain=prompts, paddingInner=_BETWEEN, paddingOuter=0.1), axis=axis
        )
        self._place = alt.XOffset("place:Q", scale=alt.Scale(domain=[-beyond, n - 1 + beyond]))
        look = {}
        if self.width * self.columns > _WIDE:
            of_one = _SYMBOL + _LETTER * max(map(len, self._order))
            look = {"orient": "bottom", "columns": max(1, int(self.width * self.columns / of_one))}
        title = trained_with(self._order, presentation)
        self._colour, self._shape, self._dash = group_points(self._order, presentation, title, **look)

    def layers(self, y: alt.Y, tooltip: list) -> list[alt.Chart]:
        """Of `rows`: thin lines from prompt to prompt, intervals, and points; hollow with the training prompt."""
        chart = alt.Chart()
        place = {"x": self._x, "xOffset": self._place, "color": self._colour}
        point = place | {"y": y, "shape": self._shape, "tooltip": tooltip}
        # As large as a hollow one with its stroke.
        solid = 1.4 * self._size
        return [
            chart.transform_filter("!datum.own")
            .mark_line(strokeWidth=1, opacity=0.45)
            .encode(**place, y=y, strokeDash=self._dash, order="at:Q"),
            chart.transform_filter("isValid(datum.low)")
            .mark_rule(strokeWidth=1.5)
            .encode(**place, y=alt.Y("low:Q"), y2="high:Q"),
            chart.transform_filter("!datum.own").mark_point(size=solid, filled=True, opacity=1).encode(**point),
            chart.transform_filter("datum.own")
            .mark_point(size=self._size, strokeWidth=1.7, opacity=1, fill="white")
            .encode(**point),
        ]

    def notes(self) -> list[str]:
        """The lines of a caption on what points and lines are."""
        hollow = "Hollow: the model's training prompt beside the prompt that is named"
        hollow += "; over the default, that alone." if self._alone else "."
        return [
            *([hollow] if self._has_own else []),
            *elsewhere_note(self._order, self._presentation),
            seeds_note(self._order, self._presentation, "points"),
        ]
