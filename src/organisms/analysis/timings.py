"""What a run took, rule by rule: from Snakemake's benchmark files and the judges' bills."""

import csv
from collections import defaultdict
from pathlib import Path

import polars as pl

from organisms.analysis.tables import TIMINGS

# Rules whose jobs buy answers.
_PAID = "judgments"


def _value(text: str) -> float | None:
    return None if text in ("-", "NA", "") else float(text)


def timings(benchmarks: dict[str, list[str]], cost: pl.DataFrame | None) -> pl.DataFrame:
    """Rows of the timings table, the longest rule first.

    benchmarks: by rule the benchmark files of its jobs; files that are not there (jobs that never ran here) are left
    out. cost: the cost table, if there is one: its dollars stand at the rule that judges.
    """
    found = defaultdict(list)
    for rule, files in benchmarks.items():
        for file in map(Path, files):
            if file.exists():
                with file.open(encoding="utf-8") as lines:
                    found[rule].append(next(csv.DictReader(lines, delimiter="\t")))
    dollars = None if cost is None else cost["usd"].sum()

    def known(jobs: list[dict], column: str) -> list[float]:
        return [value for job in jobs if (value := _value(job[column])) is not None]

    rows = [
        {"rule": rule, "jobs": len(jobs), "seconds": sum(known(jobs, "s"))}
        | {"cpu_seconds": sum(cpu) if (cpu := known(jobs, "cpu_time")) else None}
        | {"peak_mb": max(known(jobs, "max_rss"), default=None)}
        | {"usd": dollars if rule == _PAID else None}
        for rule, jobs in found.items()
    ]
    return TIMINGS.frame(rows).sort("seconds", descending=True)
