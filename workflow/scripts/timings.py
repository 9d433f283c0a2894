"""Rule timings: manifests and benchmark files of the jobs behind results → a table and a figure of time and cost."""

import json
from pathlib import Path

from organisms.analysis.tables import TIMINGS
from organisms.analysis.timings import seconds_before, timings
from organisms.figures.charts import save
from organisms.figures.timings import timings_figure
from organisms.job import tables
from organisms.job.lineage import jobs_behind
from organisms.job.log import job_log
from organisms.judging.tables import COST

with job_log(snakemake, "timings"):
    cost = tables.read(snakemake.input.cost[0], COST) if snakemake.input.cost else None
    jobs = jobs_behind([*snakemake.input], snakemake.params.manifests, snakemake.params.never)
    before = {name: job["seconds_before"] for name, job in jobs.items() if "seconds_before" in job}
    for adapter in map(Path, snakemake.input.finetunes):
        folder = adapter.parents[1]
        before[f"finetune/{folder.name}"] = seconds_before(json.loads((folder / "training.json").read_text()))
    seconds = {name: job["seconds"] for name, job in jobs.items()}
    table = timings(seconds, Path(snakemake.params.manifests).with_name("benchmarks"), before, cost)
    tables.write(table, snakemake.output.table, TIMINGS)
    save(timings_figure(table), list(snakemake.output.figure), snakemake.params.titles)
