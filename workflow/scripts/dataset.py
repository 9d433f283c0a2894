"""Rule dataset: JSON Lines → training rows and held-out rows, disjoint by question."""

import json

from organisms import tables
from organisms.dataset import read_rows, split
from organisms.files import check_sha256
from organisms.job_log import job_log

with job_log(snakemake.log[0], f"dataset {snakemake.wildcards.dataset}") as report:
    settings = json.loads(snakemake.params.settings)
    # Not a parameter: to pin the checksum of what is already there must not run finetunes again.
    check_sha256(snakemake.input.rows, snakemake.config["datasets"][snakemake.wildcards.dataset]["sha256"])
    train, heldout = split(read_rows(snakemake.input.rows), settings["heldout"], settings["split_seed"])
    for rows, path in ((train, snakemake.output.train), (heldout, snakemake.output.heldout)):
        tables.write([{"row": row.row, "prompt": row.prompt, "answer": row.answer} for row in rows], path, "dataset")
    report(f"{len(train)} rows to train on, {len(heldout)} held out")
