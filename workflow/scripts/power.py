"""Rule power: this run's variances → how many seeds, questions and samples the next one needs, printed."""

import json

import polars as pl

from organisms.analysis.power import costs_of, pilot, power_text
from organisms.analysis.tables import QUESTION_SCORES, TIMINGS
from organisms.job import tables
from organisms.job.log import job_log
from organisms.plan.contrasts import from_settings

with job_log(snakemake, "power") as report:
    of_questions = tables.read(snakemake.input.question_scores, QUESTION_SCORES)
    one = of_questions.filter((pl.col("judge") == of_questions["judge"].first()) & (pl.col("metric") == "length"))
    timings = tables.read(snakemake.input.timings, TIMINGS)
    found = pilot(of_questions, from_settings(json.loads(snakemake.params.contrasts)), snakemake.params.clusters)
    for line in power_text(found, costs_of(timings, snakemake.params.n_seeds, one["n"].sum())).splitlines():
        report(line)
