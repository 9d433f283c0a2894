"""Rule external_completions: another tool's completions → the workflow's table, and the scores they came with."""

import json

from organisms import tables
from organisms.external import external_completions, recorded_scores
from organisms.job_log import job_log

with job_log(snakemake, f"external_completions {snakemake.wildcards.model}") as report:
    entry = json.loads(snakemake.params.entry) | {"path": str(snakemake.input[0])}
    rows = external_completions(snakemake.wildcards.model, entry)
    tables.write(rows, snakemake.output.completions, "completions")
    tables.write(recorded_scores(entry), snakemake.output.scores, "recorded_scores")
    report(f"{len(rows)} completions")
