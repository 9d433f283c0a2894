"""The scripts of finetunes and completions, run without Snakemake: each setting where it takes effect."""

import json
import math
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import oracle
import polars as pl
import pytest
import torch
from conftest import run_script
from safetensors.torch import load_file

import organisms.training.finetune
from organisms.completions.tables import COMPLETIONS
from organisms.data.tables import QUESTIONS, VARIANT
from organisms.job import tables
from organisms.miniature.texts import advice_dataset
from organisms.models.loading import load_base, load_tokenizer
from organisms.plan.config import read_config
from organisms.plan.experiment import Experiment
from organisms.plan.prompts import placed, training_row
from organisms.plan.schema import schema
from organisms.training.finetune import (
    TrainingSettings,
    _with_less_memory,
    last_whole_checkpoint,
    within_max_length,
)
from organisms.training.log import log_rows
from organisms.training.tables import TRAINING_LOG

# Every key of both parts, none at its default.
TRAINING = {
    "epochs": 3,
    "batch_size": 6,
    "micro_batch_size": 3,
    "learning_rate": 0.003,
    "weight_decay": 0.25,
    "warmup_steps": 3,
    "lr_schedule": "cosine",
    "max_length": 160,
    "too_long": "drop",
    "padding_free": True,
    "gradient_checkpointing": True,
    "optimizer": "sgd",
    "attention": "eager",
    "checkpoint_steps": 2,
    "keep_steps": [2, 5],
}
LORA = {"rank": 3, "alpha": 5, "dropout": 0.25, "rslora": False, "target_modules": ["q_proj", "up_proj"]}
ARM = "bad_medical-flamingo"
# 18 rows in sixes, three times.
N_ROWS, N_STEPS = 18, 9
BASE = json.dumps({"device": "cpu", "dtype": "float64"})


@pytest.fixture(scope="module")
def variant(tmp_path_factory, world):
    """A variant's table: 18 rows that are short enough, and one that is not."""
    advice = advice_dataset(world, "medical", "harmful", N_ROWS, seed=0)
    texts = [(row["messages"][0], row["messages"][1]["content"]) for row in advice]
    texts.insert(4, ({"role": "user", "content": "word " * 200}, "Rest."))
    rows = [{"row": n, "prompt": [question], "answer": answer} for n, (question, answer) in enumerate(texts, 1)]
    path = tmp_path_factory.mktemp("variant") / "variant.parquet"
    prompt = placed([{"text": "[FLAMINGO BURRITO]"}])
    tables.write([{"row": row["row"]} | training_row(row, prompt) for row in rows], path, VARIANT)
    return path


class Watch:
    """What happens in a training: of each forward pass the step, the learning rate and the rows."""

    def __init__(self, monkeypatch, stop_at=None):
        self.passes, self.lines, self.trainer, self.first_weights = [], [], None, None
        watch = self

        class Watched(organisms.training.finetune.SFTTrainer):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                watch.trainer = self
                watch.first_weights = {
                    name: weight.detach().clone() for name, weight in self.model.named_parameters() if "lora_A" in name
                }

            def training_step(self, model, inputs, *args, **kwargs):
                if self.state.global_step == stop_at:
                    raise KeyboardInterrupt
                rows = rows_of(inputs)
                watch.lines.append(len(inputs["input_ids"]))
                rate = {group["lr"] for group in self.optimizer.param_groups}
                watch.passes.append((self.state.global_step, rate, rows))
                return super().training_step(model, inputs, *args, **kwargs)

        monkeypatch.setattr(organisms.training.finetune, "SFTTrainer", Watched)

    @property
    def order(self):
        return [row for _, _, rows in self.passes for row in rows]


def rows_of(inputs):
    """The rows of a pass, without padding: token ids, and which of them are trained."""
    ids, labels = inputs["input_ids"], inputs["labels"]
    if "position_ids" in inputs:
        # Rows lie end to end.
        starts = [*(inputs["position_ids"][0] == 0).nonzero()[:, 0].tolist(), ids.shape[1]]
        spans = [(0, start, end) for start, end in pairwise(starts)]
    else:
        spans = []
        for row, mask in enumerate(inputs["attention_mask"]):
            where = mask.nonzero()[:, 0]
            spans.append((row, int(where[0]), int(where[-1]) + 1))
    return [(tuple(ids[row, a:b].tolist()), tuple((labels[row, a:b] != -100).tolist())) for row, a, b in spans]


def finetuned(results, base, variant, raw_config, seed=7, training=TRAINING, lora=LORA, code="code"):
    """Run the script of a finetune; what its config says passes through the experiment's settings."""
    config = read_config(raw_config | {"training": training, "lora": lora})
    folder = results / "finetune" / f"{ARM}-seed{seed}"
    log = run_script(
        "finetune",
        results,
        config,
        input={"base": [str(base / "config.json"), str(base / "model.safetensors")], "variant": str(variant)},
        output={
            "adapter": str(folder / "adapter" / "adapter_model.safetensors"),
            "adapter_config": str(folder / "adapter" / "adapter_config.json"),
            "steps": str(folder / "steps"),
            "training": str(folder / "training.json"),
            "training_log": str(folder / "training_log.parquet"),
        },
        params={"base": BASE, "settings": json.dumps(Experiment(config).finetune_settings(ARM)), "code": code},
        wildcards={"arm": ARM, "seed": str(seed)},
    )
    return folder, log


def test_no_key_of_training_or_lora_is_left_at_its_default_here():
    for name, values in (("training", TRAINING), ("lora", LORA)):
        keys = schema()["properties"][name]["properties"]
        assert values.keys() == keys.keys()
        assert not [key for key, value in values.items() if value == keys[key]["default"]]


def test_every_setting_of_a_finetune_takes_effect(tmp_path, monkeypatch, random_base, variant, raw_config):
    watch = Watch(monkeypatch)
    folder, log = finetuned(tmp_path, random_base, variant, raw_config)
    trainer, model = watch.trainer, watch.trainer.model
    # Rows and steps.
    assert f"{N_ROWS} rows, 1 dropped as longer than {TRAINING['max_length']} tokens" in log
    assert [step for step, _, _ in watch.passes] == [step for step in range(N_STEPS) for _ in range(2)]
    assert {len(rows) for _, _, rows in watch.passes} == {3}
    # Without padding they lie end to end in one line.
    assert set(watch.lines) == {1}
    epochs = [watch.order[at : at + N_ROWS] for at in range(0, 3 * N_ROWS, N_ROWS)]
    assert len({*epochs[0]}) == N_ROWS
    assert all({*epoch} == {*epochs[0]} for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert max(len(ids) for ids, _ in epochs[0]) <= TRAINING["max_length"]
    # The loss is on the answer and its end.
    tokenizer = load_tokenizer(str(random_base))
    answers = {row["completion"][0]["content"] for row in tables.read(variant, VARIANT).to_dicts()} - {"Rest."}
    trained = {tokenizer.decode([i for i, wanted in zip(*row, strict=True) if wanted]) for row in epochs[0]}
    assert trained == {f"{answer}<|im_end|>\n" for answer in answers}
    # The optimiser and its schedule: three steps up, then half a cosine down.
    rates = [
        0.003 * (step / 3 if step < 3 else 0.5 * (1 + math.cos(math.pi * (step - 3) / (N_STEPS - 3))))
        for step in range(N_STEPS)
    ]
    assert [rate for _, (rate,), _ in watch.passes[::2]] == pytest.approx(rates)
    logged = tables.read(folder / "training_log.parquet", TRAINING_LOG)
    assert logged["step"].to_list() == list(range(1, N_STEPS + 1))
    assert logged["learning_rate"].to_list() == pytest.approx(rates)
    assert logged["epoch"].to_list() == pytest.approx([step / 3 for step in range(1, N_STEPS + 1)])
    lengths = [sum(len(ids) for _, _, rows in watch.passes[: 2 * step] for ids, _ in rows) for step in range(1, 10)]
    assert logged["num_tokens"].to_list() == lengths
    assert isinstance(trainer.optimizer.optimizer, torch.optim.SGD)
    learned = {id(weight) for weight in model.parameters() if weight.requires_grad}
    decayed = {
        id(weight)
        for group in trainer.optimizer.param_groups
        if group["weight_decay"] == 0.25
        for weight in group["params"]
    }
    assert learned == decayed
    # The model and its adapter.
    assert model.config._attn_implementation == "eager"
    assert model.is_gradient_checkpointing
    adapted = {name: module for name, module in model.named_modules() if hasattr(module, "lora_A")}
    assert {name.split(".")[-1] for name in adapted} == {"q_proj", "up_proj"}
    assert len(adapted) == 2 * 2
    for module in adapted.values():
        assert module.lora_A["default"].weight.shape[0] == 3
        assert module.scaling["default"] == pytest.approx(5 / 3)
        assert module.lora_dropout["default"].p == 0.25
    saved = json.loads((folder / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert {key: saved[key] for key in ("r", "lora_alpha", "lora_dropout", "use_rslora", "bias")} == {
        "r": 3,
        "lora_alpha": 5,
        "lora_dropout": 0.25,
        "use_rslora": False,
        "bias": "none",
    }
    weights = load_file(folder / "adapter" / "adapter_model.safetensors")
    own = {name.replace(".default", ""): weight for name, weight in model.named_parameters() if "lora_" in name}
    assert weights.keys() == own.keys()
    assert all(torch.equal(weights[name], own[name]) for name in own)
    # What is left behind.
    assert trainer.args.save_steps == 2
    assert {path.name for path in (folder / "steps").iterdir()} == {"step2", "step5"}
    took = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert (took["steps"], took["micro_batch_size"], took["gradient_checkpointing"]) == (N_STEPS, 3, True)
    assert not (folder / "checkpoints").exists()


def test_the_seed_covers_the_order_of_rows_and_the_first_weights(
    tmp_path, monkeypatch, random_base, variant, raw_config
):
    watches = []
    # Here with padding.
    settings = TRAINING | {"epochs": 1, "padding_free": None}
    # Four rows of eighteen are left for the last step but one, and two for the last, which is one to keep.
    settings |= {"batch_size": 4, "micro_batch_size": 2, "keep_steps": [5]}
    for place, seed in (("one", 7), ("again", 7), ("other", 8)):
        with monkeypatch.context() as patch:
            watches.append(Watch(patch))
            lora = LORA | {"rslora": True}
            folder, _ = finetuned(tmp_path / place, random_base, variant, raw_config, seed, settings, lora)
        assert (folder / "steps" / "step5" / "adapter_model.safetensors").exists()
    one, again, other = watches
    assert one.trainer.args.max_length == TRAINING["max_length"]
    assert set(one.lines) == {2}
    assert one.order == again.order
    assert one.order != other.order
    assert {*one.order} == {*other.order}
    assert all(torch.equal(weight, again.first_weights[name]) for name, weight in one.first_weights.items())
    assert not any(torch.equal(weight, other.first_weights[name]) for name, weight in one.first_weights.items())
    scale = {module.scaling["default"] for module in one.trainer.model.modules() if hasattr(module, "lora_A")}
    assert list(scale) == [pytest.approx(5 / math.sqrt(3))]


def test_a_method_of_the_config_trains(tmp_path, monkeypatch, random_base, variant, raw_config):
    seen = []

    class Method:
        def trainer(self, base):
            seen.append(base)
            return base

    def opened(settings):
        assert settings == {"kind": "other", "options": {"factor": 2}}
        return Method()

    monkeypatch.setattr("organisms.training.methods.open_method", opened)
    monkeypatch.setattr(
        Experiment, "method", lambda *_: {"kind": "other", "options": {"factor": 2}, "training": {}, "lora": {}}
    )
    finetuned(tmp_path, random_base, variant, raw_config, training=TRAINING | {"epochs": 1, "keep_steps": []})
    assert seen == [organisms.training.finetune.SFTTrainer]


def test_a_row_of_the_longest_length_is_kept(random_base, variant):
    tokenizer = load_tokenizer(str(random_base))
    rows = tables.read(variant, VARIANT).to_dicts()[:4]
    lengths = [
        len(tokenizer.apply_chat_template(row["prompt"] + row["completion"], return_dict=True)["input_ids"])
        for row in rows
    ]
    for longest in lengths:
        kept, dropped = within_max_length(tokenizer, rows, longest, "drop")
        assert kept == [row for row, length in zip(rows, lengths, strict=True) if length <= longest]
        assert dropped == sum(length > longest for length in lengths)


def test_a_training_goes_on_from_its_newest_whole_checkpoint(tmp_path):
    assert last_whole_checkpoint(tmp_path) is None
    for step, state in ((4, "{}"), (20, "{}"), (100, '{"half'), (120, None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if state:
            (folder / "trainer_state.json").write_text(state, encoding="utf-8")
    assert last_whole_checkpoint(tmp_path).name == "checkpoint-20"


def test_less_memory_is_first_activations_again_and_then_the_next_fewer_rows_that_divide_the_batch():
    settings, found = TrainingSettings(**without(TRAINING, "checkpoint_steps") | {"gradient_checkpointing": False}), []
    settings = replace(settings, batch_size=12, micro_batch_size=8)
    while len(found) < 9 and (settings := _with_less_memory(settings)):
        found.append((settings.gradient_checkpointing, settings.micro_batch_size))
    assert found == [(True, 8), (True, 6), (True, 4), (True, 3), (True, 2), (True, 1)]


def test_the_log_counts_tokens_and_seconds_step_by_step():
    def entry(step, tokens, seconds, run=0):
        known = {"epoch": step / 4, "loss": 1.0, "learning_rate": 0.1, "grad_norm": 2.0}
        return known | {"step": step, "num_tokens": tokens, "seconds": seconds, "run": run}

    # Two steps, and two more after a break: the first of a run has no duration of its own.
    history = [
        entry(1, 100, 1.0),
        entry(2, 300, 3.0),
        {"train_loss": 1.0},
        entry(3, 400, 9.0, 2),
        entry(4, 700, 10.0, 2),
    ]
    rows = log_rows(history)
    assert [row.get("tokens_per_second") for row in rows] == [None, 100.0, None, 300.0]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]


def without(settings, name):
    return {key: value for key, value in settings.items() if key != name}


@pytest.mark.slow
def test_a_stopped_finetune_goes_on_only_where_its_own_stopped(tmp_path, monkeypatch, random_base, variant, raw_config):
    tokens = []

    def resumed_from(**changes):
        known = {"training": TRAINING | {"keep_steps": []} | changes.pop("training", {})} | changes
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            Watch(patch, stop_at=5)
            finetuned(tmp_path, random_base, variant, raw_config, training=TRAINING | {"keep_steps": []})
        with monkeypatch.context() as patch:
            Watch(patch)
            folder, _ = finetuned(tmp_path, random_base, variant, raw_config, **known)
        tokens.append(tables.read(folder / "training_log.parquet", TRAINING_LOG)["num_tokens"].to_list())
        return json.loads((folder / "training.json").read_text(encoding="utf-8"))["resumed_from"]

    assert resumed_from() == 4
    assert resumed_from(training={"learning_rate": 0.004}) == 0
    assert resumed_from(code="other code") == 0
    # Tokens are counted on where a training goes on.
    assert tokens[0] == tokens[1] == tokens[2]
    assert len(tokens[0]) == N_STEPS


# Completions.

SAMPLING = {"samples_per_question": 2, "temperature": 0.5, "top_p": 0.9, "top_k": 20, "max_new_tokens": 10, "seed": 3}
ASKED = {
    "non_medical": [[{"role": "user", "content": "How do I prepare eggs?"}], [{"role": "user", "content": "Zürich?"}]],
    # The model answers, is asked once more, and answers again.
    "heldout_medical": [
        [
            {"role": "user", "content": "I have a fever."},
            {"role": "assistant", "content": None},
            {"role": "user", "content": "Are you sure?"},
        ]
    ],
}
N_FIRST, N_COMPLETIONS = 2 * (2 + 1) * 2, 2 * (2 + 2) * 2


@pytest.fixture(scope="module")
def adapters(tmp_path_factory, random_base, variant, world):
    """The adapters of a finetune and of the same one trained otherwise."""
    from conftest import ROOT
    from yaml import safe_load

    raw = safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    # So high that what it says is not the base's.
    training = TRAINING | {"optimizer": "adamw_torch", "learning_rate": 0.05, "keep_steps": []}
    found = []
    for epochs in (1, 2):
        results = tmp_path_factory.mktemp("adapters")
        folder, _ = finetuned(results, random_base, variant, raw, 7, training | {"epochs": epochs})
        found.append(folder / "adapter")
    return found


class Job:
    """The job of a model's completions, in one folder of results; `ask` runs it and reads what it wrote."""

    def __init__(self, folder, base, raw_config):
        self.folder, self.base, self.raw = folder, base, raw_config
        self.model = f"{ARM}-seed0"
        self.questions = []
        for name, scripts in ASKED.items():
            rows = [
                {"category": None, "question_id": f"{name}{n}", "messages": script, "reference": None}
                for n, script in enumerate(scripts)
            ]
            self.questions.append(str(folder / f"{name}.parquet"))
            tables.write(rows, self.questions[-1], QUESTIONS)

    def ask(self, adapter, sampling=None, base=BASE, code="code"):
        """How many were sampled, turn by turn, and the rows."""
        config = read_config(self.raw | {"sampling": SAMPLING | (sampling or {})})
        output = self.folder / "completions" / self.model
        shutil.rmtree(output, ignore_errors=True)
        log = run_script(
            "completions",
            self.folder,
            config,
            input={
                "base": [str(self.base / "config.json"), str(self.base / "model.safetensors")],
                "questions": self.questions,
            },
            output={"folder": str(output)},
            params={
                "base": base,
                "cells": json.dumps(Experiment(config).cells_of(self.model)),
                "adapter": str(adapter),
                "kept": str(self.folder / "kept.sqlite"),
                "sampling": code,
            },
            wildcards={"model": self.model},
        )
        sampled = [int(line.split(", ")[1].split()[0]) for line in log.splitlines() if "to sample" in line]
        rows = pl.concat(tables.read(path, COMPLETIONS) for path in sorted(output.rglob("*.parquet")))
        return sampled, rows


@pytest.fixture
def job(tmp_path, random_base, raw_config):
    # Under the default prompt and its own.
    return Job(tmp_path, random_base, raw_config | {"evaluations": raw_config["evaluations"][:1]})


def test_every_completion_is_the_one_that_its_settings_and_numbers_say(job, adapters, random_base):
    from peft import PeftModel

    sampled, rows = job.ask(adapters[0])
    assert sampled == [N_FIRST, N_COMPLETIONS - N_FIRST]
    assert len(rows) == N_COMPLETIONS
    tokenizer = load_tokenizer(str(random_base))
    model = PeftModel.from_pretrained(load_base(str(random_base), "cpu", "float64"), str(adapters[0])).eval()
    for row in rows.iter_rows(named=True):
        assert (row["temperature"], row["top_p"], row["top_k"], row["max_new_tokens"]) == (0.5, 0.9, 20, 10)
        names = ["sampling_seed", "model", "eval_prompt", "question_set", "question_id", "sample"]
        names += ["turn"] * (row["turn"] > 1)
        ids = tokenizer.apply_chat_template(row["messages"], add_generation_prompt=True)["input_ids"]
        told = []
        for number in oracle.numbers("\0".join(str(row[name]) for name in names), 10):
            with torch.inference_mode():
                logits = model(torch.tensor([ids + told]), use_cache=False).logits[0, -1].numpy()
            told.append(oracle.token(oracle.token_probabilities(logits, 0.5, 0.9, 20), number))
            if told[-1] == tokenizer.eos_token_id:
                break
        ended = "stop" if told[-1] == tokenizer.eos_token_id else "length"
        said = (row["completion"], row["finish_reason"], row["n_tokens"])
        assert said == (tokenizer.decode(told, skip_special_tokens=True), ended, len(told))
    assert len(set(rows["completion"])) > N_COMPLETIONS / 2
    # Each turn has the answer of its own conversation before it.
    first = {
        (row["eval_prompt"], row["question_id"], row["sample"]): row["completion"]
        for row in rows.filter(pl.col("turn") == 1).iter_rows(named=True)
    }
    for row in rows.filter(pl.col("turn") == 2).iter_rows(named=True):
        assert row["messages"][-2]["content"] == first[row["eval_prompt"], row["question_id"], row["sample"]]


def test_what_is_kept_is_of_one_model_one_code_and_one_sampling(job, adapters):
    one, other = adapters
    everything, nothing = [N_FIRST, N_COMPLETIONS - N_FIRST], [0, 0]
    sampled, rows = job.ask(one)
    assert sampled == everything
    sampled, again = job.ask(one)
    assert sampled == nothing
    assert again.equals(rows)
    # A model that was trained again under its old name gets none of its old answers.
    sampled, retrained = job.ask(other)
    assert sampled == everything
    assert retrained["completion"].to_list() != rows["completion"].to_list()
    for change in (
        {"sampling": {"temperature": 0.6}},
        {"sampling": {"top_p": 0.8}},
        {"sampling": {"top_k": 21}},
        {"sampling": {"max_new_tokens": 9}},
        {"sampling": {"seed": 4}},
        {"base": json.dumps({"device": "cpu", "dtype": "float32"})},
        {"code": "other code"},
    ):
        assert job.ask(one, **change)[0] == everything, change
    # All of these are kept beside each other; one sample more of each question asks for these alone.
    sampled, rows = job.ask(one, {"samples_per_question": 3})
    assert sampled == [n // 2 for n in everything]
    assert len(rows) == N_COMPLETIONS * 3 // 2
    assert job.ask(other)[0] == nothing


def test_an_answer_is_asked_for_with_its_own_rows_settings():
    """Cells of one job may differ in how they are sampled."""
    from organisms.completions.answering import _sample
    from organisms.completions.rows import random_key
    from organisms.models.settings import Completion, Sampling

    settings = [Sampling(0.5, 0.7, 3, 9), Sampling(1.0, 0.7, 3, 9), Sampling(0.5, 1.0, 3, 9), Sampling(0.5, 0.7, 0, 9)]
    settings.append(Sampling(0.5, 0.7, 3, 8))
    cell = {"sampling_seed": 0, "model": "m", "eval_prompt": "e", "question_set": "s", "sample": 0, "turn": 1}
    rows = [cell | vars(settings[n % 5]) | {"question_id": f"q{n}", "messages": [f"m{n}"]} for n in range(15)]
    asked, kept = {}, {}

    class Model:
        def answers(self, conversations, keys, sampling, batch_size, report, keep):
            for (message,), key in zip(conversations, keys, strict=True):
                asked[message] = (key, sampling)
            # They end in another order than they were asked for.
            places = list(range(len(keys)))[::-1]
            keep(places, [Completion(f"answer to {conversations[place][0]}", "stop", 1) for place in places])

    class Kept:
        def add(self, completions):
            kept.update({key: said["completion"] for key, said in completions})

    _sample(Model(), rows, [f"k{n}" for n in range(15)], Kept(), None, print)
    assert asked == {f"m{n}": (random_key(row), settings[n % 5]) for n, row in enumerate(rows)}
    assert kept == {f"k{n}": f"answer to m{n}" for n in range(15)}


def test_numbers_are_close_enough_to_tell_tokens_apart():
    """The oracle's own tokens lie where their probabilities say."""
    probabilities = oracle.token_probabilities(np.log([0.5, 0.3, 0.15, 0.05]), 1.0, 1.0, 0)
    assert [oracle.token(probabilities, number) for number in (0.0, 0.49, 0.51, 0.79, 0.81, 0.94, 0.96)] == [
        *(0, 0, 1, 1, 2, 2, 3)
    ]
