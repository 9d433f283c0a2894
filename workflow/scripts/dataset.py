"""Rule dataset: JSON Lines → training rows and held-out rows, disjoint by question."""

import json

from organisms.data.dataset import read_rows, split
from organisms.data.tables import DATASET
from organisms.job import tables
from organisms.job.files import check_sha256
from organisms.job.log import job_log

with job_log(snakemake, f"dataset {snakemake.wildcards.dataset}") as report:
    settings = json.loads(snakemake.params.settings)
    # Not parameters: a checksum pinned later, or a file that lies elsewhere, must not run finetunes again.
    entry = snakemake.config["datasets"][snakemake.wildcards.dataset]
    source = snakemake.input.get("rows") or entry["path"]
    check_sha256(source, entry["sha256"])
    train, heldout = split(read_rows(source), settings["heldout"], settings["split_seed"])
    for rows, path in ((train, snakemake.output.train), (heldout, snakemake.output.heldout)):
        tables.write([{"row": row.row, "prompt": row.prompt, "answer": row.answer} for row in rows], path, DATASET)
    report(f"{len(train)} rows to train on, {len(heldout)} held out")
