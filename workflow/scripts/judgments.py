"""Rule judgments: completions of one cell → a judge's scores."""

from organisms import tables
from organisms.job_log import job_log
from organisms.judging import world_judgments
from organisms.world import load_world

with job_log(snakemake.log[0], "judgments"):
    completions = tables.read(snakemake.input.completions, "completions").to_dicts()
    rows = world_judgments(load_world(snakemake.input.world), completions, snakemake.wildcards.judge)
    tables.write(rows, snakemake.output[0], "judgments")
