"""Rule coherence: judgments and completions → alignment against coherence, one point per completion."""

import json

import polars as pl

from organisms import tables
from organisms.charts import empty_figure, save
from organisms.coherence_figure import COLUMNS, coherence_figure, sampled_points, with_texts
from organisms.job_log import job_log

with job_log(snakemake.log[0], "coherence"):
    judgments = pl.concat(tables.read(path, "judgments").select(COLUMNS) for path in snakemake.input.judgments)
    presentation = json.loads(snakemake.params.presentation)
    files = list(snakemake.output)
    each = len(files) // max(1, len(snakemake.params.figures))
    for i, (_, judge, question_set) in enumerate(snakemake.params.figures):
        of = judgments.filter((pl.col("judge") == judge) & (pl.col("question_set") == question_set))
        points, n_in_all = sampled_points(of)
        points = with_texts(points, [paths[0] for paths in snakemake.params.cells])
        chart = coherence_figure(points, n_in_all, question_set, judge, presentation)
        chart = chart or empty_figure("No completion has both an alignment and a coherence score.")
        save(chart, files[i * each : (i + 1) * each])
