"""Rule variant: training rows × training prompt → the rows that a model is finetuned on."""

import json

from organisms.data.tables import DATASET, VARIANT
from organisms.job import tables
from organisms.job.log import job_log
from organisms.plan.prompts import placed, training_row

with job_log(snakemake, "variant"):
    prompts = placed(json.loads(snakemake.params.prompts))
    rows = tables.read(snakemake.input.train, DATASET).to_dicts()
    tables.write([{"row": row["row"], **training_row(row, prompts)} for row in rows], snakemake.output[0], VARIANT)
