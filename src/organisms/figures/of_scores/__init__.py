"""Figures of scores: a file is a figure, drawn of each metric, judge and question set (but see `figures.suited`).

A file has `draw(tables, shown)`: from the tables of scores, by name, a chart, or None if there is nothing to draw; and
`NOTHING`, which says why there may be nothing. `results/figures/{file's name}/{metric}/{judge}/{question_set}` is where
it goes.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType


def figure_names() -> list[str]:
    """The figures, by their files' names; imports none of them."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")


def figure(name: str) -> ModuleType:
    """The module of a figure."""
    return import_module(f"{__name__}.{name}")
