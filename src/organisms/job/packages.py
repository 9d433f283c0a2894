"""Versions of packages: as the lock file pins them, and as they are installed."""

import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def pinned(*files: str | Path) -> dict[str, str]:
    """Versions by distribution, in lower case, from files with lines `name==version`; other lines are left out."""
    lines = "\n".join(Path(path).read_text(encoding="utf-8") for path in files)
    pins = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([\w.!-]+)", lines, flags=re.MULTILINE)
    return {name.lower(): found for name, found in pins}


def installed(names: Iterable[str]) -> dict[str, str]:
    """Versions of those of the named distributions that are installed here, with a build's suffix (+cpu, +cu130)."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            # A rule's own environment need not have the others' packages.
            continue
    return found


def installed_otherwise(pins: dict[str, str], names: Iterable[str]) -> list[str]:
    """What is installed here in another version than pinned, as `name 1.0 (pinned: 2.0)`; what is not there is not."""
    return [
        f"{name} {found} (pinned: {pins[name.lower()]})"
        for name, found in installed(name for name in names if name.lower() in pins).items()
        if found.split("+")[0] != pins[name.lower()]
    ]
