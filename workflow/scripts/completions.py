"""Rule completions: a model → what it answers in each of its cells, one table per cell.

The model is loaded once for all of them, and only for what was not drawn before.
"""

import json
from dataclasses import asdict
from pathlib import Path

from organisms import tables
from organisms.completions import planned_rows
from organisms.drawn import drawn_key, open_drawn
from organisms.files import digest_of
from organisms.job_log import job_log, late_imports

with job_log(snakemake, f"completions {snakemake.wildcards.model}") as report:
    base = json.loads(snakemake.params.base)
    adapter, adapter_config = snakemake.input.get("adapter"), snakemake.input.get("adapter_config")
    files = [*snakemake.input.base, *filter(None, (adapter, adapter_config))]
    model = digest_of(f"{snakemake.params.base}\0{snakemake.params.code}", files)
    questions = {Path(path).stem: tables.read(path, "questions").to_dicts() for path in snakemake.input.questions}
    cells = [
        planned_rows(questions[cell["columns"]["question_set"]], cell["columns"], cell["settings"])
        for cell in json.loads(snakemake.params.cells)
    ]
    keys = {drawn_key(row, model): row for rows in cells for row in rows}
    with open_drawn(snakemake.params.drawn, report) as drawn:
        missing = [key for key in keys if drawn.get(key) is None]
        report(f"{len(keys)} completions in {len(cells)} cells, {len(missing)} to draw")
        if missing:
            # Imported here: a job that draws nothing has no use for torch.
            with late_imports():
                import torch

                from organisms.drawing import draw

            torch.set_num_threads(snakemake.threads)
            draw(
                snakemake.input.base,
                Path(adapter).parent if adapter else None,
                base,
                [keys[key] for key in missing],
                snakemake.config["sampling"]["batch_size"],
                report,
                keep=lambda places, batch: drawn.add(
                    (missing[i], asdict(completion)) for i, completion in zip(places, batch, strict=True)
                ),
            )
        answered = [[row | drawn.get(drawn_key(row, model)) for row in rows] for rows in cells]
    for rows in answered:
        path = Path(snakemake.output[0]) / rows[0]["eval_prompt"] / f"{rows[0]['question_set']}.parquet"
        tables.write(rows, path, "completions")
    cut = sum(row["finish_reason"] == "length" for rows in answered for row in rows)
    report(f"{len(keys)} completions, {cut} cut at max_new_tokens")
