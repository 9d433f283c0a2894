"""Rule completions: a model → what it answers in each of its cells, one table per cell.

The model is loaded once for all of them, and only for what was not sampled before.
"""

import json
from pathlib import Path

from organisms.completions.answering import answered
from organisms.completions.kept import open_kept
from organisms.completions.rows import planned_rows
from organisms.completions.tables import COMPLETIONS
from organisms.data.tables import QUESTIONS
from organisms.job import tables
from organisms.job.hashes import digest_of
from organisms.job.log import job_log, late_imports
from organisms.job.manifest import hashes_of
from organisms.models.loaded import LoadedModel
from organisms.models.opening import open_model

made = {}
with job_log(snakemake, f"completions {snakemake.wildcards.model}", also=made) as report:
    base, adapter = json.loads(snakemake.params.base), snakemake.params.adapter and Path(snakemake.params.adapter)
    files = [*snakemake.input.base, *(sorted(adapter.glob("adapter_*")) if adapter else [])]
    hashes = hashes_of(snakemake.config["results"])
    model = digest_of(f"{snakemake.params.base}\0{snakemake.params.sampling}", files, hashes)
    questions = {Path(path).stem: tables.read(path, QUESTIONS).to_dicts() for path in snakemake.input.questions}
    cells = [
        planned_rows(questions[cell["columns"]["question_set"]], cell["columns"], cell["settings"])
        for cell in json.loads(snakemake.params.cells)
    ]

    def opened():
        # Imported here: a job that samples nothing has no use for torch.
        with late_imports():
            import torch

        torch.set_num_threads(snakemake.threads)
        return LoadedModel(open_model(snakemake.input.base, base, adapter))

    with open_kept(snakemake.params.kept, report) as kept:
        rows = answered(cells, kept, model, opened, snakemake.config["sampling"]["batch_size"], report)
        # Of what it takes to make these completions, the part that this job's own time does not hold.
        made["seconds_before"] = round(kept.seconds_before(), 2)
    for of_cell in rows:
        path = Path(snakemake.output[0]) / of_cell[0]["eval_prompt"] / f"{of_cell[0]['question_set']}.parquet"
        tables.write(of_cell, path, COMPLETIONS)
    cut = sum(row["finish_reason"] == "length" for of_cell in rows for row in of_cell)
    report(f"{sum(map(len, rows))} completions, {cut} cut at max_new_tokens")
