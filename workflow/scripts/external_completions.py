"""Rule external_completions: another tool's completions → the workflow's table, and the scores they came with."""

import json

from organisms.completions.external import external_completions, recorded_scores
from organisms.completions.tables import COMPLETIONS, RECORDED_SCORES
from organisms.job import tables
from organisms.job.log import job_log

with job_log(snakemake, f"external_completions {snakemake.wildcards.model}") as report:
    entry = json.loads(snakemake.params.entry) | {"path": str(snakemake.input[0])}
    rows = external_completions(snakemake.wildcards.model, entry)
    tables.write(rows, snakemake.output.completions, COMPLETIONS)
    tables.write(recorded_scores(entry), snakemake.output.scores, RECORDED_SCORES)
    report(f"{len(rows)} completions")
