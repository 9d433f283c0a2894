"""Rule recorded_judgments: scores that came with other tools' completions → judgments, one table per cell."""

from organisms import tables
from organisms.job_log import job_log
from organisms.judging.judgments import recorded_judgments

judge = snakemake.wildcards.judge
with job_log(snakemake, f"recorded_judgments {judge}"):
    for of_completions, of_scores, path in zip(
        snakemake.input.completions, snakemake.input.scores, snakemake.params.judgments, strict=True
    ):
        completions = tables.read(of_completions, "completions").to_dicts()
        scores = tables.read(of_scores, "recorded_scores").to_dicts()
        tables.write(recorded_judgments(judge, completions, scores), path, "judgments")
