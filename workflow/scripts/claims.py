"""Rule claims: question scores → the config's claims tested, and what each variant has learned."""

import json

from organisms import tables
from organisms.analysis_tables import ANALYSIS_TABLES, LENGTH_EFFECT, QUESTION_CUTS, QUESTION_SCORES
from organisms.claims import claim_grid, claims
from organisms.contrasts import from_settings
from organisms.diagnoses import diagnoses
from organisms.job_log import job_log

with job_log(snakemake, "claims"):
    of_questions = tables.read(snakemake.input.question_scores, QUESTION_SCORES)
    contrasts = from_settings(json.loads(snakemake.params.contrasts))
    grid = claim_grid(tables.read(snakemake.input.question_cuts, QUESTION_CUTS), contrasts)
    lengths = tables.read(snakemake.input.length_effect, LENGTH_EFFECT)
    found = {
        "claim_grid": grid,
        "claims": claims(of_questions, grid, lengths, contrasts),
        "diagnoses": diagnoses(of_questions, json.loads(snakemake.params.variants), snakemake.params.margin),
    }
    for name, frame in found.items():
        tables.write(frame, snakemake.output[name], ANALYSIS_TABLES[name])
