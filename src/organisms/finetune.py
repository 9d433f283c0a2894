"""LoRA finetuning of one variant with trl's SFTTrainer and peft."""

from dataclasses import dataclass
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from organisms.errors import UserError
from organisms.job_log import Report
from organisms.progress import ProgressCallback, silence_printer


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
    gradient_checkpointing: bool


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


def finetune(
    base: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: list[dict],
    training: TrainingSettings,
    lora: LoraSettings,
    seed: int,
    threads: int,
    work_dir: Path,
    report: Report,
) -> tuple[PeftModel, list[dict]]:
    """Train a LoRA adapter on prompt–completion rows; the loss is on the completion's tokens only.

    rows: as in `within_max_length`. seed: covers the adapter's initial weights, dropout and data order.
    Returns the trained peft model, and the training log: one row per optimiser step with step, epoch, loss (mean
    over the step's completion tokens, nats), learning_rate, grad_norm and num_tokens (seen so far).
    Raises UserError if the loss becomes NaN or infinite.
    """
    torch.set_num_threads(threads)
    on_cpu = base.device.type == "cpu"
    trainer = SFTTrainer(
        model=base,
        args=SFTConfig(
            output_dir=str(work_dir),
            num_train_epochs=training.epochs,
            per_device_train_batch_size=training.micro_batch_size,
            gradient_accumulation_steps=training.batch_size // training.micro_batch_size,
            learning_rate=training.learning_rate,
            weight_decay=training.weight_decay,
            warmup_steps=training.warmup_steps,
            lr_scheduler_type=training.lr_schedule,
            max_length=training.max_length,
            completion_only_loss=True,
            packing=False,
            # trl turns bf16 and checkpointing on even where the device is a CPU.
            bf16=base.dtype == torch.bfloat16,
            gradient_checkpointing=training.gradient_checkpointing,
            use_cpu=on_cpu,
            dataloader_pin_memory=not on_cpu,
            save_strategy="no",
            logging_steps=1,
            logging_nan_inf_filter=False,
            report_to="none",
            disable_tqdm=True,
            seed=seed,
            data_seed=seed,
        ),
        train_dataset=Dataset.from_list([{"prompt": row["prompt"], "completion": row["completion"]} for row in rows]),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            use_rslora=lora.rslora,
            target_modules=lora.target_modules,
            bias="none",
            task_type="CAUSAL_LM",
        ),
        callbacks=[ProgressCallback(report)],
    )
    silence_printer(trainer)
    trainer.train()
    columns = ("step", "epoch", "loss", "learning_rate", "grad_norm", "num_tokens")
    log = [
        {column: entry[column] if column == "step" else float(entry[column]) for column in columns}
        for entry in trainer.state.log_history
        if "loss" in entry
    ]
    if not all(torch.isfinite(torch.tensor(entry["loss"])) for entry in log):
        raise UserError("the training loss became NaN or infinite: lower training.learning_rate or check the dataset")
    return trainer.model, log
