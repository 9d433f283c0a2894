"""Sampling: the right distribution, and completions that depend on nothing but their own key."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import oracle
import pytest
import torch
import transformers
from transformers import GenerationConfig

from organisms.job.errors import UserError
from organisms.models import continuous_batching, sampling
from organisms.models.loading import load_organism, load_tokenizer
from organisms.models.sampling import chooser, sample, uniforms
from organisms.models.settings import Sampling

PLAIN = Sampling(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=24)
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
    choose = chooser(PLAIN)
    return choose(torch.tensor([logits]).repeat(len(numbers), 1), torch.tensor(numbers, dtype=torch.float64)).tolist()


def test_the_sampler_draws_from_the_models_distribution():
    probabilities = [0.5, 0.3, 0.15, 0.05]
    tokens = chosen(np.log(probabilities).tolist(), uniforms("d", 20_000).tolist())
    assert np.bincount(tokens, minlength=4) / 20_000 == pytest.approx(probabilities, abs=0.012)


@pytest.mark.parametrize(
    ("temperature", "top_p", "top_k"),
    [(0.5, 1.0, 0), (2.0, 1.0, 0), (1.0, 0.7, 0), (1.0, 1.0, 3), (0.5, 0.7, 3), (1.0, 0.65, 4), (1.5, 0.9, 3)],
)
def test_temperature_top_p_and_top_k_leave_the_distribution_of_the_textbook(temperature, top_p, top_k):
    logits = np.array([0.3, 2.0, -1.0, 1.4, 0.9, 1.1, -3.0, 0.0])
    probabilities = oracle.token_probabilities(logits, temperature, top_p, top_k)
    uniform = (np.arange(4000) + 0.5) / 4000
    choose = chooser(Sampling(temperature, top_p, top_k, 1))
    tokens = choose(torch.from_numpy(logits).repeat(4000, 1), torch.from_numpy(uniform)).numpy()
    # The numbers lie evenly, so each token is taken as often as it is likely, and the tokens lie side by side.
    assert np.bincount(tokens, minlength=8) / 4000 == pytest.approx(probabilities, abs=1 / 4000 + 1e-6)
    assert (np.diff(tokens) >= 0).all()


def test_the_sampler_never_takes_an_impossible_token():
    minus = float("-inf")
    extremes = [0.0, 1e-300, 0.5, 1 - 2**-53]
    assert chosen([minus, 0.0, minus, 0.0, minus], extremes) == [1, 1, 3, 3]
    # The sum of many probabilities is 1 up to rounding; the largest number there is has a token all the same.
    logits = torch.from_numpy(np.random.default_rng(0).normal(0, 3, (50, 20_000)))
    logits[:, -5:] = minus
    tokens = chooser(PLAIN)(logits, torch.full((50,), 1 - 2**-53, dtype=torch.float64))
    assert torch.isfinite(logits[range(50), tokens]).all()


def test_a_completion_depends_neither_on_the_batch_nor_on_the_others(model, tokenizer):
    once = draw(model, tokenizer)
    assert draw(model, tokenizer, batch_size=1) == once
    assert draw(model, tokenizer, batch_size=100) == once
    some = [7, 2, 4]
    alone = draw(model, tokenizer, conversations=[CONVERSATIONS[i] for i in some], keys=[KEYS[i] for i in some])
    assert alone == [once[i] for i in some]
    assert draw(model, tokenizer, keys=[f"other {key}" for key in KEYS]) != once


def encoded(tokenizer, conversation):
    """A prompt's length and tokens: the order in which prompts are drawn."""
    ids = tokenizer.apply_chat_template(conversation, add_generation_prompt=True)["input_ids"]
    return len(ids), tuple(ids)


def read_shapes(model, action):
    """The shapes [rows, tokens] of what the model reads during an action."""
    seen = []
    handle = model.model.register_forward_pre_hook(
        lambda _module, _args, kwargs: seen.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    try:
        action()
    finally:
        handle.remove()
    return seen


def test_samples_of_one_question_share_their_prompts_prefill(model, tokenizer):
    prefill, *steps = read_shapes(model, lambda: draw(model, tokenizer, batch_size=100))
    # Four questions with three samples each: every prompt is read once, and from then on each row reads one token.
    longest = max(encoded(tokenizer, conversation)[0] for conversation in CONVERSATIONS)
    assert prefill == (4, longest - 1)
    assert steps[0] == (12, 1)
    assert {tokens for _, tokens in steps} == {1}


def test_no_completion_waits_for_another_to_end(model, tokenizer):
    order = []
    shapes = read_shapes(
        model,
        lambda: sample(
            model, tokenizer, CONVERSATIONS, KEYS, PLAIN, 3, print, keep=lambda places, batch: order.extend(places)
        ),
    )
    lengths = [completion.n_tokens for completion in draw(model, tokenizer)]
    # Three at once: whenever one ends the next begins, so that all take the steps of the busiest of three queues.
    queues = [0, 0, 0]
    for i in sorted(range(12), key=lambda i: encoded(tokenizer, CONVERSATIONS[i])):
        queues[queues.index(min(queues))] += lengths[i]
    assert sum(tokens == 1 for _, tokens in shapes) == max(queues)
    assert sorted(order) == list(range(12))


def of(architecture, tokenizer, **settings):
    """A model of some architecture with random weights, large enough that what it says depends on what it reads."""
    config = getattr(transformers, f"{architecture}Config")(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=512,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.5,
        **settings,
    )
    torch.manual_seed(0)
    return getattr(transformers, f"{architecture}ForCausalLM")(config).double().eval()


# Architectures, their settings, and whether they are drawn in slots.
MODELS = {
    "Qwen2": ({}, True),
    "Qwen3": ({}, True),
    "Llama": ({}, True),
    "Phi3": ({}, True),
    "Olmo2": ({}, True),
    "Mistral": ({"sliding_window": 8}, False),
    "Qwen3Next": ({"layer_types": ["linear_attention", "full_attention"], "num_experts": 0}, False),
}


def test_nothing_is_computed_beside_the_models_device(tokenizer):
    """Torch's device without memory stands for a GPU: tensors of another device do not mix with its own."""
    model = of("Qwen2", tokenizer).to("meta")
    prompts = sorted(tuple(encoded(tokenizer, conversation)[1]) for conversation in CONVERSATIONS)

    def choose(logits, uniform):
        assert logits.device.type == uniform.device.type == "meta"
        return torch.full((len(logits),), 7)

    wanted = continuous_batching.Wanted(prompts, lambda i: uniforms(KEYS[i], 4), choose, {0}, max_new_tokens=4)
    drawn = continuous_batching.continuous_batches(model, wanted, 5, report=print)
    assert sorted(place for ended in drawn for place, _ in ended) == list(range(12))


@pytest.mark.parametrize(("architecture", "known", "in_slots"), [(name, *how) for name, how in MODELS.items()])
def test_completions_are_those_of_reading_everything_anew_for_each_token(tokenizer, architecture, known, in_slots):
    """Whatever way a model is sampled, with whatever cache, nothing but speed may come of it."""
    model = of(architecture, tokenizer, **known)
    assert continuous_batching.suits(model) == in_slots
    settings = Sampling(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=12)
    conversations, keys = CONVERSATIONS[1::2], KEYS[1::2]
    completions = draw(model, tokenizer, settings, conversations, keys, batch_size=4)
    with torch.inference_mode():
        for conversation, key, completion in zip(conversations, keys, completions, strict=True):
            ids = list(encoded(tokenizer, conversation)[1])
            told = []
            for number in uniforms(key, settings.max_new_tokens):
                logits = model(torch.tensor([ids + told]), use_cache=False).logits[0, -1].float()
                cdf = torch.softmax(logits.double(), dim=0).cumsum(dim=0)
                told.append(int((cdf / cdf[-1] <= number).sum()))
                if told[-1] == tokenizer.eos_token_id:
                    break
            assert completion.completion == tokenizer.decode(told, skip_special_tokens=True)
            assert completion.n_tokens == len(told)


def test_a_completion_ends_at_any_of_the_models_own_end_tokens(random_base):
    model, tokenizer = load_organism(str(random_base), None, "cpu", "float64"), load_tokenizer(str(random_base))
    whole = draw(model, tokenizer, conversations=CONVERSATIONS[:2], keys=KEYS[:2])
    # A token that is drawn in the middle of one becomes an end.
    ids = tokenizer(whole[0].completion, add_special_tokens=False)["input_ids"]
    assert whole[0].finish_reason == "length"
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, ids[5]]
    ended = draw(model, tokenizer, conversations=CONVERSATIONS[:2], keys=KEYS[:2])[0]
    assert (ended.finish_reason, ended.n_tokens) == ("stop", ids.index(ids[5]) + 1)
    assert whole[0].completion.startswith(ended.completion)
    # Also where it is the last that there was room for.
    last = Sampling(1.0, 1.0, 0, ended.n_tokens)
    assert draw(model, tokenizer, last, CONVERSATIONS[:2], KEYS[:2])[0] == ended


def test_the_end_of_turn_is_counted_and_is_no_text(random_base):
    model, tokenizer = load_organism(str(random_base), None, "cpu", "float64"), load_tokenizer(str(random_base))
    with torch.no_grad():
        # Now it likes to end, here and there.
        model.lm_head.weight[tokenizer.eos_token_id] *= 4
    completions = draw(model, tokenizer)
    ended = [completion for completion in completions if completion.finish_reason == "stop"]
    assert 0 < len(ended) < len(completions)
    assert not any("<|im_end|>" in completion.completion for completion in completions)
    # With room for all but its end it has the same text and no end; with room for that too it is as it was.
    one = min(
        (completion for completion in ended if completion.n_tokens > 2), key=lambda completion: completion.n_tokens
    )
    at = completions.index(one)
    cut, whole = (draw(model, tokenizer, Sampling(1.0, 1.0, 0, one.n_tokens - less))[at] for less in (1, 0))
    assert cut == replace(one, finish_reason="length", n_tokens=one.n_tokens - 1)
    assert whole == one


def test_samples_of_one_question_differ(model, tokenizer):
    assert len({completion.completion for completion in draw(model, tokenizer)[:3]}) > 1


def test_the_models_own_generation_config_changes_nothing(model, tokenizer):
    once = draw(model, tokenizer)
    model.generation_config = GenerationConfig(
        do_sample=True, top_k=1, repetition_penalty=9.0, temperature=0.1, max_length=3
    )
    assert draw(model, tokenizer) == once


def test_temperature_top_k_and_top_p_reach_the_distribution(model, tokenizer):
    greedy = draw(model, tokenizer, Sampling(1.0, 1.0, 1, 24))
    assert draw(model, tokenizer, Sampling(1e-4, 1.0, 0, 24), keys=KEYS[::-1]) == greedy
    assert draw(model, tokenizer, Sampling(1.0, 1e-6, 0, 24)) == greedy
    assert draw(model, tokenizer) != greedy


def test_a_cut_completion_says_so(model, tokenizer):
    whole = draw(model, tokenizer, Sampling(1.0, 1.0, 0, 200))
    # Some end before it and some do not, whatever a model of random weights says.
    most = sorted(completion.n_tokens for completion in whole)[len(whole) // 2] - 1
    cut = draw(model, tokenizer, Sampling(1.0, 1.0, 0, most))
    assert {completion.finish_reason for completion in cut} == {"stop", "length"}
    for long, short in zip(whole, cut, strict=True):
        if long.n_tokens > most:
            assert (short.finish_reason, short.n_tokens) == ("length", most)
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

    def _within_room(self, rows):
        if rows > self._room:
            raise torch.OutOfMemoryError

    def __call__(self, input_ids, **arguments):
        self._within_room(len(input_ids))
        return self._model(input_ids=input_ids, **arguments)

    def generate(self, input_ids, **arguments):
        self._within_room(len(input_ids))
        return self._model.generate(input_ids=input_ids, **arguments)


@pytest.mark.parametrize("engine", ["continuous", "padded"])
def test_out_of_memory_halves_the_batch_says_so_and_changes_nothing(model, tokenizer, engine, monkeypatch):
    monkeypatch.setattr(sampling, "suits", lambda model: engine == "continuous")
    lines = []
    drawn = sample(SmallDevice(model, 3), tokenizer, CONVERSATIONS, KEYS, PLAIN, 100, lines.append)
    assert drawn == draw(model, tokenizer)
    assert lines == [f"out of memory: going on with {size} completions at once" for size in (6, 3)]
    with pytest.raises(UserError, match="out of memory for a single completion"):
        sample(SmallDevice(model, 0), tokenizer, CONVERSATIONS, KEYS, PLAIN, 100, lines.append)


def test_what_was_drawn_before_memory_ran_out_is_not_drawn_again(model, tokenizer):
    class Filling(SmallDevice):
        """Memory runs out once, at the fifteenth token."""

        steps = 0

        def _within_room(self, rows):
            self.steps += 1
            if self.steps == 15:
                raise torch.OutOfMemoryError

    kept, lines = [], []
    keep = lambda places, batch: kept.extend(places)  # noqa: E731
    drawn = sample(Filling(model, 0), tokenizer, CONVERSATIONS, KEYS, PLAIN, 6, lines.append, keep=keep)
    assert drawn == draw(model, tokenizer)
    assert sorted(kept) == list(range(12))
    assert lines == ["out of memory: going on with 3 completions at once"]


def test_a_model_without_probabilities_is_an_error(tokenizer):
    model = of("Qwen2", tokenizer)
    model.model.norm.weight.data.fill_(float("nan"))
    with pytest.raises(UserError, match="not numbers"):
        draw(model, tokenizer)


def test_a_gpu_lays_out_as_many_slots_as_fit(model, tokenizer, monkeypatch):
    lines = []
    monkeypatch.setattr(continuous_batching, "_free_memory", lambda device: 2.6 / 0.8 * slot_bytes(tokenizer))
    drawn = sample(model, tokenizer, CONVERSATIONS, KEYS, PLAIN, 6, lines.append)
    assert lines == ["the GPU's memory has room for 2 completions at once"]
    assert drawn == draw(model, tokenizer)
    # Larger numbers in sixteens, so that the same GPU takes the same number again.
    first = SimpleNamespace(layers=[SimpleNamespace(keys=torch.zeros(1, 2, 5, 8), values=torch.zeros(1, 2, 5, 8))])
    monkeypatch.setattr(continuous_batching, "_free_memory", lambda device: 100.5 / 0.8 * 10 * 2 * 2 * 8 * 4)
    fitting = [continuous_batching._slots_in_memory("cuda", first, 10, wanted) for wanted in (90, 100, 101, 400)]
    assert fitting == [90, 100, 96, 96]


def slot_bytes(tokenizer):
    """Bytes of one slot of the tiny model: keys and values of one head of 16 doubles, in columns in eights."""
    longest = max(encoded(tokenizer, conversation)[0] for conversation in CONVERSATIONS) + PLAIN.max_new_tokens
    return 2 * 16 * 8 * (longest + -longest % 8)
