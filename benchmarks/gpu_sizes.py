"""For gpu.py: models of known shapes with random weights, what a machine can do at best, and the floors that follow."""

import dataclasses
import time

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM


@dataclasses.dataclass(frozen=True)
class Size:
    """A model's shape and how much is measured on it.

    row_tokens: mean length of training rows. steps: optimiser steps. new_tokens: longest completion. mean_tokens: mean
    completion, if none were cut. samples: of each question. matmul: side of the matrices multiplied for the ceiling.
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    key_value_heads: int
    vocabulary: int
    row_tokens: int
    steps: int
    new_tokens: int
    mean_tokens: int
    samples: int
    matmul: int


SIZES = {
    "14b": Size(48, 5120, 13824, 40, 8, 152064, 139, 12, 600, 200, 50, 8192),
    "0.5b": Size(24, 896, 4864, 14, 2, 151936, 139, 12, 600, 200, 50, 8192),
    "miniature": Size(3, 96, 288, 4, 2, 900, 80, 6, 48, 20, 50, 1024),
}


def build(size: Size, device: str, dtype: torch.dtype) -> Qwen2ForCausalLM:
    """A model of this shape with random weights.

    They choose among all tokens nearly evenly, so one token in mean_tokens ends a completion: lengths vary, as those of
    real completions do, and batches wait for the longest.
    """
    config = Qwen2Config(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        intermediate_size=size.intermediate,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.key_value_heads,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        dtype=dtype,
        attn_implementation="sdpa",
    )
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = Qwen2ForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)
    model.generation_config.eos_token_id = list(range(0, size.vocabulary, size.mean_tokens))
    return model


def synchronise(device: str) -> None:
    """Wait for what a GPU has been given to do."""
    if device == "cuda":
        torch.cuda.synchronize()


def _best_seconds(function, device: str, repeats: int = 8) -> float:
    """The shortest of several runs: a ceiling is what the machine can do, not what it does on average."""
    seconds = []
    for _ in range(repeats):
        synchronise(device)
        start = time.perf_counter()
        function()
        synchronise(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def ceilings(size: Size, device: str, dtype: torch.dtype) -> tuple[float, float]:
    """Floating point operations and bytes per second of a large matrix product and a large copy."""
    n = size.matmul
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    flops = 2 * n**3 / _best_seconds(lambda: a @ b, device)
    # Larger than any cache.
    source = torch.randint(256, (2**29,), device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    return flops, 2 * source.numel() / _best_seconds(lambda: target.copy_(source), device)


def matrix_weights(size: Size) -> int:
    """Weights that every token is multiplied with: all matrices but the embedding."""
    head = size.hidden // size.heads
    attention = size.hidden * head * (2 * size.heads + 2 * size.key_value_heads)
    return size.layers * (attention + 3 * size.hidden * size.intermediate) + size.vocabulary * size.hidden


def finetune_floor(size: Size, flops: float) -> float:
    """Tokens per second of a LoRA finetune at the ceiling: forward 2N and backward through the activations 2N.

    The base's weights are frozen, so no gradient of theirs is computed; the adapter's own operations, 1% of it, and
    attention are left out, and so is what is computed again with gradient checkpointing (2N more).
    """
    return flops / (4 * matrix_weights(size))


def decode_floor(size: Size, at_once: int, lengths: list[int], prompt: int, speed: float, element: int) -> float:
    """Tokens per second if each step only read all weights once and the cache of the completions then under way.

    lengths: of the completions, in tokens, in their order; at most `at_once` are under way, and where one ends the next
    begins, so at the end there are fewer. prompt: tokens before each. speed: bytes per second. element: bytes of a
    number.
    """
    weights = matrix_weights(size) * element
    token = 2 * size.layers * size.key_value_heads * (size.hidden // size.heads) * element
    waiting, under_way, seconds = lengths[::-1], [], 0.0
    while waiting or under_way:
        while waiting and len(under_way) < at_once:
            under_way.append([0, waiting.pop()])
        seconds += (weights + token * sum(prompt + done for done, _ in under_way)) / speed
        under_way = [[done + 1, length] for done, length in under_way if done + 1 < length]
    return sum(lengths) / seconds
