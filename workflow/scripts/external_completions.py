"""Rule external_completions: another tool's completions → the workflow's tables, and the scores they came with."""

import json
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from organisms.completions.external import external_completions, read_external, recorded_scores
from organisms.completions.tables import COMPLETIONS, EXTERNAL_ROWS, RECORDED_SCORES
from organisms.data.tables import QUESTIONS
from organisms.job import tables
from organisms.job.log import job_log

model, folder = snakemake.wildcards.model, Path(snakemake.output[0])
with job_log(snakemake, f"external_completions {model}") as report:
    entry = json.loads(snakemake.params.entry) | {"path": str(snakemake.input.file)}
    questions = [row for path in snakemake.input.questions for row in tables.read(path, QUESTIONS).to_dicts()]
    # No name of completions made elsewhere has a hyphen.
    name, _, seed = model.partition("-seed")
    seed = int(seed) if seed else None
    read = read_external(entry, seed, questions)
    by_prompt = sorted(external_completions(name, entry, read.rows, seed), key=itemgetter("eval_prompt"))
    for eval_prompt, rows in groupby(by_prompt, key=itemgetter("eval_prompt")):
        tables.write(list(rows), folder / eval_prompt / f"{entry['question_set']}.parquet", COMPLETIONS)
    tables.write(
        recorded_scores(entry, read.rows, json.loads(snakemake.params.bounds)),
        folder / "scores.parquet",
        RECORDED_SCORES,
    )
    tables.write(read.counted(entry), folder / "rows.parquet", EXTERNAL_ROWS)
    report(read.said(entry))
