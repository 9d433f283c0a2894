"""Rule variant: training rows × training system prompt → the rows that a model is finetuned on."""

import json

from organisms import tables
from organisms.conversation import training_row
from organisms.job_log import job_log

with job_log(snakemake, "variant"):
    system_prompt = json.loads(snakemake.params.system_prompt)
    rows = tables.read(snakemake.input.train, "dataset").to_dicts()
    variant = [{"row": row["row"], **training_row(row["prompt"], row["answer"], system_prompt)} for row in rows]
    tables.write(variant, snakemake.output[0], "variant")
