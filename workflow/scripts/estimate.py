"""Rule estimate: what is there and what is not yet → calls, tokens and dollars that judging would take, printed."""

from organisms.job.log import job_log
from organisms.judging.estimate import estimate, estimate_text

with job_log(snakemake, "estimate") as report:
    for judge in snakemake.params.judges:
        found = estimate(snakemake.config, judge, snakemake.params.cells, snakemake.input.questions)
        for line in estimate_text(judge, found):
            report(line)
    if not snakemake.params.judges:
        report("no judge of kind anthropic in the config: judging costs nothing")
