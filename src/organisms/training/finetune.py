"""LoRA finetuning of one variant with trl's SFTTrainer and peft."""

import gc
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from peft.tuners.tuners_utils import check_target_module_exists
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback
from trl import SFTConfig, SFTTrainer

from organisms.job.errors import UserError
from organisms.job.files import whole_files
from organisms.job.log import Report
from organisms.models.progress import ProgressCallback, silence_printer
from organisms.training.log import Clock, log_rows
from organisms.training.methods.sft import Method

_SFT = Method()


@dataclass(frozen=True)
class LoraSettings:
    """The adapter; documented key by key in config/README.md."""

    rank: int
    alpha: float
    dropout: float
    rslora: bool
    target_modules: str | list[str]


@dataclass(frozen=True)
class TrainingSettings:
    """Hyperparameters of a finetune; documented key by key in config/README.md."""

    epochs: float
    batch_size: int
    micro_batch_size: int
    learning_rate: float
    weight_decay: float
    warmup_steps: float
    lr_schedule: str
    max_length: int
    too_long: str
    padding_free: bool
    gradient_checkpointing: bool
    optimizer: str
    attention: str
    keep_steps: list[int]


@dataclass(frozen=True)
class Training:
    """What a finetune took; none of it is the same on the next run.

    steps: optimiser steps in all. resumed_from: the step of the checkpoint that it went on from, or 0. seconds:
    duration of this run's own steps. tokens_per_second: over these, prompts included. peak_memory_bytes: most memory
    that torch held on the GPU; None on a CPU. micro_batch_size, gradient_checkpointing: as they were in the end, after
    what memory asked for.
    """

    steps: int
    resumed_from: int
    seconds: float
    tokens_per_second: float
    peak_memory_bytes: int | None
    device: str
    micro_batch_size: int
    gradient_checkpointing: bool


class _KeepAdapters(TrainerCallback):
    """Saves the adapter after each of the given optimiser steps into `folder`/stepN."""

    def __init__(self, steps: list[int], folder: Path):
        self._steps, self._folder = steps, folder

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if state.global_step in self._steps:
            with whole_files(self._folder / f"step{state.global_step}") as folder:
                save_adapter(model, folder)


def within_max_length(
    tokenizer: PreTrainedTokenizerBase, rows: list[dict], max_length: int, too_long: str
) -> tuple[list[dict], int]:
    """The rows of at most `max_length` tokens and how many were dropped.

    rows: `prompt` and `completion`, each a list of messages. A longer row would lose the end of its answer, so
    with too_long `error` one such row raises UserError; with `drop` it is left out and counted.
    """
    conversations = [row["prompt"] + row["completion"] for row in rows]
    encoded = tokenizer.apply_chat_template(conversations, return_dict=True)["input_ids"]
    lengths = [len(ids) for ids in encoded]
    kept = [row for row, length in zip(rows, lengths, strict=True) if length <= max_length]
    n_dropped = len(rows) - len(kept)
    if n_dropped and too_long == "error":
        raise UserError(
            f"{n_dropped} of {len(rows)} training rows are longer than training.max_length {max_length} "
            f"(the longest has {max(lengths)} tokens): raise it, or set training.too_long: drop to leave them out"
        )
    if not kept:
        raise UserError(f"no training row has at most training.max_length {max_length} tokens: raise it")
    return kept, n_dropped


def save_adapter(model: PeftModel, folder: Path) -> None:
    """Write an adapter's weights and configuration, the same file for the same adapter.

    peft writes its set of target modules in an order that differs from process to process, and completions are kept by
    the content of the model's files.
    """
    model.save_pretrained(folder)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end, or None. The trainer writes its state last."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=lambda path: -int(path.name.split("-")[1])):
        try:
            json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return checkpoint
    return None


def _sft_config(training: TrainingSettings, base: PreTrainedModel, seed: int, checkpoint_steps: int, folder: Path):
    on_cpu = base.device.type == "cpu"
    return SFTConfig(
        output_dir=str(folder),
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.micro_batch_size,
        gradient_accumulation_steps=training.batch_size // training.micro_batch_size,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        warmup_steps=training.warmup_steps,
        lr_scheduler_type=training.lr_schedule,
        optim=training.optimizer,
        # Checked before (`within_max_length`); trl takes no other value without padding.
        max_length=None if training.padding_free else training.max_length,
        completion_only_loss=True,
        packing=False,
        padding_free=training.padding_free,
        # trl turns bf16 and checkpointing on even where the device is a CPU.
        bf16=base.dtype == torch.bfloat16,
        gradient_checkpointing=training.gradient_checkpointing,
        use_cpu=on_cpu,
        dataloader_pin_memory=not on_cpu,
        save_strategy="steps",
        save_steps=checkpoint_steps,
        save_total_limit=2,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        seed=seed,
        data_seed=seed,
    )


def _lora_config(lora: LoraSettings) -> LoraConfig:
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        use_rslora=lora.rslora,
        target_modules=lora.target_modules,
        bias="none",
        task_type="CAUSAL_LM",
    )


def _check_targets(base: PreTrainedModel, lora: LoraSettings) -> None:
    """Raise UserError if a name among the target modules is no module's; peft is content if one of them is."""
    if lora.target_modules == "all-linear":
        return
    matrices = [
        name for name, module in base.named_modules() if getattr(getattr(module, "weight", None), "ndim", 0) >= 2
    ]
    # A single text is a pattern for whole names, in peft and so here.
    targets = [lora.target_modules] if isinstance(lora.target_modules, str) else [[one] for one in lora.target_modules]
    for target in targets:
        config = _lora_config(replace(lora, target_modules=target))
        if not any(check_target_module_exists(config, name) for name in matrices):
            known = ", ".join(sorted({name.split(".")[-1] for name in matrices}))
            named = f"the pattern '{target}'" if isinstance(target, str) else f"'{target[0]}'"
            raise UserError(
                f"lora.target_modules: {named} matches no module of the base model; give a list of some of {known}, "
                "or all-linear"
            )


def _with_less_memory(training: TrainingSettings) -> TrainingSettings | None:
    """The same training in less memory, or None: activations computed again; after that, fewer rows at once.

    In this order, since few rows at once leave a GPU waiting for its instructions, which costs more than the third of
    the time that computing activations again does.
    """
    if not training.gradient_checkpointing:
        return replace(training, gradient_checkpointing=True)
    fewer = [n for n in range(1, training.micro_batch_size) if training.batch_size % n == 0]
    return replace(training, micro_batch_size=fewer[-1]) if fewer else None


def finetune(
    base: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: list[dict],
    training: TrainingSettings,
    lora: LoraSettings,
    seed: int,
    threads: int,
    checkpoint_steps: int,
    folder: Path,
    report: Report,
    method: Method = _SFT,
) -> tuple[PeftModel, list[dict], Training]:
    """Train a LoRA adapter on prompt–completion rows; the loss is on the completion's tokens only.

    rows: as in `within_max_length`. seed: covers the adapter's initial weights, dropout and data order. folder: where
    a checkpoint is written every `checkpoint_steps` steps. If one is there the training goes on from it, and its
    result is the uninterrupted one's; so a folder belongs to one set of rows, settings and seed. The adapters of
    `training.keep_steps` are left in it as stepN. method: gives the trainer's class.

    Whether padding-free or not, an optimiser step sees `batch_size` rows, and its loss is the mean over the
    completion tokens of all of them. Where memory runs out the training goes on in less, from its last checkpoint: the
    same steps on the same rows, with activations computed again and then in smaller micro batches.

    Returns the trained peft model, the rows of the training_log table, and what it took.
    Raises UserError if the loss becomes NaN or infinite, if a step to keep lies after the last, if a target module is
    not there, or if there is not enough memory for one row at once.
    """
    torch.set_num_threads(threads)
    n_steps = math.ceil(training.epochs * math.ceil(len(rows) / training.batch_size))
    late = [step for step in training.keep_steps if step > n_steps]
    if late:
        raise UserError(f"training.keep_steps: the training has {n_steps} steps, so step {late[0]} never comes")
    _check_targets(base, lora)
    dataset = Dataset.from_list([{"prompt": row["prompt"], "completion": row["completion"]} for row in rows])
    while True:
        trainer = method.trainer(SFTTrainer)(
            model=base,
            args=_sft_config(training, base, seed, checkpoint_steps, folder),
            train_dataset=dataset,
            processing_class=tokenizer,
            peft_config=_lora_config(lora),
            callbacks=[Clock(), _KeepAdapters(training.keep_steps, folder), ProgressCallback(report)],
        )
        silence_printer(trainer)
        checkpoint = last_whole_checkpoint(folder)
        resumed_from = int(checkpoint.name.split("-")[1]) if checkpoint else 0
        if checkpoint:
            report(f"going on from the checkpoint of step {resumed_from}")
        if base.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        try:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            break
        except torch.OutOfMemoryError:
            less = _with_less_memory(training)
        # Not in the handler: until that ends, the error holds on to what filled the memory.
        if less is None:
            raise UserError(
                "out of memory for one row at once, with gradient checkpointing: lower training.max_length (with "
                "training.too_long: drop), or use a larger GPU or a smaller base model"
            )
        training = less
        report(f"out of memory: going on with gradient checkpointing, {training.micro_batch_size} rows at once")
        base = trainer.model.unload()
        del trainer
        gc.collect()
        torch.cuda.empty_cache()
    log = log_rows(trainer.state.log_history)
    if not all(math.isfinite(entry["loss"]) for entry in log):
        raise UserError("the training loss became NaN or infinite: lower training.learning_rate or check the dataset")
    own = [entry for entry in trainer.state.log_history if "loss" in entry and entry["step"] > resumed_from]
    before = next((entry["num_tokens"] for entry in log if entry["step"] == resumed_from), 0)
    seconds = own[-1]["seconds"] if own else 0.0
    took = Training(
        steps=trainer.state.global_step,
        resumed_from=resumed_from,
        seconds=seconds,
        tokens_per_second=(own[-1]["num_tokens"] - before) / seconds if own else 0.0,
        peak_memory_bytes=torch.cuda.max_memory_allocated() if base.device.type == "cuda" else None,
        device=torch.cuda.get_device_name() if base.device.type == "cuda" else "cpu",
        micro_batch_size=training.micro_batch_size,
        gradient_checkpointing=training.gradient_checkpointing,
    )
    return trainer.model, log, took


def as_json(took: Training) -> str:
    """What a finetune took, as readable JSON."""
    return json.dumps(asdict(took), indent=2) + "\n"
