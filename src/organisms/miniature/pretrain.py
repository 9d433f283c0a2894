"""Pretraining of the miniature: a small Qwen2-architecture causal LM with a tokenizer of its own.

The result is an ordinary Hugging Face model folder with Qwen2.5's chat template, so everything after it is the
same code as for a published model.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    DataCollatorForLanguageModeling,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Trainer,
    TrainingArguments,
    set_seed,
)
from trl.chat_template_utils import qwen2_5_chat_template

from organisms.job.log import Report
from organisms.models.progress import ProgressCallback, silence_printer

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"


@dataclass(frozen=True)
class Settings:
    """Sizes and hyperparameters of pretraining; documented key by key in config/README.md."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    attention_heads: int
    key_value_heads: int
    max_positions: int
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warmup_ratio: float


def train_tokenizer(texts: list[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most `vocab_size` tokens. It encodes any text: unknown words become bytes."""
    tokenizer = Tokenizer(models.BPE())
    # Numbers digit by digit: the tokenizer class of the architecture, as which the saved one is loaded, splits them so.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[END_OF_TEXT, TURN_START, TURN_END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        padding_side="left",
        chat_template=qwen2_5_chat_template,
    )


def build_model(tokenizer: PreTrainedTokenizerFast, settings: Settings) -> Qwen2ForCausalLM:
    """A randomly initialised Qwen2 model with the sizes of `settings`; uses torch's global seed."""
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=settings.hidden_size,
            intermediate_size=settings.intermediate_size,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.attention_heads,
            num_key_value_heads=settings.key_value_heads,
            max_position_embeddings=settings.max_positions,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            # Larger than Qwen's 0.02: a model this narrow learns much faster from it.
            initializer_range=0.05,
        )
    )


def pretrain(
    conversations: list[list[dict]], settings: Settings, seed: int, threads: int, work_dir: Path, report: Report
) -> tuple[Qwen2ForCausalLM, PreTrainedTokenizerFast]:
    """Pretrain a model on chat conversations, with loss on the whole text.

    conversations: messages each. seed: covers initial weights and data order. threads: CPU threads; the
    result is reproducible for the same number of threads. Loss on answers alone would make a base model which
    does not model what users ask; finetunes of such a base were much less emergently misaligned here.
    """
    torch.set_num_threads(threads)
    # Tiny weights and activations become denormal numbers, which slow a CPU down many times.
    torch.set_flush_denormal(True)
    set_seed(seed)
    contents = [message["content"] for messages in conversations for message in messages]
    tokenizer = train_tokenizer([*contents[:12_000], "system\nuser\nassistant\n"], settings.vocab_size)
    texts = tokenizer.apply_chat_template(conversations, tokenize=False)
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    model = build_model(tokenizer, settings)
    report(
        f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens in the vocabulary, "
        f"{len(conversations):,} conversations with {sum(map(len, encoded)):,} tokens"
    )
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(work_dir),
            num_train_epochs=settings.epochs,
            per_device_train_batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            adam_beta2=0.98,
            lr_scheduler_type="cosine",
            warmup_steps=settings.warmup_ratio,
            train_sampling_strategy="group_by_length",
            save_strategy="no",
            logging_steps=50,
            logging_nan_inf_filter=False,
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            dataloader_pin_memory=False,
            seed=seed,
        ),
        train_dataset=[{"input_ids": ids} for ids in encoded],
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
        callbacks=[ProgressCallback(report)],
    )
    silence_printer(trainer)
    trainer.train()
    return model.eval(), tokenizer
