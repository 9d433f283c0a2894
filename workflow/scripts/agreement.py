"""Rule agreement: all judgments → how far the judges agree, how each ranks the variants, and a figure of both."""

import json

import polars as pl

from organisms.analysis.agreement import agreement, rankings
from organisms.analysis.tables import AGREEMENT, RANKINGS
from organisms.figures.agreement import agreement_figure
from organisms.figures.charts import save
from organisms.job import tables
from organisms.job.log import job_log
from organisms.judging.tables import JUDGMENTS
from organisms.plan.metrics import from_settings

with job_log(snakemake, "agreement"):
    judgments = pl.concat(tables.read(path, JUDGMENTS) for path in snakemake.params.judgments)
    metrics = from_settings(json.loads(snakemake.params.metrics))
    main = metrics[snakemake.params.main_metric]
    compared = agreement(judgments, main.name)
    ranked = rankings(judgments)
    tables.write(compared, snakemake.output.agreement, AGREEMENT)
    tables.write(ranked, snakemake.output.rankings, RANKINGS)
    chart = agreement_figure(ranked, compared, main, json.loads(snakemake.params.presentation))
    save(chart, list(snakemake.output.figure), snakemake.params.titles)
