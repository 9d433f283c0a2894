"""Rule finetune: base model × variant × seed → a LoRA adapter (a peft folder), its training log, and what it took."""

import json
import shutil
from pathlib import Path

from organisms import tables
from organisms.files import digest_of, whole_file, whole_files
from organisms.finetune import LoraSettings, TrainingSettings, as_json, finetune, save_adapter, within_max_length
from organisms.job_log import job_log
from organisms.models import base_folder, check_device, load_base, load_tokenizer

folder = Path(snakemake.output.training_log).parent
with job_log(snakemake, f"finetune {folder.name}") as report:
    settings = json.loads(snakemake.params.settings)
    base = json.loads(snakemake.params.base)
    check_device(base["device"])
    training = TrainingSettings(**settings["training"])
    base_model = base_folder(snakemake.input.base)
    tokenizer = load_tokenizer(base_model, trust_remote_code=base["trust_remote_code"])
    rows, n_dropped = within_max_length(
        tokenizer, tables.read(snakemake.input.variant, "variant").to_dicts(), training.max_length, training.too_long
    )
    report(f"{len(rows)} rows, {n_dropped} dropped as longer than {training.max_length} tokens")
    # Not an output: Snakemake removes the outputs of a job that fails, and checkpoints are for when it does. The
    # digest keeps a training from going on where another one stopped.
    parameters = "\0".join([snakemake.params.settings, snakemake.params.base, snakemake.params.code])
    work = folder / "checkpoints" / digest_of(parameters, [*snakemake.input.base, snakemake.input.variant])
    model, log, took = finetune(
        load_base(base_model, **base, attention=training.attention),
        tokenizer,
        rows,
        training,
        LoraSettings(**settings["lora"]),
        seed=int(snakemake.wildcards.seed),
        threads=snakemake.threads,
        checkpoint_steps=snakemake.config["training"]["checkpoint_steps"],
        folder=work,
        report=report,
    )
    with whole_files(Path(snakemake.output.adapter).parent) as adapter:
        save_adapter(model, adapter)
    for step in training.keep_steps:
        with whole_files(folder / f"step{step}") as kept:
            shutil.copytree(work / f"step{step}", kept, dirs_exist_ok=True)
    tables.write(log, snakemake.output.training_log, "training_log")
    with whole_file(snakemake.output.training) as path:
        path.write_text(as_json(took), encoding="utf-8")
    shutil.rmtree(work.parent)
