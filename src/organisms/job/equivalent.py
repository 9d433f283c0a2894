"""Digests of code that give the same results, so that an upgrade need not train or sample again.

workflow/equivalent_code.yaml lists, for a costly rule (or for `sampling`, the code in the keys of kept completions),
digests whose results are the same, the oldest first, with the test that shows it. A job's parameter holds the first of
its class; so what the older code made counts as made by the newer.
"""

import re
from pathlib import Path

from organisms.job.errors import UserError
from organisms.job.yaml_files import read_yaml

Classes = dict[str, list[dict]]
_KEYS = {"digests", "shown_by", "what"}


def read_equivalent(path: str | Path) -> Classes:
    """The list. Raises UserError, naming file and entry, if an entry lacks something or a digest stands twice."""
    classes = read_yaml(path, "list of equivalent code") or {}
    for rule, entries in classes.items():
        seen: set[str] = set()
        for n, entry in enumerate(entries, start=1):
            where = f"{path}, {rule}, entry {n}"
            if not isinstance(entry, dict) or set(entry) != _KEYS:
                raise UserError(f"{where}: give digests, shown_by and what")
            digests = entry["digests"]
            if len(digests) < 2 or not all(re.fullmatch("[0-9a-f]{16}", str(digest)) for digest in digests):
                raise UserError(f"{where}: digests must be two or more of 16 hexadecimal digits, in quotes")
            if seen & set(digests):
                raise UserError(f"{where}: {sorted(seen & set(digests))[0]} stands in two entries; put them together")
            seen |= set(digests)
    return classes


def canonical(rule: str, digest: str, classes: Classes) -> str:
    """A digest with its packages (`code.code_digest`), the digest replaced by the first of its class."""
    own, *packages = digest.split(" ")
    first = next((entry["digests"][0] for entry in classes.get(rule, []) if own in entry["digests"]), own)
    return " ".join([first, *packages])
