"""Rule timings: the jobs' benchmark files → a table and a figure of time and cost by rule."""

import json

from organisms.analysis.tables import TIMINGS
from organisms.analysis.timings import timings
from organisms.figures.charts import save
from organisms.figures.timings import timings_figure
from organisms.job import tables
from organisms.job.log import job_log
from organisms.judging.tables import COST

with job_log(snakemake, "timings"):
    cost = tables.read(snakemake.input.cost[0], COST) if snakemake.input.cost else None
    table = timings(json.loads(snakemake.params.benchmarks), cost)
    tables.write(table, snakemake.output.table, TIMINGS)
    save(timings_figure(table), list(snakemake.output.figure), snakemake.params.titles)
