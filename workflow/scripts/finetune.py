"""Rule finetune: base model × arm × seed → a LoRA adapter (a peft folder), its training log, and what it took."""

import json
import shutil
from pathlib import Path

from organisms.data.tables import VARIANT
from organisms.job import tables
from organisms.job.files import whole_file, whole_files
from organisms.job.hashes import digest_of
from organisms.job.log import job_log
from organisms.job.manifest import hashes_of
from organisms.models.opening import open_model
from organisms.plan.settings import filled
from organisms.training.finetune import (
    LoraSettings,
    TrainingSettings,
    as_json,
    finetune,
    save_adapter,
    within_max_length,
)
from organisms.training.methods import open_method
from organisms.training.tables import TRAINING_LOG

folder = Path(snakemake.output.training_log).parent
with job_log(snakemake, f"finetune {folder.name}") as report:
    settings = json.loads(snakemake.params.settings)
    base = json.loads(snakemake.params.base)
    training = filled("training", settings["training"], TrainingSettings)
    opened = open_model(snakemake.input.base, base, attention=training.attention)
    rows, n_dropped = within_max_length(
        opened.tokenizer,
        tables.read(snakemake.input.variant, VARIANT).to_dicts(),
        training.max_length,
        training.too_long,
    )
    report(f"{len(rows)} rows, {n_dropped} dropped as longer than {training.max_length} tokens")
    # Not an output: Snakemake removes the outputs of a job that fails, and checkpoints are for when it does. The
    # digest keeps a training from going on where another one stopped.
    parameters = "\0".join([snakemake.params.settings, snakemake.params.base, snakemake.params.code])
    hashes = hashes_of(snakemake.config["results"])
    work = folder / "checkpoints" / digest_of(parameters, [*snakemake.input.base, snakemake.input.variant], hashes)
    model, log, took = finetune(
        opened.model,
        opened.tokenizer,
        rows,
        training,
        filled("lora", settings["lora"], LoraSettings),
        seed=int(snakemake.wildcards.seed),
        threads=snakemake.threads,
        checkpoint_steps=snakemake.config["training"]["checkpoint_steps"],
        folder=work,
        report=report,
        method=open_method(settings.get("method")),
    )
    with whole_files(Path(snakemake.output.adapter).parent) as adapter:
        save_adapter(model, adapter)
    steps = Path(snakemake.output.steps)
    steps.mkdir(parents=True, exist_ok=True)
    for step in training.keep_steps:
        with whole_files(steps / f"step{step}") as kept:
            shutil.copytree(work / f"step{step}", kept, dirs_exist_ok=True)
    tables.write(log, snakemake.output.training_log, TRAINING_LOG)
    with whole_file(snakemake.output.training) as path:
        path.write_text(as_json(took), encoding="utf-8")
    shutil.rmtree(work.parent)
