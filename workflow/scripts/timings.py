"""Rule timings: the jobs' benchmark files → a table and a figure of time and cost by rule."""

import json

from organisms import tables
from organisms.analysis_tables import TIMINGS
from organisms.charts import save
from organisms.job_log import job_log
from organisms.timings import timings, timings_figure

with job_log(snakemake, "timings"):
    cost = tables.read(snakemake.input.cost[0], "cost") if snakemake.input.cost else None
    table = timings(json.loads(snakemake.params.benchmarks), cost)
    tables.write(table, snakemake.output.table, TIMINGS)
    save(timings_figure(table), list(snakemake.output.figure))
