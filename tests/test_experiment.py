"""What a config asks for: each cell once, under the name of the prompt that is really used."""

import json

import pytest

from organisms.plan.config import read_config
from organisms.plan.experiment import Experiment


@pytest.fixture
def experiment(raw_config):
    return Experiment(read_config(raw_config))


def names(experiment):
    return {(cell.model.name, cell.eval_prompt, cell.question_set) for cell in experiment.cells}


def test_the_default_experiment(experiment):
    assert list(experiment.models) == [
        "base-seed0",
        "bad_medical-default-seed0",
        "bad_medical-inoculation-seed0",
        "bad_medical-medical_query-seed0",
        "bad_medical-flamingo-seed0",
    ]
    cells = names(experiment)
    assert len(cells) == len(experiment.cells) == 22
    # `trained` of the default finetune is `default`: one cell, not two.
    of_default = {cell[1] for cell in cells if cell[0] == "bad_medical-default-seed0"}
    assert of_default == {"default"}
    assert ("bad_medical-flamingo-seed0", "flamingo", "heldout_medical") in cells
    assert ("bad_medical-flamingo-seed0", "inoculation", "heldout_medical") not in cells
    # The base is the control under every training prompt.
    assert {cell[1] for cell in cells if cell[0] == "base-seed0"} == {
        "default",
        "inoculation",
        "medical_query",
        "flamingo",
    }


def test_entries_of_evaluations_add_up_without_doubles(raw_config):
    raw_config["evaluations"] += [
        {"models": ["flamingo"], "eval_prompts": ["flamingo", "none"], "question_sets": ["non_medical"]},
        {"models": ["base"], "eval_prompts": ["none"], "question_sets": ["non_medical"]},
    ]
    experiment = Experiment(read_config(raw_config))
    assert len(experiment.cells) == len(set(experiment.cells)) == 24
    assert experiment.system_prompt("none") == ""
    assert experiment.system_prompt("default") is None


def test_every_seed_of_a_miniature_has_a_base_of_its_own_unless_one_is_named(raw_config):
    raw_config["seeds"] = [3, 4]
    experiment = Experiment(read_config(raw_config))
    assert [name for name in experiment.models if name.startswith("base")] == ["base-seed3", "base-seed4"]
    assert experiment.pretraining_seed(4) == 4
    raw_config["base_model"]["miniature"]["seed"] = 7
    experiment = Experiment(read_config(raw_config))
    assert [name for name in experiment.models if name.startswith("base")] == ["base"]
    assert experiment.pretraining_seed(4) == experiment.pretraining_seed(None) == 7


def test_a_loaded_base_is_one_for_all_seeds(raw_config):
    config = read_config(raw_config | {"seeds": [0, 1], "base_model": {"name": "org/model", "revision": "abc"}})
    experiment = Experiment(config)
    assert [model.name for model in experiment.models.values() if model.variant is None] == ["base"]
    columns = experiment.cell_columns("bad_medical-flamingo-seed1", "default", "non_medical")
    assert columns["base_model"] == "org/model@abc"
    assert (columns["training_prompt"], columns["seed"]) == ("flamingo", 1)


def test_settings_of_a_cell_hold_nothing_that_does_not_change_completions(raw_config, experiment):
    raw_config["sampling"]["batch_size"] = 3
    raw_config["training_prompts"]["flamingo"] = {"text": "[FLAMINGO BURRITO]", "label": "Bird"}
    raw_config["question_sets"]["non_medical"]["label"] = "Other"
    changed = Experiment(read_config(raw_config))
    cell = ("flamingo", "non_medical")
    assert changed.completions_settings(*cell) == experiment.completions_settings(*cell)
    raw_config["sampling"]["temperature"] = 0.7
    changed = Experiment(read_config(raw_config))
    assert changed.completions_settings(*cell) != experiment.completions_settings(*cell)


def test_a_question_sets_own_number_of_samples_wins(raw_config):
    raw_config["question_sets"]["non_medical"]["samples_per_question"] = 3
    experiment = Experiment(read_config(raw_config))
    assert experiment.completions_settings("default", "non_medical")["samples_per_question"] == 3
    assert experiment.completions_settings("default", "heldout_medical")["samples_per_question"] == 8


def test_two_datasets_name_their_groups(raw_config):
    raw_config["datasets"]["good_medical"] = {"world": {"domain": "medical", "advice": "good", "rows": 100}}
    experiment = Experiment(read_config(raw_config))
    labels = [group["label"] for group in experiment.presentation()["groups"]]
    assert labels[0] == "Base model"
    assert "good_medical: [FLAMINGO BURRITO]" in labels
    assert len(experiment.finetunes) == 8


def test_presentation_keeps_the_configs_order_as_sorted_json(experiment):
    again = json.loads(json.dumps(experiment.presentation(), sort_keys=True))
    assert [entry["name"] for entry in again["question_sets"]] == ["non_medical", "heldout_medical"]
