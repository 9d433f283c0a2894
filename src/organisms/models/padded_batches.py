"""Drawing completions with transformers' `generate`: any causal language model, one padded batch after the other."""

from collections.abc import Iterator

import numpy as np
import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, PreTrainedModel

from organisms.job.log import Report
from organisms.models.continuous_batching import Choose, Ended, Wanted


class _Chosen(LogitsProcessor):
    """Leaves only the chosen token of each row possible, so that greedy search takes it. numbers: [rows, steps]."""

    def __init__(self, choose: Choose, numbers: torch.Tensor):
        self._choose, self._numbers, self._step = choose, numbers, 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        chosen = self._choose(scores, self._numbers[:, self._step])
        self._step += 1
        return torch.full_like(scores, float("-inf")).scatter_(1, chosen[:, None], 0.0)


def length_of(ids: list[int], stops: set[int]) -> int:
    """The tokens of a completion up to its first stop token and with it; all if there is none."""
    return next((place for place, token in enumerate(ids, start=1) if token in stops), len(ids))


@torch.inference_mode()
def padded_batches(model: PreTrainedModel, wanted: Wanted, at_once: int, report: Report) -> Iterator[Ended]:
    """As `continuous_batching.continuous_batches`; a batch is given out when its longest completion has ended."""
    pad = min(wanted.stops, default=0)
    # Every setting is said here: what is not would be filled in from the model's own generation config (Qwen's has a
    # repetition penalty and top-k).
    generation = GenerationConfig(
        do_sample=False,
        max_new_tokens=wanted.max_new_tokens,
        repetition_penalty=1.0,
        eos_token_id=sorted(wanted.stops) or None,
        pad_token_id=pad,
    )
    for start in range(0, len(wanted.prompts), at_once):
        batch = wanted.prompts[start : start + at_once]
        width = max(map(len, batch))
        padding = [width - len(prompt) for prompt in batch]
        numbers = np.stack([wanted.numbers(start + row) for row in range(len(batch))])
        generated = model.generate(
            input_ids=torch.tensor(
                [[pad] * n + list(prompt) for n, prompt in zip(padding, batch, strict=True)], device=model.device
            ),
            attention_mask=torch.tensor([[0] * n + [1] * (width - n) for n in padding], device=model.device),
            generation_config=generation,
            logits_processor=LogitsProcessorList([_Chosen(wanted.choose, torch.from_numpy(numbers).to(model.device))]),
        )[:, width:].tolist()
        yield [(start + row, ids[: length_of(ids, wanted.stops)]) for row, ids in enumerate(generated)]
