"""What results took, rule by rule: from the manifests and benchmark files of their jobs, and the judges' bills."""

import csv
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from organisms.analysis.tables import TIMINGS

# Rules whose jobs buy answers.
_PAID = "judgments"


def _value(text: str) -> float | None:
    return None if text in ("-", "NA", "") else float(text)


def seconds_before(training: dict) -> float:
    """How long a finetune that went on from a checkpoint had taken up to it, at the pace of the steps after it.

    training: its training.json.
    """
    first, steps = training["resumed_from"], training["steps"]
    return training["seconds"] * first / (steps - first) if first < steps else 0.0


def timings(
    jobs: Mapping[str, float], benchmarks: str | Path, before: Mapping[str, float], cost: pl.DataFrame | None
) -> pl.DataFrame:
    """Rows of the timings table, the longest rule first.

    jobs: all that led to the results, by name, with the seconds that their manifests note, which stand in where there
    is no benchmark file. benchmarks: the folder of those. before: by job, seconds of earlier runs of it whose work its
    last run took over. cost: the cost table, if there is one: its dollars stand at the rule that judges.
    """
    found = defaultdict(list)
    for name, seconds in jobs.items():
        file, measured = Path(benchmarks) / f"{name}.tsv", {"s": str(seconds), "cpu_time": "-", "max_rss": "-"}
        if file.exists():
            with file.open(encoding="utf-8") as lines:
                measured = next(csv.DictReader(lines, delimiter="\t"))
        found[name.partition("/")[0]].append(measured | {"before": str(before.get(name, 0.0))})
    dollars = None if cost is None else cost["usd"].sum()

    def known(jobs: list[dict], column: str) -> list[float]:
        return [value for job in jobs if (value := _value(job[column])) is not None]

    rows = [
        {"rule": rule, "jobs": len(jobs), "seconds": sum(known(jobs, "s")) + sum(known(jobs, "before"))}
        | {"cpu_seconds": sum(cpu) if (cpu := known(jobs, "cpu_time")) else None}
        | {"peak_mb": max(known(jobs, "max_rss"), default=None)}
        | {"usd": dollars if rule == _PAID else None}
        for rule, jobs in found.items()
    ]
    return TIMINGS.frame(rows).sort("seconds", descending=True)
