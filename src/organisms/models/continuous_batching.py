"""Drawing completions in slots: where one ends, the next begins at once.

`generate` runs a batch until its longest completion ends, copies its whole cache for each token and reads a prompt once
for each sample. Here the cache is laid out once; each slot holds a completion under way, a prompt is read once for all
its samples, and all slots take one token per forward pass of the model.

transformers' own continuous batching is not used: it draws a batch's tokens from one random state, so that a
completion would depend on its neighbours, and requests that fail go missing without an error. docs/speed.md compares
the speeds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import CacheLayerMixin, DynamicLayer

from organisms.job.log import Report

# Chooses the next tokens [rows] from logits [rows, vocabulary] and uniform numbers in [0, 1) [rows].
Choose = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
# Of completions that have ended: their prompts' places and their token ids, the stop token included.
Ended = list[tuple[int, list[int]]]

# Prompts are read this many tokens at a time: enough to use a GPU, and little memory.
_PREFILL_TOKENS = 4096
# A GPU's attention kernels want rows of the mask at multiples of 8 columns.
_COLUMNS = 8
# Of the GPU memory that is free when the slots are laid out; the rest is for the pass itself.
_SHARE_OF_MEMORY = 0.8


@dataclass(frozen=True)
class Wanted:
    """Completions that are to be drawn, one of each prompt.

    prompts: token ids, of two tokens at least, equal ones side by side. numbers: gives the uniform numbers of the i-th
    prompt's completion. stops: tokens that end a completion.
    """

    prompts: list[tuple[int, ...]]
    numbers: Callable[[int], np.ndarray]
    choose: Choose
    stops: set[int]
    max_new_tokens: int


def suits(model: PreTrainedModel) -> bool:
    """Whether all layers have plain full attention, computed by torch, and take a cache that is laid out beforehand."""
    # The first is transformers' own mark of models that do.
    if not model._can_compile_fullgraph or model.config._attn_implementation != "sdpa":
        return False
    layers = DynamicCache(config=model.config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


@dataclass
class _Slot:
    """A completion under way. place: of its prompt, or None if the slot is free. prompt: whose keys and values lie in
    the slot's first columns, of this completion or of one before. A free slot still takes part in each pass: it reads
    its prompt's last token again.
    """

    place: int | None = None
    prompt: tuple[int, ...] = ()
    numbers: np.ndarray | None = None
    ids: list[int] = field(default_factory=list)

    def next_input(self) -> int:
        return (self.ids or self.prompt)[-1]

    def position(self) -> int:
        return len(self.prompt) - 1 + len(self.ids)

    def number(self) -> float:
        return self.numbers[len(self.ids)]


class _Step:
    """Where the tokens of one forward pass go. rows, positions: [slots]. used: columns that any slot may look at."""

    rows: torch.Tensor
    positions: torch.Tensor
    used: int


class _SlotLayer(CacheLayerMixin):
    """One layer's keys and values, [slots, heads, columns, size]; the token of position p lies in column p."""

    is_sliding = False

    def __init__(self, step: _Step, like: CacheLayerMixin, slots: int, columns: int):
        super().__init__()
        self._step = step
        # Not empty: what was never written is masked, but a NaN in it would not be.
        self.keys, self.values = (
            torch.zeros(slots, of.shape[1], columns, of.shape[3], dtype=of.dtype, device=of.device)
            for of in (like.keys, like.values)
        )
        self.is_initialized = True

    def lazy_initialization(self, key_states, value_states):
        pass

    def update(self, key_states, value_states, *args, **kwargs):
        step = self._step
        self.keys[step.rows, :, step.positions] = key_states[:, :, 0]
        self.values[step.rows, :, step.positions] = value_states[:, :, 0]
        return self.keys[:, :, : step.used], self.values[:, :, : step.used]

    def get_mask_sizes(self, query_length):
        return self._step.used, 0

    def get_seq_length(self):
        return self._step.used

    def get_max_length(self):
        return self.keys.shape[2]


class _Prompts:
    """Keys and values of the prompts' tokens but the last, computed for several prompts at once, in their order."""

    def __init__(self, model: PreTrainedModel, prompts: list[tuple[int, ...]], at_once: int):
        self._model, self._at_once = model, at_once
        self._waiting = list(dict.fromkeys(prompts))
        self._ready: dict[tuple[int, ...], tuple[DynamicCache, int]] = {}

    def read(self, prompt: tuple[int, ...]) -> tuple[DynamicCache, int]:
        """The cache that holds a prompt, and the prompt's row in it. Prompts before it in the order are forgotten."""
        if prompt not in self._ready:
            here = self._waiting.index(prompt)
            n = max(1, min(self._at_once, _PREFILL_TOKENS // len(prompt)))
            now, self._waiting = self._waiting[here : here + n], self._waiting[here + n :]
            # Padded on the right, where nothing that comes before looks.
            width = max(map(len, now)) - 1
            ids = torch.tensor([[*p[:-1], *[0] * (width + 1 - len(p))] for p in now], device=self._model.device)
            cache = self._model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
            self._ready = {p: (cache, row) for row, p in enumerate(now)}
        return self._ready[prompt]


def _lay_in(cache: Cache, slot: int, source: DynamicCache, row: int, n: int) -> None:
    """Copy the first n tokens of a row of a prompts' cache into a slot."""
    for layer, read in zip(cache.layers, source.layers, strict=True):
        layer.keys[slot, :, :n] = read.keys[row, :, :n]
        layer.values[slot, :, :n] = read.values[row, :, :n]


def _free_memory(device: torch.device) -> float:
    """Bytes that can still be had on a GPU; without bound on a CPU, which does not say."""
    if device.type != "cuda":
        return float("inf")
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info(device)[0]


def _slots_in_memory(device: torch.device, like: DynamicCache, columns: int, wanted: int) -> int:
    """How many of the wanted slots of so many columns the memory has room for, at least one.

    In sixteens, if it is not all: a few bytes more or less then make no other batch, in which numbers round otherwise.
    """
    tensors = [states for layer in like.layers for states in (layer.keys, layer.values)]
    one = sum(states.shape[1] * columns * states.shape[3] * states.element_size() for states in tensors)
    room = _free_memory(device) * _SHARE_OF_MEMORY / one
    if room >= wanted:
        return wanted
    return max(1, int(room) if room < 16 else int(room) // 16 * 16)


@torch.inference_mode()
def continuous_batches(model: PreTrainedModel, wanted: Wanted, at_once: int, report: Report) -> Iterator[Ended]:
    """Draw completions and give them out as they end.

    at_once: slots; fewer if the GPU's memory has no room for them. Raises torch.OutOfMemoryError.
    """
    prompts = wanted.prompts
    columns = max(map(len, prompts)) + wanted.max_new_tokens
    columns += -columns % _COLUMNS
    read = _Prompts(model, prompts, at_once)
    first, _ = read.read(prompts[0])
    most = min(at_once, len(prompts))
    n = _slots_in_memory(model.device, first, columns, most)
    if n < most:
        report(f"the GPU's memory has room for {n} completions at once")
    print(f"{n} completions at once")
    step = _Step()
    cache = Cache(layers=[_SlotLayer(step, like, n, columns) for like in first.layers])
    del first
    slots = [_Slot() for _ in range(n)]
    everything = torch.arange(columns, device=model.device)
    waiting = 0
    while True:
        for j, slot in enumerate(slots):
            if slot.place is None and waiting < len(prompts):
                prompt = prompts[waiting]
                if slot.prompt != prompt:
                    _lay_in(cache, j, *read.read(prompt), len(prompt) - 1)
                slots[j] = _Slot(waiting, prompt, wanted.numbers(waiting))
                waiting += 1
        busy = [j for j, slot in enumerate(slots) if slot.place is not None]
        if not busy:
            return
        if len(busy) <= len(slots) // 2:
            # Nothing waits any more: the last ones go on by themselves.
            slots = [slots[j] for j in busy]
            for layer in cache.layers:
                layer.keys, layer.values = layer.keys[busy], layer.values[busy]
        positions = [slot.position() for slot in slots]
        step.rows = torch.arange(len(slots), device=model.device)
        step.positions = torch.tensor(positions, device=model.device)
        step.used = min(columns, (max(positions) // _COLUMNS + 1) * _COLUMNS)
        logits = model(
            input_ids=torch.tensor([[slot.next_input()] for slot in slots], device=model.device),
            position_ids=step.positions[:, None],
            past_key_values=cache,
            attention_mask=(everything[: step.used] <= step.positions[:, None])[:, None, None],
            use_cache=True,
        ).logits[:, -1]
        uniform = torch.tensor([slot.number() for slot in slots], dtype=torch.float64, device=model.device)
        ended: Ended = []
        for slot, token in zip(slots, wanted.choose(logits, uniform).tolist(), strict=True):
            if slot.place is None:
                continue
            slot.ids.append(token)
            if token in wanted.stops or len(slot.ids) == wanted.max_new_tokens:
                ended.append((slot.place, slot.ids))
                slot.place, slot.ids = None, []
        if ended:
            yield ended
