"""Rule agreement: all judgments → how far the judges agree, how each ranks the variants, and a figure of both."""

import json

import polars as pl

from organisms import tables
from organisms.agreement import agreement, agreement_figure, rankings
from organisms.analysis_tables import AGREEMENT, RANKINGS
from organisms.charts import save
from organisms.job_log import job_log

with job_log(snakemake, "agreement"):
    judgments = pl.concat(tables.read(path, "judgments") for path in snakemake.params.judgments)
    compared = agreement(judgments)
    ranked = rankings(judgments)
    tables.write(compared, snakemake.output.agreement, AGREEMENT)
    tables.write(ranked, snakemake.output.rankings, RANKINGS)
    chart = agreement_figure(ranked, compared, json.loads(snakemake.params.presentation))
    save(chart, list(snakemake.output.figure))
