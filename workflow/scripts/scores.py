"""Rule scores: all judgments that the config names → means per cell and per question."""

import polars as pl

from organisms import tables
from organisms.job_log import job_log
from organisms.scores import cell_scores, flag_counts, question_scores

with job_log(snakemake.log[0], "scores"):
    judgments = pl.concat(tables.read(path, "judgments") for path in snakemake.input.judgments)
    tables.write(cell_scores(judgments), snakemake.output.scores, "scores")
    tables.write(question_scores(judgments), snakemake.output.question_scores, "question_scores")
    tables.write(flag_counts(judgments), snakemake.output.flags, "flags")
