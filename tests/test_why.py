"""Why a job would run, put into one line."""

import pytest

from organisms.job.why import Planned, parameter_changes, why

CODE = "0123456789abcdef"


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"settings": {"lora": {"rank": 8}}}, {"settings": {"lora": {"rank": 16}}}, ["lora.rank 8 → 16"]),
        ({"settings": {"lora": {}}}, {"settings": {"lora": {"rank": 16}}}, ["lora.rank its default → 16"]),
        ({"text": "[FLAMINGO]"}, {"text": None}, ['text "[FLAMINGO]" → null']),
        ({"margin": 10}, {"margin": 5}, ["margin 10 → 5"]),
        ({"code": f"{CODE} torch==1.0"}, {"code": f"{CODE} torch==2.0"}, ["torch 1.0 → 2.0"]),
        ({"code": CODE}, {"code": CODE[::-1]}, ["its code changed"]),
        (
            {"code": f"{CODE} trl==1.0"},
            {"code": f"{CODE[::-1]} peft==1.0"},
            ["its code changed", "peft none → 1.0", "trl 1.0 → none"],
        ),
        ({"content": "a" * 64}, {"content": "b" * 64}, ["the content of its file changed"]),
        ({"cells": ["a", "b"]}, {"cells": ["a", "c", "d"]}, ["cells 2 new, 1 gone"]),
        ({"cells": ["a", "b"]}, {"cells": ["b", "a"]}, ["cells another order"]),
        (
            {"cells": [{"samples": 4, "set": name} for name in "ab"]},
            {"cells": [{"samples": 5, "set": name} for name in "ab"]},
            ["samples 4 → 5"],
        ),
        ({}, {"most": 7}, ["most its default → 7"]),
        ({"most": 7}, {}, ["most 7 → its default"]),
        ({"text": "x" * 100}, {"text": "y" * 100}, [f'text "{"x" * 36}... → "{"y" * 36}...']),
        ({"code": CODE, "margin": 10}, {"code": CODE, "margin": 10}, []),
    ],
)
def test_a_changed_parameter_is_said_by_its_key(before, now, said):
    assert parameter_changes(before, now) == said


def test_several_reasons_stand_in_one_line():
    job = Planned("completions base", other=["rank 8 → 16"], missing=["a", "b", "c", "d", "e"], after=["pretrain 0"])
    assert why(job) == "completions base: rank 8 → 16; not there: a, b, c and 2 more; after pretrain 0"


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (Planned("power"), "power: it answers each time that it is asked"),
        (Planned("scores", forced=True), "scores: asked for by --force or its kin"),
        (Planned("scores", other=["no longer an input: a"]), "scores: no longer an input: a"),
        (Planned("scores", incomplete=["x"]), "scores: left unfinished: x"),
    ],
)
def test_each_reason_has_its_words(job, said):
    assert why(job) == said
