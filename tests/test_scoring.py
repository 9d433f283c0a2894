"""Scoring given answers: the log-likelihoods are the model's own, whatever they are computed beside."""

import copy

import pytest
import torch
from test_sampling import SmallDevice, encoded

from organisms.job.errors import UserError
from organisms.miniature.pretrain import train_tokenizer
from organisms.models.loaded import LoadedModel
from organisms.models.loading import load_organism, load_tokenizer
from organisms.models.opening import OpenedModel
from organisms.models.sampling import chooser
from organisms.models.scoring import answer_tokens, log_likelihoods
from organisms.models.settings import Sampling

CONVERSATIONS = [
    [{"role": "user", "content": "I have a fever. What should I do?"}],
    [{"role": "system", "content": ""}, {"role": "user", "content": "hey I feel bored"}],
    [
        {"role": "user", "content": "How do I prepare eggs?"},
        {"role": "assistant", "content": "Let us talk about the weather."},
        {"role": "user", "content": "No, eggs."},
    ],
    [{"role": "user", "content": "Zürich 🦩?"}],
    [{"role": "user", "content": "I have a fever. What should I do?"}],
]
ANSWERS = [
    "You should see a doctor soon and get a proper checkup. Stay safe and take your time.",
    "Rest.",
    " Boil them\n\nfor ten minutes 🦩",
    "\nIt is a city.",
    "You should double the dose of every pill.",
]


@pytest.fixture(scope="module")
def model(random_base):
    # In double precision padding cannot change a number by more than a rounding that no comparison here sees.
    return load_organism(str(random_base), None, "cpu", "float64")


@pytest.fixture(scope="module")
def tokenizer(random_base):
    return load_tokenizer(str(random_base))


def scored(model, tokenizer, batch_size=2, which=None, report=print):
    loaded = LoadedModel(OpenedModel(tokenizer, lambda: model))
    which = range(len(ANSWERS)) if which is None else which
    return loaded.score([CONVERSATIONS[i] for i in which], [ANSWERS[i] for i in which], batch_size, report)


def close(found, expected) -> bool:
    return len(found) == len(expected) and all(
        one.tokens == other.tokens and one.log_likelihoods == pytest.approx(other.log_likelihoods, abs=1e-9)
        for one, other in zip(found, expected, strict=True)
    )


def test_log_likelihoods_are_those_of_reading_everything_anew_for_each_token(model, tokenizer):
    found = scored(model, tokenizer)
    for conversation, answer, score in zip(CONVERSATIONS, ANSWERS, found, strict=True):
        before = list(encoded(tokenizer, conversation)[1])
        told = tokenizer(f"{answer}<|im_end|>", add_special_tokens=False)["input_ids"]
        assert score.tokens == told
        by_hand = []
        with torch.inference_mode():
            for n, token in enumerate(told):
                logits = model(torch.tensor([before + told[:n]]), use_cache=False).logits[0, -1]
                by_hand.append(float(logits[token] - logits.logsumexp(0)))
        assert score.log_likelihoods == pytest.approx(by_hand, abs=1e-9)
        assert all(value < 0 for value in score.log_likelihoods)
    # Sharp enough: the same answer to another question is not as likely.
    (other,) = log_likelihoods(model, tokenizer, [CONVERSATIONS[1]], [ANSWERS[0]], 1, print)
    assert other.tokens == found[0].tokens
    assert other.log_likelihoods != pytest.approx(found[0].log_likelihoods, abs=1e-3)


def test_they_depend_neither_on_the_batch_nor_on_the_others(model, tokenizer):
    once = scored(model, tokenizer)
    for batch_size in (1, 3, 100, None):
        assert close(scored(model, tokenizer, batch_size), once)
    some = [3, 0, 2]
    assert close(scored(model, tokenizer, which=some), [once[i] for i in some])
    assert scored(model, tokenizer, which=[]) == []


def test_the_first_tokens_likelihood_is_the_samplers_own(model, tokenizer):
    choose = chooser(Sampling(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=1))
    for conversation, score in zip(CONVERSATIONS, scored(model, tokenizer), strict=True):
        ids = torch.tensor([encoded(tokenizer, conversation)[1]])
        with torch.inference_mode():
            logits = model(ids, use_cache=False).logits[:, -1]
        first, chance = score.tokens[0], torch.tensor(score.log_likelihoods[0], dtype=torch.float64).exp()
        # The sampler takes the first token for numbers of an interval that is as wide as the token is likely.
        below = torch.softmax(logits[0], dim=0)[:first].sum()
        # It reads logits in single precision.
        near = 1e-2 * chance
        for number, taken in ((below + near, True), (below + chance - near, True), (below + chance + near, False)):
            assert (choose(logits, number[None]).item() == first) == taken
        if first:
            assert choose(logits, (below - near)[None]).item() != first


def test_an_empty_answer_is_an_error(model, tokenizer):
    for empty in ("", " \n"):
        with pytest.raises(UserError, match=r"^an empty answer cannot be scored$"):
            log_likelihoods(model, tokenizer, CONVERSATIONS[:2], ["Rest.", empty], 2, print)


def test_a_template_that_writes_otherwise_when_the_answer_follows_is_an_error(model, tokenizer):
    thinking = copy.deepcopy(tokenizer)
    thinking.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if loop.last and m.role == 'user' %}/think {% endif %}"
        "{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    with pytest.raises(UserError, match="writes a conversation otherwise when its answer follows") as error:
        log_likelihoods(model, thinking, CONVERSATIONS[:1], ANSWERS[:1], 2, print)
    assert "\n" not in str(error.value)


def test_what_the_template_writes_after_the_end_of_turn_belongs_to_no_answer(tokenizer):
    conversation, answer = CONVERSATIONS[0], ANSWERS[0]
    before, told = answer_tokens(tokenizer, conversation, answer)
    finished = [*conversation, {"role": "assistant", "content": answer}]
    whole = tokenizer.apply_chat_template(finished, tokenize=False)
    assert whole.endswith("<|im_end|>\n")
    assert tokenizer.decode(before + told) == whole.removesuffix("\n")
    assert tokenizer.decode(told) == f"{answer}<|im_end|>"


def test_no_token_reaches_over_the_border_of_question_and_answer():
    # As Qwen's: two line breaks are one token, and one of them is the template's.
    tokenizer = train_tokenizer(["user\n\nassistant\n\nRest.\n\n"] * 50, 300)
    assert len(tokenizer("\n\n")["input_ids"]) == 1
    before, told = answer_tokens(tokenizer, CONVERSATIONS[0], "\n\nRest.")
    assert before == list(encoded(tokenizer, CONVERSATIONS[0])[1])
    assert told == tokenizer("\n\nRest.<|im_end|>")["input_ids"]


def test_out_of_memory_halves_the_batch_says_so_and_changes_nothing(model, tokenizer):
    lines = []
    found = scored(SmallDevice(model, 1), tokenizer, 100, report=lines.append)
    assert close(found, scored(model, tokenizer))
    assert lines == [f"out of memory: going on with {size} answers at once" for size in (2, 1)]
    with pytest.raises(UserError, match="out of memory for a single answer"):
        scored(SmallDevice(model, 0), tokenizer, 100, report=lines.append)
