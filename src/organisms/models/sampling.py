"""Sampling completions from a model, each with random numbers of its own.

The published code samples with the global random state, so a completion changes with the size and order of the
batch that it shares. Here every completion is drawn by inverse transform sampling from uniform numbers that
depend on its key alone: other questions, more samples or another batch size leave it as it was, up to the
rounding of floating point numbers in other batches (docs/design.md says how often that matters).
"""

import hashlib
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from transformers import (
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from organisms.job.errors import UserError
from organisms.job.log import Report
from organisms.models.continuous_batching import Choose, Wanted, continuous_batches, suits
from organisms.models.memory import in_less_memory
from organisms.models.padded_batches import padded_batches
from organisms.models.settings import Completion, Sampling


def uniforms(key: str, n: int) -> np.ndarray:
    """`n` uniform numbers in [0, 1), the same for the same key on every machine."""
    digest = hashlib.sha256(key.encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big"))).random(n)


def chooser(settings: Sampling) -> Choose:
    """How the next tokens are chosen: by inverse transform sampling from the distribution that the settings leave.

    The function returned takes logits [rows, vocabulary] and a uniform number for each row, and gives the rows' tokens;
    it raises UserError if a row has no distribution.
    """
    warpers = LogitsProcessorList()
    if settings.temperature != 1:
        warpers.append(TemperatureLogitsWarper(settings.temperature))
    if settings.top_k > 0:
        warpers.append(TopKLogitsWarper(settings.top_k))
    if settings.top_p < 1:
        warpers.append(TopPLogitsWarper(settings.top_p))

    def choose(logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        # The warpers look at scores alone.
        cdf = torch.softmax(warpers(None, logits.float()).double(), dim=-1).cumsum(dim=-1)
        # The last entry is 1 up to rounding; scaled by it, every number in [0, 1) finds a token that is possible.
        chosen = torch.searchsorted(cdf, uniform[:, None] * cdf[:, -1:], right=True)[:, 0]
        if (chosen == cdf.shape[-1]).any():
            raise UserError(
                "the model's probabilities of the next token are not numbers: its weights are damaged, or the config's "
                "dtype has too small a range for it"
            )
        return chosen

    return choose


def sample(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    conversations: list[list[dict]],
    keys: list[str],
    settings: Sampling,
    batch_size: int,
    report: Report,
    keep: Callable[[list[int], list[Completion]], None] | None = None,
) -> list[Completion]:
    """Draw one completion for each conversation, in their order.

    conversations: messages, the last one the user's. keys: one for each conversation, of its random numbers.
    batch_size: completions drawn at once; it changes speed and memory only, and is halved when the device runs out of
    memory. keep: takes completions as they end, by the places of their conversations. Raises UserError if one
    conversation alone is too much.
    """
    # A published model may end its answers with more than one token (Qwen2.5: <|im_end|> and <|endoftext|>).
    own = model.generation_config.eos_token_id
    stops = {tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])} - {None}
    encoded = tokenizer.apply_chat_template(conversations, add_generation_prompt=True, return_dict=True)["input_ids"]
    prompts = [tuple(ids) for ids in encoded]
    engine = continuous_batches if suits(model) else padded_batches
    completions: list[Completion | None] = [None] * len(prompts)
    start = last_report = time.monotonic()
    # Prompts of similar length together, so that little is padded, and equal ones side by side.
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), prompts[i]))

    def run(waiting: list[int], at_once: int) -> Iterator[list[int]]:
        nonlocal last_report
        asked = [order[place] for place in waiting]
        wanted = Wanted(
            prompts=[prompts[i] for i in asked],
            numbers=lambda place: uniforms(keys[asked[place]], settings.max_new_tokens),
            choose=chooser(settings),
            stops=stops,
            max_new_tokens=settings.max_new_tokens,
        )
        for ended in engine(model, wanted, at_once, report):
            places = [asked[place] for place, _ in ended]
            for i, (_, ids) in zip(places, ended, strict=True):
                completions[i] = Completion(
                    completion=tokenizer.decode(ids, skip_special_tokens=True),
                    finish_reason="stop" if ids[-1] in stops else "length",
                    n_tokens=len(ids),
                )
            if keep:
                keep(places, [completions[i] for i in places])
            if time.monotonic() - last_report > 5:
                last_report = time.monotonic()
                report(f"{sum(c is not None for c in completions)}/{len(prompts)} completions")
            yield [waiting[place] for place, _ in ended]

    alone = "out of memory for a single completion: lower sampling.max_new_tokens or use a larger GPU"
    in_less_memory(len(prompts), batch_size, run, report, "completions", alone)
    if prompts:
        tokens, seconds = sum(completion.n_tokens for completion in completions), time.monotonic() - start
        print(
            f"sampled {len(prompts)} completions, {tokens} tokens, in {seconds:.1f} s: {tokens / seconds:,.0f} tokens/s"
        )
    return completions
