"""Rule training_curves: the finetunes' training logs → a figure of their loss."""

import json

from organisms import tables
from organisms.charts import save
from organisms.job_log import job_log
from organisms.training_curves import training_curves

with job_log(snakemake, "training_curves"):
    finetunes = [tuple(entry) for entry in json.loads(snakemake.params.finetunes)]
    logs = [tables.read(path, "training_log") for path in snakemake.input.logs]
    chart = training_curves(dict(zip(finetunes, logs, strict=True)), json.loads(snakemake.params.presentation))
    save(chart, list(snakemake.output))
