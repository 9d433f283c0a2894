"""Rule summary: scores and claims → the short tables that a run prints."""

import json
from pathlib import Path

from organisms import tables
from organisms.analysis_tables import CLAIMS, VARIANT_SCORES
from organisms.files import whole_file
from organisms.job_log import job_log
from organisms.summary import summary_text

with job_log(snakemake, "summary"):
    text = summary_text(
        tables.read(snakemake.input.variant_scores, VARIANT_SCORES),
        tables.read(snakemake.input.claims, CLAIMS),
        json.loads(snakemake.params.presentation),
        results=str(Path(snakemake.output[0]).parent),
    )
    with whole_file(snakemake.output[0]) as path:
        path.write_text(text, encoding="utf-8")
