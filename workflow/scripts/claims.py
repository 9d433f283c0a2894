"""Rule claims: question scores → the config's claims tested, and what each arm has learned."""

import json

from organisms.analysis.claims import check_compared, claim_grid, claims
from organisms.analysis.diagnoses import diagnoses
from organisms.analysis.scores import Definition
from organisms.analysis.tables import CLAIM_TABLES, LENGTH_EFFECT, QUESTION_CUTS, QUESTION_SCORES
from organisms.job import tables
from organisms.job.log import job_log
from organisms.plan import contrasts
from organisms.plan.metrics import from_settings

with job_log(snakemake, "claims"):
    of_questions = tables.read(snakemake.input.question_scores, QUESTION_SCORES)
    metrics = from_settings(json.loads(snakemake.params.metrics))
    definition = Definition(*(metrics[name] for name in snakemake.params.definition))
    claimed = contrasts.from_settings(json.loads(snakemake.params.contrasts))
    check_compared(of_questions, claimed)
    clusters = snakemake.params.clusters
    grid = claim_grid(tables.read(snakemake.input.question_cuts, QUESTION_CUTS), claimed, clusters)
    lengths = tables.read(snakemake.input.length_effect, LENGTH_EFFECT)
    arms = json.loads(snakemake.params.arms)
    found = {
        "claim_grid": grid,
        "claims": claims(of_questions, grid, lengths, claimed, metrics, definition.main.name, clusters),
        "diagnoses": diagnoses(of_questions, arms, snakemake.params.margin, definition, clusters),
    }
    for name, frame in found.items():
        tables.write(frame, snakemake.output[name], CLAIM_TABLES[name])
