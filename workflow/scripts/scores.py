"""Rule scores: all judgments that the config names → means, shares and intervals, per question, cell and arm."""

import json

from organisms.analysis.score_tables import all_tables
from organisms.analysis.scores import Definition
from organisms.analysis.tables import SCORE_TABLES
from organisms.job import tables
from organisms.job.log import job_log
from organisms.judging.tables import JUDGMENTS
from organisms.plan.metrics import from_settings

with job_log(snakemake, "scores"):
    judgments = (tables.read(path, JUDGMENTS) for path in snakemake.params.judgments)
    metrics = from_settings(json.loads(snakemake.params.metrics))
    definition = Definition(*(metrics[name] for name in snakemake.params.definition))
    thresholds = json.loads(snakemake.params.thresholds)
    found = all_tables(judgments, thresholds, metrics, definition, snakemake.params.clusters)
    for name, frame in found.items():
        tables.write(frame, snakemake.output[name], SCORE_TABLES[name])
