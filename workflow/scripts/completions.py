"""Rule completions: model × eval prompt × question set → what the model answers."""

import json
from dataclasses import asdict
from pathlib import Path

import torch

from organisms import tables
from organisms.completions import planned_rows, random_key
from organisms.job_log import job_log
from organisms.models import base_folder, check_device, load_organism, load_tokenizer
from organisms.sampling import Settings, sample

cell = json.loads(snakemake.params.cell)
with job_log(snakemake.log[0], " ".join(snakemake.wildcards)) as report:
    torch.set_num_threads(snakemake.threads)
    settings = json.loads(snakemake.params.settings)
    rows = planned_rows(tables.read(snakemake.input.questions, "questions").to_dicts(), cell, settings)
    base = json.loads(snakemake.params.base)
    check_device(base["device"])
    folder = base_folder(snakemake.input.base)
    adapter = snakemake.input.get("adapter")
    completions = sample(
        load_organism(folder, Path(adapter).parent if adapter else None, **base),
        load_tokenizer(folder),
        [row["messages"] for row in rows],
        [random_key(row) for row in rows],
        Settings(**settings["sampling"]),
        batch_size=snakemake.config["sampling"]["batch_size"],
        report=report,
    )
    answered = [row | asdict(completion) for row, completion in zip(rows, completions, strict=True)]
    tables.write(answered, snakemake.output[0], "completions")
    report(f"{len(rows)} completions, {sum(c.finish_reason == 'length' for c in completions)} cut at max_new_tokens")
