"""What a run took, rule by rule: from Snakemake's benchmark files and the judges' bills, as a table and a figure."""

import csv
from collections import defaultdict
from pathlib import Path

import altair as alt
import polars as pl

from organisms.analysis_tables import TIMINGS
from organisms.charts import themed
from organisms.tables import schema_of

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
    return pl.DataFrame(rows, schema=schema_of(TIMINGS)).sort("seconds", descending=True)


def timings_figure(table: pl.DataFrame) -> alt.LayerChart:
    """Bars of wall time by rule, with the number of jobs and what answers of judges cost."""
    jobs = pl.when(pl.col("jobs") == 1).then(pl.lit("1 job")).otherwise(pl.format("{} jobs", "jobs"))
    words = pl.format("{} s, {}", pl.col("seconds").round(1), jobs)
    paid = (
        pl.when(pl.col("usd").is_not_null()).then(pl.format("{}, ${}", words, pl.col("usd").round(2))).otherwise(words)
    )
    shown = table.with_columns(words=paid)
    y = alt.Y("rule:N", title=None, sort=shown["rule"].to_list(), axis=alt.Axis(domain=False, ticks=False))
    x = alt.X(
        "seconds:Q", title="Wall time of all jobs (s)", scale=alt.Scale(domainMax=1.35 * (shown["seconds"].max() or 1))
    )
    chart = alt.Chart(shown)
    return themed(
        alt.layer(
            chart.mark_bar(color="#0072B2").encode(x, y),
            chart.mark_text(align="left", dx=4, fontSize=11).encode(x, y, alt.Text("words:N")),
        ).properties(
            width=520,
            height=alt.Step(20),
            title=alt.TitleParams(
                "Time and cost by rule",
                subtitle=[
                    "Wall time of each job's last run, added up; jobs run side by side.",
                    "Dollars: answers of judges.",
                ],
            ),
        )
    )
