"""One look for all figures, and how they are saved.

Text is large enough to be read at the size of a page; colours are ones that the common kinds of colour blindness keep
apart (Okabe and Ito 2008).
"""

from pathlib import Path

import altair as alt

from organisms.files import whole_file

FONT = "DejaVu Sans, Arial, sans-serif"
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#8C6D00"]


def themed(chart):
    """The chart in the look of all figures."""
    return (
        chart.configure(font=FONT)
        .configure_axis(labelFontSize=12, titleFontSize=13, gridColor="#e5e5e5")
        .configure_legend(labelFontSize=12, titleFontSize=12)
        .configure_title(fontSize=16, subtitleFontSize=12, subtitleColor="#444444")
        .configure_view(stroke=None)
    )


def save(chart: alt.TopLevelMixin, path: str | Path) -> None:
    """Write a chart as its file name's ending says (.png, .svg, .html), whole or not at all.

    The HTML holds all that it needs and opens without internet.
    """
    with whole_file(path) as temporary:
        options = {".png": {"scale_factor": 2}, ".html": {"inline": True}}.get(Path(path).suffix, {})
        chart.save(str(temporary), **options)
