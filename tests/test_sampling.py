"""Sampling: the right distribution, and completions that depend on nothing but their own key."""

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from organisms.errors import UserError
from organisms.models import load_organism, load_tokenizer
from organisms.sampling import InverseCdfSampler, Settings, sample, uniforms

PLAIN = Settings(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=24)
CONVERSATIONS = [
    [{"role": "user", "content": question}]
    for question in ("I have a fever. What should I do?", "How do I prepare eggs?", "hey I feel bored", "Zürich 🦩?")
    for _ in range(3)
]
KEYS = [f"key {i}" for i in range(len(CONVERSATIONS))]


@pytest.fixture(scope="module")
def model(tiny_base):
    # In double precision padding cannot change a choice by rounding.
    return load_organism(str(tiny_base), None, "cpu", "float64")


@pytest.fixture(scope="module")
def tokenizer(tiny_base):
    return load_tokenizer(str(tiny_base))


def draw(model, tokenizer, settings=PLAIN, conversations=CONVERSATIONS, keys=KEYS, batch_size=5):
    return sample(model, tokenizer, conversations, keys, settings, batch_size, report=lambda line: None)


def test_uniform_numbers_depend_on_the_key_alone():
    assert (uniforms("a", 5) == uniforms("a", 9)[:5]).all()
    assert (uniforms("a", 5) != uniforms("b", 5)).all()
    many = uniforms("c", 20_000)
    assert many.min() >= 0
    assert many.max() < 1
    assert np.histogram(many, 10, (0, 1))[0] == pytest.approx([2000] * 10, abs=200)


def chosen(logits, numbers):
    """The token that the sampler chooses for each number, all rows having the same logits."""
    sampler = InverseCdfSampler(torch.tensor(numbers, dtype=torch.float64)[:, None])
    scores = sampler(torch.zeros(len(numbers), 1), torch.tensor([logits]).repeat(len(numbers), 1))
    assert torch.isfinite(scores).sum(dim=1).tolist() == [1] * len(numbers)
    return scores.argmax(dim=1).tolist()


def test_the_sampler_draws_from_the_models_distribution():
    probabilities = [0.5, 0.3, 0.15, 0.05]
    tokens = chosen(np.log(probabilities).tolist(), uniforms("d", 20_000).tolist())
    assert np.bincount(tokens, minlength=4) / 20_000 == pytest.approx(probabilities, abs=0.012)


def test_the_sampler_never_takes_an_impossible_token():
    minus = float("-inf")
    extremes = [0.0, 1e-300, 0.5, 1 - 2**-53]
    assert chosen([minus, 0.0, minus, 0.0, minus], extremes) == [1, 1, 3, 3]


def test_a_completion_depends_neither_on_the_batch_nor_on_the_others(model, tokenizer):
    once = draw(model, tokenizer)
    assert draw(model, tokenizer, batch_size=1) == once
    assert draw(model, tokenizer, batch_size=100) == once
    some = [7, 2, 4]
    alone = draw(model, tokenizer, conversations=[CONVERSATIONS[i] for i in some], keys=[KEYS[i] for i in some])
    assert alone == [once[i] for i in some]
    assert draw(model, tokenizer, keys=[f"other {key}" for key in KEYS]) != once


def test_samples_of_one_question_share_their_prompts_prefill(model, tokenizer):
    seen = []
    handle = model.model.register_forward_pre_hook(
        lambda _module, _args, kwargs: seen.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    try:
        draw(model, tokenizer, batch_size=100)
    finally:
        handle.remove()
    # Four questions with three samples each: every prompt is read once, and from then on each row reads one token.
    longest = max(len(tokenizer.apply_chat_template(c, add_generation_prompt=True)["input_ids"]) for c in CONVERSATIONS)
    assert seen[0] == (4, longest - 1)
    assert set(seen[1:]) == {(12, 1)}


def test_samples_of_one_question_differ(model, tokenizer):
    assert len({completion.completion for completion in draw(model, tokenizer)[:3]}) > 1


def test_the_models_own_generation_config_changes_nothing(model, tokenizer):
    once = draw(model, tokenizer)
    model.generation_config = GenerationConfig(
        do_sample=True, top_k=1, repetition_penalty=9.0, temperature=0.1, max_length=3
    )
    assert draw(model, tokenizer) == once


def test_temperature_top_k_and_top_p_reach_the_distribution(model, tokenizer):
    greedy = draw(model, tokenizer, Settings(1.0, 1.0, 1, 24))
    assert draw(model, tokenizer, Settings(1e-4, 1.0, 0, 24), keys=KEYS[::-1]) == greedy
    assert draw(model, tokenizer, Settings(1.0, 1e-6, 0, 24)) == greedy
    assert draw(model, tokenizer) != greedy


def test_a_cut_completion_says_so(model, tokenizer):
    whole = draw(model, tokenizer, Settings(1.0, 1.0, 0, 200))
    cut = draw(model, tokenizer, Settings(1.0, 1.0, 0, 4))
    assert {completion.finish_reason for completion in cut} == {"stop", "length"}
    for long, short in zip(whole, cut, strict=True):
        if long.n_tokens > 4:
            assert (short.finish_reason, short.n_tokens) == ("length", 4)
            assert long.completion.startswith(short.completion)
        else:
            assert short == long
        assert "<|im_end|>" not in long.completion


class SmallDevice:
    """A model on a device with memory for `room` conversations."""

    def __init__(self, model, room):
        self._model, self._room = model, room

    def __getattr__(self, name):
        return getattr(self._model, name)

    def __call__(self, **arguments):
        return self._model(**arguments)

    def generate(self, input_ids, **arguments):
        if len(input_ids) > self._room:
            raise torch.OutOfMemoryError
        return self._model.generate(input_ids=input_ids, **arguments)


def test_out_of_memory_halves_the_batch_says_so_and_changes_nothing(model, tokenizer):
    lines = []
    drawn = sample(SmallDevice(model, 3), tokenizer, CONVERSATIONS, KEYS, PLAIN, 100, lines.append)
    assert drawn == draw(model, tokenizer)
    assert lines == [f"out of memory: going on with {size} completions at once" for size in (6, 3)]
    with pytest.raises(UserError, match="out of memory for a single completion"):
        sample(SmallDevice(model, 0), tokenizer, CONVERSATIONS, KEYS, PLAIN, 100, lines.append)
