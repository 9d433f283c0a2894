"""Rule estimate: what is there and what is not yet → calls, tokens and dollars that judging would take, printed."""

from organisms.job_log import job_log
from organisms.judging.estimate import estimate, estimate_text

with job_log(snakemake.log[0], "estimate") as report:
    for judge in dict.fromkeys(judge for judge, _, _ in snakemake.params.cells):
        cells = [(question_set, path) for name, question_set, path in snakemake.params.cells if name == judge]
        for line in estimate_text(judge, estimate(snakemake.config, judge, cells, snakemake.input.questions)):
            report(line)
    if not snakemake.params.cells:
        report("no judge of kind anthropic in the config: judging costs nothing")
