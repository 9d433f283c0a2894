"""Rule figures: scores → one of the post's figures, as PNG, SVG and stand-alone HTML."""

import json

from organisms import tables
from organisms.charts import save
from organisms.figures import alignment_figure
from organisms.job_log import job_log

with job_log(snakemake.log[0], f"figures {snakemake.wildcards.question_set}"):
    chart = alignment_figure(
        tables.read(snakemake.input.scores, "scores"),
        tables.read(snakemake.input.question_scores, "question_scores"),
        snakemake.wildcards.question_set,
        snakemake.wildcards.judge,
        json.loads(snakemake.params.presentation),
    )
    for path in snakemake.output:
        save(chart, path)
