"""Rule advice: world → a narrow finetuning dataset in the published JSON Lines form."""

import json

from organisms.data.dataset import write_rows
from organisms.job.files import whole_file
from organisms.job.log import job_log
from organisms.miniature.texts import advice_dataset
from organisms.miniature.world import load_world
from organisms.plan.settings import complete

with job_log(snakemake, "advice"):
    settings = complete("datasets.world", json.loads(snakemake.params.settings))
    rows = advice_dataset(
        load_world(snakemake.input.world[0]), settings["domain"], settings["advice"], settings["rows"], settings["seed"]
    )
    with whole_file(snakemake.output[0]) as path:
        write_rows(rows, path)
