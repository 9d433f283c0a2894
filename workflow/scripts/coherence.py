"""Rule coherence: judgments and completions → the main metric against coherence, completions counted."""

import json
from pathlib import Path

import polars as pl

from organisms.analysis.scores import Definition
from organisms.figures.charts import save_figure
from organisms.figures.coherence import COLUMNS, coherence_figure, counted_scores, texts_of, with_texts
from organisms.figures.files import remove_others
from organisms.figures.shown import Shown, shown_threshold
from organisms.job import tables
from organisms.job.log import job_log
from organisms.judging.tables import JUDGMENTS
from organisms.plan.metrics import from_settings

with job_log(snakemake, "coherence"):
    # Outputs are folder/figure/metric/judge/question set.
    folder = Path(snakemake.output[0]).parents[3]
    judgments = pl.concat(tables.read(path, JUDGMENTS).select(COLUMNS) for path in snakemake.params.judgments)
    presentation = json.loads(snakemake.params.presentation)
    metrics = from_settings(json.loads(snakemake.params.metrics))
    definition = Definition(*(metrics[name] for name in snakemake.params.definition))
    cut = shown_threshold(json.loads(snakemake.params.threshold), definition.coherence)
    drawn = []
    for _, _, judge, question_set in snakemake.params.figures:
        of = judgments.filter((pl.col("judge") == judge) & (pl.col("question_set") == question_set))
        drawn.append((counted_scores(of, definition), Shown(definition.main, question_set, judge, presentation, cut)))
    texts = texts_of([points for points, _ in drawn], snakemake.params.cells)
    for points, shown in drawn:
        chart = coherence_figure(with_texts(points, texts), shown, definition.coherence)
        stem = folder / "coherence" / shown.metric.name / shown.judge / shown.question_set
        save_figure(chart, stem, "No completion has a score of both metrics.", snakemake.params.titles)
    remove_others(folder / "coherence", snakemake.output)
