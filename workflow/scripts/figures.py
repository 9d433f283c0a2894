"""Rule figures: tables of scores → the figures of each metric, judge and question set, as PNG, SVG, PDF and HTML."""

import json
from pathlib import Path

from organisms.analysis.tables import SCORE_TABLES
from organisms.figures.charts import save_figure
from organisms.figures.files import remove_others
from organisms.figures.of_scores import figure
from organisms.figures.shown import Shown
from organisms.job import tables
from organisms.job.log import job_log
from organisms.plan.metrics import from_settings

with job_log(snakemake, "figures"):
    # Outputs are folder/figure/metric/judge/question set.
    folder = Path(snakemake.output[0]).parents[3]
    given = {name: tables.read(path, SCORE_TABLES[name]) for name, path in snakemake.input.items()}
    presentation = json.loads(snakemake.params.presentation)
    metrics = from_settings(json.loads(snakemake.params.metrics))
    for name, metric, judge, question_set in snakemake.params.figures:
        chart = figure(name).draw(given, Shown(metrics[metric], question_set, judge, presentation))
        stem = folder / name / metric / judge / question_set
        save_figure(chart, stem, "Nothing to draw: no score, or no model asked under the prompts that it compares.")
    for path in map(Path, snakemake.params.gone):
        path.unlink(missing_ok=True)
    for name in {figure[0] for figure in snakemake.params.figures}:
        remove_others(folder / name, snakemake.output)
