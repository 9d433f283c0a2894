"""Rule summary: scores → the short table that a run prints."""

import json
from pathlib import Path

from organisms import tables
from organisms.files import whole_file
from organisms.job_log import job_log
from organisms.summary import summary_text

with job_log(snakemake.log[0], "summary"):
    text = summary_text(
        tables.read(snakemake.input.scores, "scores"),
        json.loads(snakemake.params.presentation),
        results=str(Path(snakemake.output[0]).parent),
    )
    with whole_file(snakemake.output[0]) as path:
        path.write_text(text, encoding="utf-8")
