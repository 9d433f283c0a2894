"""Where a finished run's time went, rule by rule: python benchmarks/cpu.py [RESULTS_FOLDER].

Reads Snakemake's benchmark files and the jobs' logs of a run and prints a Markdown table: how many jobs, their wall
time, and how much of it was starting Python and importing, loading a model, and everything else.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path


def noted_seconds(log: Path, what: str) -> float:
    """The seconds that a log notes for `what` (`imports` or `loading`), in all."""
    noted = re.findall(rf"^(?:late )?{what}: ([\d.]+) s$", log.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return sum(map(float, noted))


def times_by_rule(results: Path) -> dict[str, list[tuple[float, float, float]]]:
    """For each rule one (wall, imports, loading) in seconds per job."""
    times = defaultdict(list)
    benchmarks = results / "benchmarks"
    for benchmark in sorted(benchmarks.rglob("*.tsv")):
        name = benchmark.relative_to(benchmarks)
        header, values = (line.split("\t") for line in benchmark.read_text(encoding="utf-8").splitlines()[:2])
        wall = float(dict(zip(header, values, strict=True))["s"])
        log = (results / "logs" / name).with_suffix(".log")
        imports, loading = (min(noted_seconds(log, what), wall) for what in ("imports", "loading"))
        times[name.parts[0].removesuffix(".tsv")].append((wall, imports, loading))
    return times


def table(times: dict[str, list[tuple[float, float, float]]]) -> str:
    """The times as a Markdown table, the most costly rule first, with a total."""
    lines = ["| rule | jobs | wall s | imports | loading | other |", "| --- | ---: | ---: | ---: | ---: | ---: |"]

    def row(name: str, jobs: list[tuple[float, float, float]]) -> str:
        wall, imports, loading = (sum(column) for column in zip(*jobs, strict=True))
        shares = [imports, loading, wall - imports - loading]
        return f"| {name} | {len(jobs)} | {wall:.1f} | " + " | ".join(f"{share / wall:.0%}" for share in shares) + " |"

    for name, jobs in sorted(times.items(), key=lambda item: -sum(job[0] for job in item[1])):
        lines.append(row(name, jobs))
    lines.append(row("**all**", [job for jobs in times.values() for job in jobs]))
    return "\n".join(lines)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
    if not (folder / "benchmarks").is_dir():
        sys.exit(f"error: {folder} holds no benchmarks; run the workflow first or name its results folder")
    print(table(times_by_rule(folder)))
