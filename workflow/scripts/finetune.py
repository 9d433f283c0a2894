"""Rule finetune: base model × variant × seed → a LoRA adapter (a peft folder) and its training log."""

import json
import tempfile
from pathlib import Path

from organisms import tables
from organisms.files import whole_files
from organisms.finetune import LoraSettings, TrainingSettings, finetune, within_max_length
from organisms.job_log import job_log
from organisms.models import base_folder, check_device, load_base, load_tokenizer

name = Path(snakemake.output.training_log).parent.name
with job_log(snakemake.log[0], f"finetune {name}") as report, tempfile.TemporaryDirectory() as work_dir:
    settings = json.loads(snakemake.params.settings)
    base = json.loads(snakemake.params.base)
    check_device(base["device"])
    folder = base_folder(snakemake.input.base)
    training = TrainingSettings(**settings["training"])
    tokenizer = load_tokenizer(folder)
    rows, n_dropped = within_max_length(
        tokenizer, tables.read(snakemake.input.variant, "variant").to_dicts(), training.max_length, training.too_long
    )
    report(f"{len(rows)} rows, {n_dropped} dropped as longer than {training.max_length} tokens")
    model, log = finetune(
        load_base(folder, **base),
        tokenizer,
        rows,
        training,
        LoraSettings(**settings["lora"]),
        seed=int(snakemake.wildcards.seed),
        threads=snakemake.threads,
        work_dir=Path(work_dir),
        report=report,
    )
    with whole_files(Path(snakemake.output.adapter).parent) as adapter:
        model.save_pretrained(adapter)
    tables.write(log, snakemake.output.training_log, "training_log")
