"""Rule training_curves: the finetunes' training logs → a figure of their loss."""

import json

from organisms.figures.charts import save
from organisms.figures.training_curves import training_curves
from organisms.job import tables
from organisms.job.log import job_log
from organisms.training.tables import TRAINING_LOG

with job_log(snakemake, "training_curves"):
    finetunes = json.loads(snakemake.params.finetunes)
    logs = [
        (tuple(group), seed, tables.read(path, TRAINING_LOG))
        for (group, seed), path in zip(finetunes, snakemake.input.logs, strict=True)
    ]
    chart = training_curves(logs, json.loads(snakemake.params.presentation))
    save(chart, list(snakemake.output), snakemake.params.titles)
