"""Rule recorded_judgments: scores that came with another tool's completions → judgments of their cell."""

from organisms import tables
from organisms.job_log import job_log
from organisms.judging.judgments import recorded_judgments

judge = snakemake.wildcards.judge
with job_log(snakemake.log[0], f"recorded_judgments {judge}"):
    completions = tables.read(snakemake.input.completions, "completions").to_dicts()
    scores = tables.read(snakemake.input.scores, "recorded_scores").to_dicts()
    tables.write(recorded_judgments(judge, completions, scores), snakemake.output[0], "judgments")
