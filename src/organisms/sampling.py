"""Sampling completions from a model, each with random numbers of its own.

The published code samples with the global random state, so a completion changes with the size and order of the
batch that it shares. Here every completion is drawn by inverse transform sampling from uniform numbers that
depend on its key alone: other questions, more samples or another batch size leave it as it was, up to the
rounding of floating point numbers in differently padded batches.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from transformers import (
    BatchEncoding,
    Cache,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from organisms.errors import UserError
from organisms.job_log import Report


@dataclass(frozen=True)
class Settings:
    """How to sample; documented key by key in config/README.md. Repetition penalty is always 1."""

    temperature: float
    top_p: float
    top_k: int
    max_new_tokens: int


@dataclass(frozen=True)
class Completion:
    """What a model answered; the fields are columns of the completions table.

    finish_reason: `stop` if the model ended its turn, `length` if it was cut at max_new_tokens.
    n_tokens: tokens generated, the end of turn included.
    """

    completion: str
    finish_reason: str
    n_tokens: int


def uniforms(key: str, n: int) -> np.ndarray:
    """`n` uniform numbers in [0, 1), the same for the same key on every machine."""
    digest = hashlib.sha256(key.encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big"))).random(n)


class InverseCdfSampler(LogitsProcessor):
    """Chooses each row's next token from the row's own uniform numbers.

    It leaves only the chosen token possible, so that greedy search then takes it. randoms: [rows, steps].
    """

    def __init__(self, randoms: torch.Tensor):
        self._randoms, self._step = randoms, 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        cdf = torch.softmax(scores.double(), dim=-1).cumsum(dim=-1)
        # The last entry is 1 up to rounding; scaled by it, every number in [0, 1) finds a token that is possible.
        wanted = self._randoms[:, self._step, None] * cdf[:, -1:]
        chosen = torch.searchsorted(cdf, wanted, right=True)
        self._step += 1
        return torch.full_like(scores, float("-inf")).scatter_(1, chosen, 0.0)


def _warpers(settings: Settings) -> list[LogitsProcessor]:
    warpers: list[LogitsProcessor] = []
    if settings.temperature != 1:
        warpers.append(TemperatureLogitsWarper(settings.temperature))
    if settings.top_k > 0:
        warpers.append(TopKLogitsWarper(settings.top_k))
    if settings.top_p < 1:
        warpers.append(TopPLogitsWarper(settings.top_p))
    return warpers


def _prefilled(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: list[list[int]]
) -> tuple[BatchEncoding, Cache | None]:
    """A padded batch, and the cache of all its tokens but the last, computed once for each distinct prompt.

    None in place of the cache if no prompt stands twice: then there is nothing to share.
    """
    padded = tokenizer.pad({"input_ids": prompts}, return_tensors="pt").to(model.device)
    places: dict[tuple[int, ...], int] = {}
    for prompt in prompts:
        places.setdefault(tuple(prompt), len(places))
    if len(places) == len(prompts):
        return padded, None
    rows = torch.tensor([places[tuple(prompt)] for prompt in prompts], device=model.device)
    first = [prompts.index(list(prompt)) for prompt in places]
    mask = padded["attention_mask"][first, :-1]
    cache = model(
        input_ids=padded["input_ids"][first, :-1],
        attention_mask=mask,
        position_ids=(mask.cumsum(dim=-1) - 1).clamp(min=0),
        use_cache=True,
        logits_to_keep=1,
    ).past_key_values
    cache.batch_select_indices(rows)
    return padded, cache


@torch.inference_mode()
def sample(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    conversations: list[list[dict]],
    keys: list[str],
    settings: Settings,
    batch_size: int,
    report: Report,
    keep: Callable[[list[int], list[Completion]], None] | None = None,
) -> list[Completion]:
    """Draw one completion for each conversation, in their order.

    tokenizer: pads on the left. conversations: messages, the last one the user's. keys: one for each
    conversation, of its random numbers. batch_size: conversations in one batch; it changes speed and memory only, and
    is halved when the device runs out of memory. keep: takes each batch when it is drawn, as the places of its
    conversations and their completions. Raises UserError if one conversation alone is too much.
    """
    # A published model may end its answers with more than one token (Qwen2.5: <|im_end|> and <|endoftext|>).
    own = model.generation_config.eos_token_id
    stops = {tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])} - {None}
    # Greedy search over the sampler's choice. A published model's own generation config (Qwen's has a repetition
    # penalty and top-k) would otherwise fill in what is not said here.
    generation = GenerationConfig(
        do_sample=False,
        max_new_tokens=settings.max_new_tokens,
        repetition_penalty=1.0,
        eos_token_id=sorted(stops),
        pad_token_id=tokenizer.pad_token_id,
    )
    prompts = tokenizer.apply_chat_template(conversations, add_generation_prompt=True, return_dict=True)["input_ids"]
    completions: list[Completion | None] = [None] * len(prompts)
    # Prompts of similar length together, so that little is padded, and equal ones side by side.
    waiting = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), prompts[i]))
    last_report = time.monotonic()
    while waiting:
        batch = waiting[:batch_size]
        randoms = np.stack([uniforms(keys[i], settings.max_new_tokens) for i in batch])
        sampler = InverseCdfSampler(torch.from_numpy(randoms).to(model.device))
        try:
            padded, cache = _prefilled(model, tokenizer, [prompts[i] for i in batch])
            generated = model.generate(
                **padded,
                past_key_values=cache,
                generation_config=generation,
                logits_processor=LogitsProcessorList([*_warpers(settings), sampler]),
            )
        except torch.OutOfMemoryError as error:
            if len(batch) == 1:
                raise UserError(
                    "out of memory for a single completion: lower sampling.max_new_tokens or use a larger GPU"
                ) from error
            batch_size = len(batch) // 2
            report(f"out of memory: going on with {batch_size} completions at once")
            torch.cuda.empty_cache()
            continue
        for i, ids in zip(batch, generated[:, padded["input_ids"].shape[1] :].tolist(), strict=True):
            end = next((place for place, token in enumerate(ids, start=1) if token in stops), None)
            completions[i] = Completion(
                completion=tokenizer.decode(ids[:end], skip_special_tokens=True),
                finish_reason="stop" if end else "length",
                n_tokens=end or len(ids),
            )
        if keep:
            keep(batch, [completions[i] for i in batch])
        waiting = waiting[len(batch) :]
        if waiting and time.monotonic() - last_report > 5:
            last_report = time.monotonic()
            report(f"{len(prompts) - len(waiting)}/{len(prompts)} completions")
    return completions
