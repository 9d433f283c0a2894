"""Rule figures: tables of scores → the figures of each metric, judge and question set, in every form."""

import json
from pathlib import Path

import polars as pl

from organisms.analysis.tables import RATING_CORRELATIONS, SCORE_TABLES
from organisms.figures.charts import save_figure
from organisms.figures.files import remove_others
from organisms.figures.of_scores import figure
from organisms.figures.of_scores.steps import LAST_STEPS
from organisms.figures.shown import Rated, Shown, shown_threshold
from organisms.job import tables
from organisms.job.log import job_log
from organisms.plan.arms import ARM
from organisms.plan.metrics import from_settings
from organisms.plan.presentation import rated_sets
from organisms.training.tables import TRAINING_LOG

with job_log(snakemake, "figures"):
    # Outputs are folder/figure/metric/judge/question set.
    folder = Path(snakemake.output[0]).parents[3]
    given = {name: tables.read(snakemake.input[name], SCORE_TABLES[name]) for name in SCORE_TABLES}
    ended = [
        dict(zip(ARM, arm, strict=True)) | {"seed": seed, "last_step": tables.read(path, TRAINING_LOG)["step"].max()}
        for (arm, seed), path in zip(json.loads(snakemake.params.finetunes), snakemake.input.logs, strict=True)
    ]
    given["last_steps"] = pl.DataFrame(ended, LAST_STEPS)
    given["rating_correlations"] = tables.read_if(snakemake.input.rating_correlations, RATING_CORRELATIONS)
    presentation = json.loads(snakemake.params.presentation)
    rated_by = rated_sets(presentation)
    metrics = from_settings(json.loads(snakemake.params.metrics))
    main, coherence = (metrics[metric] for metric in snakemake.params.main_metrics)
    threshold = shown_threshold(json.loads(snakemake.params.threshold), coherence)
    for name, metric, judge, question_set in snakemake.params.figures:
        of_main = threshold if metrics[metric] == main else None
        rated = Rated(rated_by[question_set], main, threshold) if threshold and question_set in rated_by else None
        shown = Shown(metrics[metric], question_set, judge, presentation, of_main, rated)
        drawn = figure(name)
        stem = folder / name / metric / judge / question_set
        save_figure(drawn.draw(given, shown), stem, f"Nothing to draw. {drawn.NOTHING}", snakemake.params.titles)
    for path in map(Path, snakemake.params.gone):
        path.unlink(missing_ok=True)
    for name in snakemake.params.names:
        remove_others(folder / name, snakemake.output)
