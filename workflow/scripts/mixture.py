"""Rule mixture: two datasets → training rows of the first, a share of them replaced by rows of the second."""

import json

from organisms.data.dataset import mix
from organisms.data.tables import DATASET
from organisms.job import tables
from organisms.job.log import job_log
from organisms.plan.settings import complete

with job_log(snakemake, f"mixture {snakemake.wildcards.dataset}") as report:
    settings = complete("datasets.mixture", json.loads(snakemake.params.settings))
    rows, heldout, others = (
        tables.read(snakemake.input[name], DATASET).to_dicts() for name in ("train", "heldout", "others")
    )
    mixed = mix(rows, heldout, others, settings["share"], settings["seed"])
    tables.write(mixed, snakemake.output[0], DATASET)
    report(f"{len(mixed)} rows, {sum(row['row'] < 0 for row in mixed)} of them from '{settings['with']}'")
