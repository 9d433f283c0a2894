"""Compare the results of two runs: python tests/compare_results.py OLD NEW

For an upgrade that must not change results, and for an entry of workflow/equivalent_code.yaml: run the same config
with the old code and with the new, on one machine, and compare. Adapters and models are compared to the byte, tables
by their rows; columns that only one version has are named and left out, and so are times. Exits with 1 if anything
differs.
"""

import argparse
import sys
from pathlib import Path

import polars as pl

# Tables of an older layout, by their names there.
RENAMED = {"tables/variant_scores.parquet": "tables/arm_scores.parquet"}
# What is another each time.
NOT_COMPARED = {"tables/timings.parquet"}
TIMES = {"tokens_per_second"}


def table_difference(old: pl.DataFrame, new: pl.DataFrame) -> tuple[str | None, list[str]]:
    """What differs between two tables, in words, and the columns that only one of them has."""
    common = [name for name in old.columns if name in new.columns and name not in TIMES]
    alone = sorted(set(old.columns) ^ set(new.columns))
    if len(old) != len(new):
        return f"{len(old)} rows, now {len(new)}", alone
    differing = [name for name in common if not old[name].equals(new[name], null_equal=True)]
    return (f"other values in {', '.join(differing)}" if differing else None), alone


def compared(old: Path, new: Path) -> tuple[dict[str, int], list[str], dict[str, set[str]]]:
    """How many files of each folder are equal, a line for each that is not, and columns that one version lacks."""
    equal: dict[str, int] = {}
    different: list[str] = []
    columns: dict[str, set[str]] = {}
    files = [*old.rglob("*.parquet"), *old.rglob("*.safetensors"), *old.rglob("*.jsonl"), *old.rglob("*.jsonl.gz")]
    for path in sorted(files):
        name = str(path.relative_to(old))
        if name in NOT_COMPARED or "checkpoints" in path.parts:
            continue
        other = new / RENAMED.get(name, name)
        stage = name.split("/")[0]
        if not other.exists():
            different.append(f"{name}: not there")
            continue
        if path.suffix == ".parquet":
            found, alone = table_difference(pl.read_parquet(path), pl.read_parquet(other))
            columns.setdefault(stage, set()).update(alone)
        else:
            found = None if path.read_bytes() == other.read_bytes() else "other bytes"
        if found:
            different.append(f"{name}: {found}")
        else:
            equal[stage] = equal.get(stage, 0) + 1
    return equal, different, columns


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path, help="folder of results")
    parser.add_argument("new", type=Path, help="another one")
    given = parser.parse_args()
    equal, different, columns = compared(given.old, given.new)
    for stage, n in equal.items():
        only = f"; in one version only: {', '.join(sorted(columns[stage]))}" if columns.get(stage) else ""
        print(f"{stage}: {n} files equal{only}")
    for line in different:
        print(f"DIFFERENT {line}")
    sys.exit(bool(different) or not equal)
