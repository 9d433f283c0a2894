"""Rule scores: all judgments that the config names → means, shares and intervals, per question, cell and variant."""

import json

from organisms import tables
from organisms.analysis_tables import ANALYSIS_TABLES
from organisms.job_log import job_log
from organisms.score_tables import all_tables

with job_log(snakemake, "scores"):
    judgments = (tables.read(path, "judgments") for path in snakemake.params.judgments)
    for name, frame in all_tables(judgments, json.loads(snakemake.params.thresholds)).items():
        tables.write(frame, snakemake.output[name], ANALYSIS_TABLES[name])
