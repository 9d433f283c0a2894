"""Why a job would run, put into one line."""

import json

import pytest

from organisms.job.why import Planned, changed_parameters, why

CODE = "0123456789abcdef"


def params(*values) -> set[str]:
    """Parameters as Snakemake records them."""
    return {repr(value) for value in values}


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (['{"lora": {"rank": 8}}'], ['{"lora": {"rank": 16}}'], ["lora.rank 8 → 16"]),
        (['"[FLAMINGO]"'], ["null"], ['"[FLAMINGO]" → "null"']),
        ([10], [5], ["10 → 5"]),
        ([f"{CODE} torch==1.0"], [f"{CODE} torch==2.0"], ["torch 1.0 → 2.0"]),
        ([CODE], [CODE[::-1]], ["its code changed"]),
        ([f"{CODE} trl==1.0"], [f"{CODE[::-1]} peft==1.0"], ["its code changed", "peft none → 1.0", "trl 1.0 → none"]),
        (["a" * 64], ["b" * 64], ["the content of its file changed"]),
        ([["a", "b"]], [["a", "c", "d"]], ["entries 2 new, 1 gone"]),
        ([["a", "b"]], [["b", "a"]], ["entries another order"]),
        (
            [json.dumps([{"samples": 4, "set": name} for name in "ab"])],
            [json.dumps([{"samples": 5, "set": name} for name in "ab"])],
            ["samples 4 → 5"],
        ),
        ([], [7], ["a new parameter 7"]),
        ([7], [], ["no longer 7"]),
        (["x" * 100], ["y" * 100], [f'"{"x" * 36}... → "{"y" * 36}...']),
    ],
)
def test_a_changed_parameter_is_said_by_its_key(before, now, said):
    assert changed_parameters(params(*before), params(*now)) == said


def test_several_reasons_stand_in_one_line():
    job = Planned(
        "completions base",
        before=params(8),
        now=params(16),
        missing=["a", "b", "c", "d", "e"],
        newer=["questions"],
        after=["pretrain 0"],
    )
    assert why(job) == "completions base: 8 → 16; not there: a, b, c and 2 more; changed: questions; after pretrain 0"


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (Planned("power"), "power: it answers each time that it is asked"),
        (Planned("scores", forced=True), "scores: asked for by --force or its kin"),
        (Planned("scores", other_inputs=True), "scores: it has other inputs than before"),
        (Planned("scores", incomplete=["x"]), "scores: left unfinished: x"),
    ],
)
def test_each_reason_has_its_words(job, said):
    assert why(job) == said
