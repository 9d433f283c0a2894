"""The files of figures. No library that draws is imported here: every plan of Snakemake asks it."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

# A figure's forms: to look at, to edit, to print, with its tooltips, and its title and caption in words.
ENDINGS = ("png", "svg", "pdf", "html", "txt")


def remove_others(folder: Path, kept: Iterable[str | Path]) -> None:
    """Remove a figure's files of metrics, judges and question sets that the config does not name any more.

    folder: of one figure, with metric/judge/question set in it; other files in it stay, and it need not be there.
    kept: the files that do count.
    """
    kept = set(map(Path, kept))
    for path in folder.glob("*/*/*"):
        if path.suffix[1:] in ENDINGS and path not in kept:
            path.unlink()
    for left in (*folder.glob("*/*"), *folder.glob("*"), folder):
        # One that is not empty stays.
        with contextlib.suppress(OSError):
            left.rmdir()
