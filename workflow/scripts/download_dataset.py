"""Rule download_dataset: a Hugging Face dataset → JSON Lines."""

import json

from organisms.data.dataset import write_rows
from organisms.data.hub import read_dataset
from organisms.job.files import whole_file
from organisms.job.log import job_log
from organisms.plan.settings import complete

with job_log(snakemake, f"download_dataset {snakemake.wildcards.dataset}"):
    settings = complete("datasets.hub", json.loads(snakemake.params.settings))
    rows = read_dataset(settings["id"], settings["revision"], settings["split"])
    with whole_file(snakemake.output[0]) as path:
        write_rows(rows, path)
