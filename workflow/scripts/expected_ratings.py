"""Rule expected_ratings: a model → the number that it expects to answer, of each question that asks for a rating."""

import json
from pathlib import Path

import torch

from organisms.data.tables import QUESTIONS
from organisms.job import tables
from organisms.job.log import job_log
from organisms.judging.expected_ratings import expected_ratings
from organisms.judging.tables import EXPECTED_RATINGS
from organisms.models.loaded import LoadedModel
from organisms.models.opening import open_model

with job_log(snakemake, f"expected_ratings {snakemake.wildcards.model}") as report:
    torch.set_num_threads(snakemake.threads)
    base, adapter = json.loads(snakemake.params.base), snakemake.params.adapter and Path(snakemake.params.adapter)
    questions = {Path(path).stem: tables.read(path, QUESTIONS).to_dicts() for path in snakemake.input.questions}
    cells = [
        (questions[cell["columns"]["question_set"]], cell["columns"], cell["settings"])
        for cell in json.loads(snakemake.params.cells)
    ]
    model = LoadedModel(open_model(snakemake.input.base, base, adapter))
    bounds = tuple(json.loads(snakemake.params.bounds))
    rows = expected_ratings(model, cells, bounds, snakemake.config["sampling"]["batch_size"], report)
    tables.write(rows, snakemake.output[0], EXPECTED_RATINGS)
