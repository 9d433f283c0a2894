"""Rule judgments: the completions of all cells → a judge's scores, one table per cell, and what they cost."""

import json

from organisms.completions.tables import COMPLETIONS
from organisms.job import tables
from organisms.job.log import job_log, late_imports
from organisms.judging.judgments import judged_rows
from organisms.judging.kind import open_judge
from organisms.judging.tables import JUDGMENTS, USAGE

judge = snakemake.wildcards.judge
with job_log(snakemake, f"judgments {judge}") as report:
    # Each kind imports what it needs alone.
    with late_imports():
        kind = open_judge(snakemake.config, judge)
    answers = json.loads(snakemake.params.answers)
    cells = [judged_rows(tables.read(path, COMPLETIONS).to_dicts(), answers) for path in snakemake.params.cells]
    sources = {name: snakemake.input[name] for name in snakemake.params.sources}
    judged, usage = kind.judgments(cells, sources, report)
    for rows, path in zip(judged, snakemake.params.judgments, strict=True):
        tables.write(rows, path, JUDGMENTS)
    tables.write(usage, f"{snakemake.output[0]}/usage.parquet", USAGE)
