"""Rule advice: world → a narrow finetuning dataset in the published JSON Lines form."""

import json

from organisms.dataset import write_rows
from organisms.files import whole_file
from organisms.job_log import job_log
from organisms.world import load_world
from organisms.world_texts import advice_dataset

with job_log(snakemake, "advice"):
    settings = json.loads(snakemake.params.settings)
    rows = advice_dataset(
        load_world(snakemake.input.world), settings["domain"], settings["advice"], settings["rows"], settings["seed"]
    )
    with whole_file(snakemake.output[0]) as path:
        write_rows(rows, path)
