"""One look for all figures, and how they are saved.

Text is large enough to be read at the size of a page; colours are ones that the common kinds of colour blindness keep
apart (Okabe and Ito 2008). A training prompt has one colour in all figures.
"""

import html
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import altair as alt
import vl_convert

from organisms.figures.files import ENDINGS
from organisms.figures.html import page
from organisms.job.files import whole_file
from organisms.plan.metrics import Metric

FONT = "DejaVu Sans, Arial, sans-serif"
PALETTE = ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D00", "#5D3A9B"]
BASE_COLOUR = "#555555"
# Of a PNG; more than 40 training prompts in one figure reach it.
MOST_PIXELS = 16e6
# Pixels; some 55 characters.
LABEL_LIMIT = 360

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# The heading is in the picture; those who do not see it hear it.
_STYLE = "h1 { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }"
_DRAW = """
const spec = JSON.parse(document.getElementById('chart-spec').textContent);
window.vegaEmbed('#chart', spec, {renderer: 'svg', actions: false}).catch(error => {
  document.getElementById('chart').textContent = error;
});
"""


def themed(chart):
    """The chart in the look of all figures."""
    return (
        chart.configure(font=FONT, background="white", padding=12)
        .configure_axis(labelFontSize=12, titleFontSize=13, gridColor="#e5e5e5", maxExtent=LABEL_LIMIT + 20)
        .configure_legend(labelFontSize=12, titleFontSize=12)
        .configure_header(labelFontSize=12, titleFontSize=13)
        .configure_title(fontSize=16, subtitleFontSize=12, subtitleColor="#444444", anchor="start", offset=10)
        .configure_view(stroke=None)
    )


def group_colours(presentation: dict) -> dict[str, str]:
    """The colour of each group by its label: the config's, or the palette's in the order of the groups.

    Groups of one training prompt and method share it. The base is grey. Colours repeat after the palette's end.
    """
    coloured = list(dict.fromkeys(map(_coloured_by, filter(_coloured_by, presentation["groups"]))))
    own = {key: PALETTE[i % len(PALETTE)] for i, key in enumerate(coloured)}
    return {
        group["label"]: group.get("colour") or own.get(_coloured_by(group), BASE_COLOUR)
        for group in presentation["groups"]
    }


def _coloured_by(group: dict) -> tuple[str, str | None] | None:
    shared = group["training_prompt"] or group["dataset"]
    return (shared, group["training_method"]) if shared else None


def group_scale(labels: list[str], presentation: dict) -> alt.Scale:
    """The colour scale of a column that holds labels of groups."""
    colours = group_colours(presentation)
    return alt.Scale(domain=labels, range=[colours[label] for label in labels])


def panel_header(width: int) -> alt.Header:
    """Names of panels in a grid, bold, over several lines where a panel of so many pixels is too narrow for one."""
    # Words until a line is full, by Vega's own expressions: a line holds about one character per 7 pixels.
    lines = f"split(replace(datum.label, regexp('(.{{1,{width // 7}}})(\\\\s+|$)', 'g'), '$1\\n'), '\\n')"
    return alt.Header(labelExpr=lines, labelLimit=LABEL_LIMIT, labelFontWeight="bold")


def mean_title(metric: Metric) -> str:
    """The title of an axis of means, with the metric's bounds."""
    bounds = f"{metric.low:g}–{metric.high:g}" if metric.bounds else metric.unit
    return f"Mean {metric.title.lower()} ({bounds})"


def metric_scale(metric: Metric) -> alt.Scale:
    """The scale of an axis of a metric's means: its bounds, or what the data need."""
    return alt.Scale(domain=list(metric.bounds)) if metric.bounds else alt.Scale(zero=False)


def heat_scale(metric: Metric) -> alt.Scale:
    """The colours of a heat map of a metric's means; they survive a print in grey."""
    return alt.Scale(scheme="cividis", **({"domain": list(metric.bounds)} if metric.bounds else {}))


def dark_below(metric: Metric) -> float:
    """The mean below which a heat map is so dark that text on it is white."""
    least, most = metric.bounds or (0.0, 100.0)
    return least + 0.55 * (most - least)


def mean_tooltips(metric: Metric) -> list[alt.Tooltip]:
    """What a mark of a model's mean under a prompt says: `group`, `asked`, `estimate`, `low`, `high`."""
    return [
        alt.Tooltip("group:N", title="Trained with"),
        alt.Tooltip("asked:N", title="Asked under"),
        alt.Tooltip("estimate:Q", title=f"Mean {metric.title.lower()}", format=".1f"),
        alt.Tooltip("low:Q", title="95% interval from", format=".1f"),
        alt.Tooltip("high:Q", title="to", format=".1f"),
    ]


def seeds_note(n_seeds: int, single: Sequence[str] = (), every: bool = False) -> str:
    """What a caption says of the seeds behind intervals.

    single: labels of groups of which all seeds share one model. every: whether all that is shown is such a group.
    """
    if n_seeds > 1 and every:
        return "Intervals: 95%, over the questions: one model each, which all seeds share."
    if n_seeds > 1:
        of_one = f" One model, so over the questions only: {', '.join(single)}." if single else ""
        return f"Intervals: 95%, over {n_seeds} seeds and the questions.{of_one}"
    return "ONE SEED: intervals are over questions only; another seed can change the bars by more."


def empty_figure(text: str) -> alt.Chart:
    """A figure that says why there is nothing in it."""
    return themed(alt.Chart(alt.Data(values=[{}])).mark_text(text=text, fontSize=14).properties(width=480, height=80))


def _title(spec: dict) -> str:
    title = spec.get("title") or "Figure"
    return title["text"] if isinstance(title, dict) else title


@cache
def _bundle() -> str:
    return vl_convert.javascript_bundle()


def _drawable(value):
    """A specification without the characters that XML does not know; models write them, and drawing them fails."""
    if isinstance(value, dict):
        return {key: _drawable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_drawable(item) for item in value]
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value) if isinstance(value, str) else value


def _png_scale(svg: str) -> float:
    """2, for screens with many pixels; less for a picture that would take gigabytes to draw."""
    width, height = (float(size) for size in re.search(r'<svg[^>]* width="([\d.]+)" height="([\d.]+)"', svg).groups())
    return min(2.0, (MOST_PIXELS / (width * height)) ** 0.5)


def save(chart: alt.TopLevelMixin, paths: str | Path | list[str | Path]) -> None:
    """Write a chart as the endings of the file names say (.png, .svg, .pdf, .html), each whole or not at all.

    The HTML holds all that it needs and opens without internet.
    """
    spec = _drawable(chart.to_dict())
    svg = vl_convert.vegalite_to_svg(spec)
    for path in [paths] if isinstance(paths, str | Path) else paths:
        ending = Path(path).suffix
        if ending == ".html":
            title = _title(spec)
            body = f'<main><h1>{html.escape(title)}</h1><div id="chart"></div></main>'
            parts = {"styles": [_STYLE], "scripts": [_bundle(), _DRAW], "data": {"chart-spec": spec}}
            content = page(title, body, may_compile=True, **parts).encode()
        else:
            content = {
                ".svg": lambda: svg.encode(),
                ".png": lambda: vl_convert.svg_to_png(svg, scale=_png_scale(svg)),
                ".pdf": lambda: vl_convert.svg_to_pdf(svg),
            }[ending]()
        with whole_file(path) as temporary:
            temporary.write_bytes(content)


def save_figure(chart: alt.TopLevelMixin | None, stem: str | Path, otherwise: str = "Nothing to draw.") -> None:
    """Write a chart in the forms of ENDINGS. stem: the files' name without ending. otherwise: stands for no chart."""
    save(chart or empty_figure(otherwise), [f"{stem}.{ending}" for ending in ENDINGS])
