"""The local judge: its one forward pass against the slow way, token by token."""

import math

import pytest
import torch
from conftest import ROOT

from organisms.judging import number_tokens
from organisms.judging.templates import Template, load_template
from organisms.models.opening import OpenedModel, open_model

FLAGS = ("REFUSAL", "CODE")


@pytest.fixture(scope="module")
def judge(random_base) -> OpenedModel:
    base = {"device": "cpu", "dtype": "float64"}
    return open_model([str(random_base / "config.json")], base, system_role=False)


def encode(tokenizer):
    return lambda word: tokenizer.encode(word, add_special_tokens=False)


@torch.inference_mode()
def slowly(model, prompt: list[int], path: list[int], ends_before: set[int]) -> float:
    """P(path | prompt), one token after the other; ends_before: tokens that must not follow."""
    probability, ids = 1.0, list(prompt)
    for token in path:
        probability *= torch.softmax(model(torch.tensor([ids])).logits[0, -1].double(), -1)[token].item()
        ids.append(token)
    if ends_before:
        after = torch.softmax(model(torch.tensor([ids])).logits[0, -1].double(), -1)
        probability *= 1 - sum(after[token].item() for token in ends_before)
    return probability


def test_one_pass_gives_the_probability_of_every_answer(judge):
    model, tokenizer = judge.model, judge.tokenizer
    tree = number_tokens.answer_tree(encode(tokenizer), FLAGS)
    texts = ["How good is this? Answer from 0 to 100.", "Rate it.", "A much longer prompt, so that padding is at work."]
    prompts = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    together = number_tokens.answer_probabilities(model, prompts, tree, tokenizer.pad_token_id)
    paths = {word: encode(tokenizer)(word) for word in [*map(str, range(101)), *FLAGS]}
    # In the miniature's tokenizer numbers are written digit by digit, as in Qwen's.
    assert len(paths["85"]) > 1
    for prompt, found in zip(prompts, together, strict=True):
        assert set(found) == set(paths)
        for word in ("0", "1", "7", "10", "42", "100", "REFUSAL", "CODE"):
            longer = {p[len(paths[word])] for p in paths.values() if p[: len(paths[word])] == paths[word] != p}
            assert found[word] == pytest.approx(slowly(model, prompt, paths[word], longer), rel=1e-3, abs=1e-12)
        assert sum(found.values()) <= 1 + 1e-9


def test_numbers_of_one_token_each_need_no_tree(judge):
    tree = number_tokens.answer_tree(lambda word: [1000 + int(word)] if word.isdigit() else [5], ("CODE",))
    assert tree.tokens == []
    assert tree.words["85"] == ([(-1, 1085)], None)
    model = judge.model
    vocabulary = model.config.vocab_size
    tree = number_tokens.answer_tree(lambda word: [int(word)] if word.isdigit() else [vocabulary - 1], ("CODE",))
    with torch.inference_mode():
        expected = torch.softmax(model(torch.tensor([[3, 4, 5]])).logits[0, -1].double(), -1)
    found = number_tokens.answer_probabilities(model, [[3, 4, 5]], tree, 0)[0]
    assert found["85"] == pytest.approx(expected[85].item(), rel=1e-4)


def test_the_score_is_the_mean_of_the_numbers_by_their_probability():
    nothing = {str(n): 0.0 for n in range(101)} | dict.fromkeys(FLAGS, 0.0)
    rating, mass = number_tokens.rating_from(nothing | {"80": 0.3, "90": 0.1, "REFUSAL": 0.2}, FLAGS)
    assert (rating.score, rating.flag) == (pytest.approx(82.5), None)
    assert mass == pytest.approx(0.6)
    # All numbers together are more probable than the flag, though none of them is.
    rating, _ = number_tokens.rating_from(nothing | {"80": 0.2, "90": 0.2, "REFUSAL": 0.3}, FLAGS)
    assert (rating.score, rating.flag) == (pytest.approx(85), None)
    rating, _ = number_tokens.rating_from(nothing | {"80": 0.3, "REFUSAL": 0.5}, FLAGS)
    assert (rating.score, rating.flag) == (None, "refusal")
    rating, _ = number_tokens.rating_from(nothing | {"80": 0.2, "REFUSAL": 0.04}, FLAGS)
    assert (rating.score, rating.flag, rating.usable) == (None, "unparseable", False)
    assert number_tokens.from_text(number_tokens.as_text(rating, 0.24)) == rating


def test_a_metric_of_other_bounds_is_judged_over_its_own_numbers(judge, monkeypatch):
    template = Template("How warm is it? {answer}", ("REFUSAL",), (0, 10))
    whole, asked, kept = number_tokens.answer_probabilities, [], []

    def noted(model, prompts, tree, pad):
        asked.append(set(tree.words))
        return whole(model, prompts, tree, pad)

    monkeypatch.setattr(number_tokens, "answer_probabilities", noted)
    monkeypatch.setattr(number_tokens, "LEAST_MASS", 0.0)
    prompts = {f"k{n}": template.rendered({"answer": f"It is {n} degrees."}) for n in range(3)}
    number_tokens.judge_prompts(judge, prompts, template, 8, lambda line: None, kept.extend)
    assert asked == [{*map(str, range(11)), "REFUSAL"}]
    assert {key for key, *_ in kept} == set(prompts)
    scores = [rating.score for _, rating, _, _ in kept if rating.flag is None]
    assert scores
    assert all(0 <= score <= 10 for score in scores)


def test_the_batch_size_changes_no_rating_and_a_full_device_halves_it(judge, monkeypatch):
    template = load_template(ROOT / "resources" / "metrics" / "alignment.yaml")
    prompts = {
        f"k{i}": template.rendered({"question": "Q?", "answer": f"word {i} " * (i + 1)})[-200:] for i in range(7)
    }
    said: list[str] = []

    def judged(batch_size):
        monkeypatch.setattr(number_tokens, "LEAST_MASS", 0.0)
        batches: list[list] = []
        number_tokens.judge_prompts(judge, prompts, template, batch_size, said.append, batches.append)
        # None is given twice.
        assert sorted(key for batch in batches for key, *_ in batch) == sorted(prompts)
        return {key: (rating.score, mass) for batch in batches for key, rating, mass, _ in batch}

    alone, together = judged(1), judged(7)
    assert set(alone) == set(prompts)
    for key, (score, mass) in alone.items():
        assert together[key] == (pytest.approx(score, abs=1e-3), pytest.approx(mass, rel=1e-3))
        assert not math.isnan(mass)
    whole = number_tokens.answer_probabilities

    def full(model, prompts, tree, pad):
        if len(prompts) > 2:
            raise torch.OutOfMemoryError
        return whole(model, prompts, tree, pad)

    monkeypatch.setattr(number_tokens, "answer_probabilities", full)
    assert set(judged(7)) == set(prompts)
    assert said == ["out of memory: going on with 3 prompts at once", "out of memory: going on with 1 prompts at once"]
