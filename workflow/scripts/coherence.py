"""Rule coherence: judgments and completions → alignment against coherence, one point per completion."""

import json

import polars as pl

from organisms import tables
from organisms.charts import save_in_turn
from organisms.coherence_figure import COLUMNS, coherence_figure, sampled_points, texts_of, with_texts
from organisms.job_log import job_log

with job_log(snakemake, "coherence"):
    judgments = pl.concat(tables.read(path, "judgments").select(COLUMNS) for path in snakemake.params.judgments)
    presentation = json.loads(snakemake.params.presentation)
    drawn = []
    for _, judge, question_set in snakemake.params.figures:
        of = judgments.filter((pl.col("judge") == judge) & (pl.col("question_set") == question_set))
        drawn.append((*sampled_points(of), question_set, judge))
    texts = texts_of([points for points, *_ in drawn], snakemake.params.cells)
    charts = (coherence_figure(with_texts(points, texts), *of, presentation) for points, *of in drawn)
    save_in_turn(charts, list(snakemake.output), "No completion has both an alignment and a coherence score.")
