"""Training methods: a file each, options that are checked, and arms that differ by nothing else."""

import json

import pytest

from organisms.job import tables
from organisms.job.errors import UserError
from organisms.training import methods
from organisms.training.methods import method_names, open_method
from organisms.training.tables import TRAINING_LOG

HALVED = '''"""The loss times a factor."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """factor: of the loss."""

    factor: float

    def __post_init__(self):
        if self.factor < 0:
            raise ValueError(f"factor {self.factor} must be at least 0")

    def trainer(self, base):
        factor = self.factor

        class Trainer(base):
            def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
                found = super().compute_loss(model, inputs, return_outputs=return_outputs, **kwargs)
                return (factor * found[0], found[1]) if return_outputs else factor * found

        return Trainer
'''


@pytest.fixture
def halved(tmp_path, monkeypatch):
    """A method `halved`, in a folder beside the library's."""
    (tmp_path / "halved.py").write_text(HALVED, encoding="utf-8")
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    monkeypatch.setattr(methods, "method_names", lambda: ["halved", "sft"])


def test_plain_finetuning_gives_the_trainer_back():
    assert "sft" in method_names()
    for settings in (None, {"kind": "sft", "options": {}}):
        assert open_method(settings).trainer(dict) is dict


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "kl", "options": {}}, "kind: no training method 'kl'; known are halved, sft"),
        ({"kind": "sft", "options": {"weight": 1}}, "options.weight: method 'sft' has no options"),
        ({"kind": "halved", "options": {"facto": 1}}, "options.facto: method 'halved' has factor"),
        ({"kind": "halved", "options": {}}, "missing 1 required positional argument: 'factor'"),
        ({"kind": "halved", "options": {"factor": -1}}, "factor -1 must be at least 0"),
    ],
)
def test_a_faulty_method_is_one_line(halved, settings, message):
    with pytest.raises(UserError) as error:
        open_method(settings)
    assert message in str(error.value)


def test_an_arm_of_another_method_trains_beside_the_others_and_runs_none_again(rerun):
    (rerun.folder / "src" / "organisms" / "training" / "methods" / "halved.py").write_text(HALVED, encoding="utf-8")
    config = rerun.read_config()
    config["training_methods"] = {
        "long": {"training": {"epochs": 4, "keep_steps": [3]}, "lora": {"rank": 2}},
        "zero": {"kind": "halved", "options": {"factor": 0.0}},
    }
    config["finetunes"] = [{}, {"training_prompts": ["default"], "training_methods": ["long", "zero"]}]
    rerun.write_config(config)
    assert rerun.plan("finetunes") == {"finetune": 2}
    rerun.run("finetunes")
    folder = rerun.folder / "results" / "finetune"
    logs = {
        name: tables.read(folder / f"bad_medical-default{name}-seed0" / "training_log.parquet", TRAINING_LOG)
        for name in ("", "-long", "-zero")
    }
    assert len(logs["-long"]) == 2 * len(logs[""]) == 2 * len(logs["-zero"])
    # A loss times nothing is no loss; the method was at work and not only in the name.
    assert logs["-zero"]["loss"].abs().max() == 0
    assert logs[""]["loss"].min() > 0
    adapter = folder / "bad_medical-default-long-seed0"
    assert json.loads((adapter / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))["r"] == 2
    assert (adapter / "steps" / "step3" / "adapter_model.safetensors").exists()
    assert list((folder / "bad_medical-default-seed0" / "steps").glob("step*")) == []
    # The method's code is in the digest of the arms that use it, and of no other.
    method = rerun.folder / "src" / "organisms" / "training" / "methods" / "halved.py"
    method.write_text(HALVED.replace("return (factor * found[0]", "return (2 * factor * found[0]"), encoding="utf-8")
    assert rerun.plan("finetunes") == {"finetune": 1}
    config["training_methods"]["zero"]["options"] = {"facto": 1}
    rerun.write_config(config)
    said = rerun.run("-n", check=False).stderr
    assert "error: training_methods.zero.options.facto: method 'halved' has factor" in said


def test_models_from_the_middle_of_training_are_asked_like_any_other(rerun):
    config = rerun.read_config()
    config["training"]["keep_steps"] = [2]
    config["evaluations"].append({"models": ["steps"], "eval_prompts": ["default"], "question_sets": ["non_medical"]})
    rerun.write_config(config)
    rerun.run("sampled")
    results = rerun.folder / "results"
    path = results / "completions" / "bad_medical-default-seed0-step2" / "default" / "non_medical.parquet"
    from organisms.completions.tables import COMPLETIONS

    frame = tables.read(path, COMPLETIONS)
    assert set(frame["step"]) == {2}
    # Another rank trains again; with one output for each kept step Snakemake would find nothing to do.
    config["lora"]["rank"] = 4
    rerun.write_config(config)
    assert rerun.plan("finetunes") == {"finetune": 2}
    config["lora"]["rank"] = 8
    rerun.write_config(config)
    # What lies in the folder of steps is looked at, too.
    (results / "finetune" / "bad_medical-default-seed0" / "steps" / "step2" / "adapter_model.safetensors").unlink()
    assert rerun.plan("finetunes") == {"finetune": 1}
