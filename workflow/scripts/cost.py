"""Rule cost: the judges' use of tokens × prices → what judging cost."""

import polars as pl

from organisms.job import tables
from organisms.job.log import job_log
from organisms.judging.prices import load_prices, with_dollars
from organisms.judging.tables import COST, USAGE

with job_log(snakemake, "cost") as report:
    usage = pl.concat(tables.read(path, USAGE) for path in snakemake.params.usage)
    cost = with_dollars(usage.to_dicts(), load_prices(snakemake.input.prices))
    tables.write(cost, snakemake.output[0], COST)
    report(f"{sum(row['usd'] or 0 for row in cost):.4f} dollars for {sum(row['calls'] for row in cost)} answers")
