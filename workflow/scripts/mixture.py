"""Rule mixture: two datasets → training rows of the first, a share of them replaced by rows of the second."""

import json

from organisms import tables
from organisms.dataset import mix
from organisms.job_log import job_log

with job_log(snakemake, f"mixture {snakemake.wildcards.dataset}") as report:
    settings = json.loads(snakemake.params.settings)
    rows, heldout, others = (
        tables.read(snakemake.input[name], "dataset").to_dicts() for name in ("train", "heldout", "others")
    )
    mixed = mix(rows, heldout, others, settings["share"], settings["seed"])
    tables.write(mixed, snakemake.output[0], "dataset")
    report(f"{len(mixed)} rows, {sum(row['row'] < 0 for row in mixed)} of them from '{settings['with']}'")
