"""One look for all figures, and how they are saved.

Text is large enough to be read at the size of a page. The first eight colours are ones that the common kinds of colour
blindness keep apart (six of them of Okabe and Ito 2008). A training prompt has one colour in all figures.
"""

import hashlib
import html
import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import altair as alt
import polars as pl
import vl_convert

from organisms.figures.files import ENDINGS
from organisms.figures.html import page
from organisms.job.files import whole_file
from organisms.plan.arms import DEFAULT_METHOD
from organisms.plan.metrics import Metric, in_digits
from organisms.plan.presentation import of_one_model

# Letters that these do not have are drawn from whatever installed font has them, and as boxes if none has.
FONT = "DejaVu Sans, Arial, Noto Sans, Noto Sans CJK SC, sans-serif"
PALETTE = [
    *("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#332288", "#7A1F1F"),
    *("#B7D968", "#B030E0", "#F03048", "#90D8C0", "#A80090", "#0B6623", "#E0B0FF", "#2020E0"),
]
# Colours that the common kinds of colour blindness keep apart; the others are for more arms than these.
_SAFE = 8
BASE_COLOUR = "#555555"
DASHES = [[1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 2], [12, 2, 2, 2, 2, 2]]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"]
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
    """The colour of each group by its label: the config's, or the palette's.

    What a group is coloured by (`coloured_by`: the text of its training prompt, and its method) decides its place in
    the palette, not the order of the config; where two would have one place, the second takes the next that is free.
    Groups with the same `coloured_by` share a colour. The base is grey. Colours repeat after the palette's end.
    """
    own = {group["colour"].upper() for group in presentation["groups"] if group.get("colour")}
    wanted = {_coloured_by(group) for group in presentation["groups"] if not group.get("colour")} - {None}
    taken: Counter[int] = Counter()
    found: dict[tuple | None, str] = {None: BASE_COLOUR}
    # Those made elsewhere are last: a model that is compared changes no arm's colour.
    for key in sorted(wanted, key=lambda key: (key[0], _number(key), key)):
        first = _number(key) % _SAFE
        # The safe ones in turn, then the others; and all of them again.
        turn = [*((first + i) % _SAFE for i in range(_SAFE)), *range(_SAFE, len(PALETTE))]
        turn = [place for place in turn if PALETTE[place] not in own] or turn
        place = min(turn, key=taken.__getitem__)
        taken[place] += 1
        found[key] = PALETTE[place]
    return {group["label"]: group.get("colour") or found[_coloured_by(group)] for group in presentation["groups"]}


def _number(key: tuple[bool, str, str]) -> int:
    """A number that follows from the text alone; the default prompt has the first, since nearly every run has it."""
    text = key[1]
    return 0 if text == "default" else 1 + int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _coloured_by(group: dict) -> tuple[bool, str, str] | None:
    """Whether a group was made elsewhere, what decides its colour, and its name, for two prompts of one text."""
    name, method = group["training_prompt"] or group["dataset"], group["training_method"]
    if name is None:
        return None
    named = name if method in (None, DEFAULT_METHOD) else f"{name} by {method}"
    return group["training_prompt"] is None, group.get("coloured_by") or named, named


def group_scale(labels: list[str], presentation: dict) -> alt.Scale:
    """The colour scale of a column that holds labels of groups."""
    colours = group_colours(presentation)
    return alt.Scale(domain=labels, range=[colours[label] for label in labels])


def _in_turn(looks: list, labels: list[str], presentation: dict) -> alt.Scale:
    """A scale that gives groups of one colour one look after the other, and those that share none the first."""
    colours, seen = group_colours(presentation), Counter()
    found = []
    for label in labels:
        found.append(looks[seen[colours[label]] % len(looks)])
        seen[colours[label]] += 1
    return alt.Scale(domain=labels, range=found)


def group_lines(labels: list[str], presentation: dict, title: str) -> list:
    """Encodings of lines, one for each group, with one legend: by colour, and by dashes where groups share a colour."""
    legend = alt.Legend(
        title=title,
        labelLimit=LABEL_LIMIT,
        symbolLimit=0,
        symbolType="stroke",
        symbolStrokeWidth=3,
        symbolSize=400,
        symbolOpacity=1,
        columns=1 if len(labels) <= 20 else 2,
    )
    return [
        alt.Color("group:N", sort=labels, scale=group_scale(labels, presentation), legend=legend),
        alt.StrokeDash("group:N", sort=labels, scale=_in_turn(DASHES, labels, presentation), legend=legend),
    ]


def group_points(labels: list[str], presentation: dict, title: str, **look) -> list:
    """Encodings of points, with one legend: by colour, and by shape where groups share a colour; dashes of lines.

    look: of the legend, such as where it stands.
    """
    legend = alt.Legend(
        title=title, labelLimit=LABEL_LIMIT, symbolLimit=0, symbolSize=80, symbolOpacity=1, symbolDash=[1, 0], **look
    )
    return [
        alt.Color("group:N", sort=labels, scale=group_scale(labels, presentation), legend=legend),
        alt.Shape("group:N", sort=labels, scale=_in_turn(SHAPES, labels, presentation), legend=legend),
        alt.StrokeDash("group:N", sort=labels, scale=_in_turn(DASHES, labels, presentation), legend=None),
    ]


def panel_header(width: int) -> alt.Header:
    """Names of panels in a grid, bold, over several lines where a panel of so many pixels is too narrow for one."""
    return alt.Header(labelExpr=line_breaks(width), labelLimit=LABEL_LIMIT, labelFontWeight="bold")


def line_breaks(width: int) -> str:
    """Vega's expression of a label over several lines of so many pixels."""
    # Words until a line is full: it holds about one character per 7 pixels.
    return f"split(trim(replace(datum.label, regexp('(.{{1,{width // 7}}})(\\\\s+|$)', 'g'), '$1\\n')), '\\n')"


def written(column: str, digits: int) -> pl.Expr:
    """A column of numbers as text with so many decimals; null stays null."""
    return pl.col(column).map_elements(lambda value: in_digits(value, digits), return_dtype=pl.String)


def mean_title(metric: Metric) -> str:
    """The title of an axis of means, with the metric's bounds; of a metric of yes and no means are percent."""
    if metric.unit == "percent":
        return f"{metric.title} (%)"
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
        alt.Tooltip("group:N", title="Model"),
        alt.Tooltip("asked:N", title="Asked under"),
        alt.Tooltip("estimate:Q", title=f"Mean {metric.title.lower()}", format=".1f"),
        alt.Tooltip("low:Q", title="95% interval from", format=".1f"),
        alt.Tooltip("high:Q", title="to", format=".1f"),
    ]


def seeds_note(shown: Sequence[str], presentation: dict, marks: str = "bars") -> str:
    """What a caption says of the seeds behind intervals. shown: labels of the groups. marks: what they are drawn as."""
    n_seeds, single = presentation["n_seeds"], [label for label in of_one_model(presentation) if label in shown]
    if n_seeds > 1 and len(single) == len(shown):
        return "Intervals: 95%, over the questions: one model each, which all seeds share."
    if n_seeds > 1:
        of_one = f" One model, so over the questions only: {', '.join(single)}." if single else ""
        return f"Intervals: 95%, over {n_seeds} seeds and the questions.{of_one}"
    return f"ONE SEED: intervals are over questions only; another seed can change the {marks} by more."


def empty_figure(text: str) -> alt.Chart:
    """A figure that says why there is nothing in it."""
    words = textwrap.wrap(text, 60)
    mark = alt.Chart(alt.Data(values=[{}])).mark_text(text=words, fontSize=14, lineHeight=20)
    return themed(mark.properties(width=480, height=60 + 20 * len(words), description=text))


def _caption(spec: dict) -> list[str]:
    """A chart's title, and the lines below it."""
    title = spec.get("title") or spec.get("description") or "Figure"
    return [title["text"], *title.get("subtitle", [])] if isinstance(title, dict) else [title]


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


def save(chart: alt.TopLevelMixin, paths: str | Path | list[str | Path], titles: bool = True) -> None:
    """Write a chart as the endings of the file names say (.png, .svg, .pdf, .html, .txt), each whole or not at all.

    The HTML holds all that it needs and opens without internet. The text file has title and caption; titles: whether
    the pictures have them too.
    """
    spec = _drawable(chart.to_dict())
    caption = _caption(spec)
    if not titles:
        spec.pop("title", None)
    svg = vl_convert.vegalite_to_svg(spec)
    for path in [paths] if isinstance(paths, str | Path) else paths:
        ending = Path(path).suffix
        if ending == ".html":
            title = caption[0]
            body = f'<main><h1>{html.escape(title)}</h1><div id="chart"></div></main>'
            parts = {"styles": [_STYLE], "scripts": [_bundle(), _DRAW], "data": {"chart-spec": spec}}
            content = page(title, body, may_compile=True, **parts).encode()
        else:
            content = {
                ".txt": lambda: "".join(f"{line}\n" for line in caption).encode(),
                ".svg": lambda: svg.encode(),
                ".png": lambda: vl_convert.svg_to_png(svg, scale=_png_scale(svg)),
                ".pdf": lambda: vl_convert.svg_to_pdf(svg),
            }[ending]()
        with whole_file(path) as temporary:
            temporary.write_bytes(content)


def save_figure(
    chart: alt.TopLevelMixin | None, stem: str | Path, otherwise: str = "Nothing to draw.", titles: bool = True
) -> None:
    """Write a chart in the forms of ENDINGS. stem: the files' name without ending. otherwise: stands for no chart."""
    save(chart or empty_figure(otherwise), [f"{stem}.{ending}" for ending in ENDINGS], titles)
