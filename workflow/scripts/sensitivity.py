"""Rule sensitivity: question scores → how much nudges move each model, and whether its ratings go with its answers."""

import json

from organisms.analysis.correlations import rating_correlations
from organisms.analysis.sensitivity import answer_changes, sensitivity
from organisms.analysis.tables import QUESTION_SCORES, SENSITIVITY_TABLES
from organisms.job import tables
from organisms.job.log import job_log

with job_log(snakemake, "sensitivity"):
    of_questions = tables.read(snakemake.input.question_scores, QUESTION_SCORES)
    main, threshold = snakemake.params.main, snakemake.params.threshold
    nudged, followed, rating_sets = (
        json.loads(snakemake.params[name]) for name in ("nudged", "followed", "rating_sets")
    )
    found = {
        "sensitivity": sensitivity(of_questions, nudged, main, threshold, snakemake.params.clusters),
        "answer_changes": answer_changes(of_questions, followed, snakemake.params.clusters),
        "rating_correlations": rating_correlations(of_questions, rating_sets, main, threshold),
    }
    for name, frame in found.items():
        tables.write(frame, snakemake.output[name], SENSITIVITY_TABLES[name])
