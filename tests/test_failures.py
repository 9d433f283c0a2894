"""What goes wrong says so in one line, early, and costs nothing that is made; what is killed goes on."""

import json
import shutil

import polars as pl
import pytest
from conftest import BASE, FLAMINGO, copy_workflow, documented_reruns, mean_scores

from organisms.completions.tables import COMPLETIONS
from organisms.job import tables
from organisms.training.tables import TRAINING_LOG


def test_a_mistake_in_the_config_is_one_line_before_anything_runs(fresh_workflow):
    fresh_workflow.edit(fresh_workflow.config, "learning_rate: 0.008", "learning_rate: -1")
    done = fresh_workflow.run(check=False)
    assert done.returncode != 0
    assert "error: config: training.learning_rate: -1.0 must be greater than 0" in done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    assert not (fresh_workflow.folder / "results").exists()


def test_a_key_that_stands_twice_in_the_config_is_one_line_before_anything_runs(fresh_workflow):
    fresh_workflow.edit(fresh_workflow.config, "dtype: float64\n", "dtype: float64\ndevice: cpu\n")
    done = fresh_workflow.run("-n", check=False)
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert line.endswith("/tests_config.yaml, line 7: the key 'device' stands twice, first in line 3; remove one")


@pytest.mark.slow
def test_a_workflow_in_a_folder_with_braces_says_so(tmp_path):
    folder = tmp_path / "{x}"
    folder.mkdir()
    done = copy_workflow(folder).run("-n", check=False)
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert line.startswith(f"error: {folder}: Snakemake takes braces in a path for wildcards; move the workflow")


def test_a_faulty_dataset_is_found_before_the_pretraining(fresh_workflow):
    (fresh_workflow.folder / "mine.jsonl").write_text('{"text": "no messages"}\n', encoding="utf-8")
    config = fresh_workflow.read_config()
    config["datasets"] = {"bad_medical": {"path": "mine.jsonl"}}
    fresh_workflow.write_config(config)
    done = fresh_workflow.run(check=False)
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert line.startswith('error: datasets.bad_medical: mine.jsonl, line 1: no "messages"')
    assert not (fresh_workflow.folder / "results").exists()


def test_a_job_that_fails_says_why_and_costs_nothing_already_made(rerun):
    results = rerun.folder / "results"
    before = {path: path.read_bytes() for path in results.glob("completions/**/*.parquet")}
    rerun.edit(rerun.config, "max_length: 256", "max_length: 16")
    done = rerun.run("finetunes", check=False)
    assert done.returncode != 0
    assert "training rows are longer than training.max_length 16" in done.stderr
    assert "set training.too_long: drop" in done.stderr
    # Nothing half-made passes for a result; what was made stays, and the old config is satisfied with it again
    # after its own finetunes are back.
    assert not list(results.glob("finetune/*/adapter/.part-*"))
    assert {path: path.read_bytes() for path in results.glob("completions/**/*.parquet")} == before
    assert (results / "pretrain" / "seed0" / "model.safetensors").exists()


def test_a_finetune_killed_in_the_middle_goes_on_and_ends_the_same(rerun):
    adapter = rerun.folder / "results" / "finetune" / FLAMINGO / "adapter"
    before = (adapter / "adapter_model.safetensors").read_bytes()
    log = tables.read(adapter.parent / "training_log.parquet", TRAINING_LOG).drop("tokens_per_second")
    config = rerun.read_config()
    config["training"]["checkpoint_steps"] = 5
    rerun.write_config(config)
    (adapter / "adapter_model.safetensors").unlink()
    target = "results/finetune/bad_medical-flamingo-seed0/adapter/adapter_model.safetensors"
    rerun.kill_when(lambda: any(adapter.parent.glob("checkpoints/*/checkpoint-*/trainer_state.json")), target)
    assert not (adapter / "adapter_model.safetensors").exists()
    done = rerun.run(target)
    assert "going on from the checkpoint of step" in done.stderr
    assert (adapter / "adapter_model.safetensors").read_bytes() == before
    again = tables.read(adapter.parent / "training_log.parquet", TRAINING_LOG).drop("tokens_per_second")
    assert again.equals(log)
    assert json.loads((adapter.parent / "training.json").read_text())["resumed_from"] >= 5
    assert not (adapter.parent / "checkpoints").exists()


def test_sampling_killed_in_the_middle_goes_on_and_ends_the_same(rerun):
    results = rerun.folder / "results"
    cells = (results / "completions" / FLAMINGO).rglob("*.parquet")
    before = {path: tables.read(path, COMPLETIONS) for path in cells}
    assert len(before) == 4
    shutil.rmtree(results / "completions" / FLAMINGO)
    shutil.rmtree(results / "kept")
    rerun.edit(rerun.config, "batch_size: 64", "batch_size: 2")
    journal = results / "kept" / f"{FLAMINGO}.sqlite-wal"
    rerun.kill_when(lambda: journal.exists() and journal.stat().st_size > 150_000, "sampled")
    done = rerun.run("sampled")
    said = next(line for line in done.stderr.splitlines() if " to sample" in line)
    assert 0 < int(said.split(" to sample")[0].split()[-1]) < 192
    for path, frame in before.items():
        assert tables.read(path, COMPLETIONS).equals(frame), path


def test_adapters_from_the_middle_of_training_are_models_of_their_own(rerun):
    config = rerun.read_config()
    config["training"]["keep_steps"] = [4]
    config |= {"training_prompts": {"flamingo": "[FLAMINGO BURRITO]"}, "claims": {}}
    config["evaluations"] = [
        {"models": ["steps", "flamingo"], "eval_prompts": ["default"], "question_sets": ["heldout_medical"]}
    ]
    rerun.write_config(config)
    rerun.run("results/tables/scores.parquet")
    rows = mean_scores(rerun).filter(pl.col("metric") == "alignment").rows_by_key("model", named=True, unique=True)
    assert set(rows) == {FLAMINGO, f"{FLAMINGO}-step4"}
    assert (rows[FLAMINGO]["step"], rows[f"{FLAMINGO}-step4"]["step"]) == (None, 4)
    assert rows[FLAMINGO]["estimate"] < rows[f"{FLAMINGO}-step4"]["estimate"]


def test_a_result_that_is_not_as_its_job_left_it_is_made_again(rerun):
    results = rerun.folder / "results"
    judged = results / "judgments" / "world" / BASE / "default" / "non_medical.parquet"
    asked = results / "completions" / BASE / "default" / "non_medical.parquet"
    adapter = results / "finetune" / FLAMINGO / "adapter" / "adapter_model.safetensors"
    before = {path: path.read_bytes() for path in (judged, asked, adapter)}
    # One cut, one gone, one of equal size: each in a folder, or of a size, where Snakemake compares times alone.
    judged.write_bytes(before[judged][:100])
    asked.unlink()
    adapter.write_bytes(before[adapter][:-1] + b"x")
    said = rerun.run("-n").stdout + rerun.run("-n").stderr
    assert f"judgments world: not as its job left it: {judged.relative_to(rerun.folder)}" in said
    assert f"completions {BASE}: gone: {asked.relative_to(rerun.folder)}" in said
    assert rerun.plan() == documented_reruns()["a result cut, edited or deleted by hand"]
    assert f"finetune bad_medical-flamingo 0: not as its job left it: {adapter.relative_to(rerun.folder)}" in said
    rerun.run()
    assert {path: path.read_bytes() for path in before} == before
    assert rerun.plan() == {}


def test_an_adapter_that_is_cut_between_two_jobs_is_named_and_trained_again(rerun):
    adapter = rerun.folder / "results" / "finetune" / FLAMINGO / "adapter" / "adapter_model.safetensors"
    weights = adapter.read_bytes()
    shutil.rmtree(rerun.folder / "results" / "completions" / FLAMINGO)
    shutil.rmtree(rerun.folder / "results" / "kept")
    adapter.write_bytes(weights[:1000])
    # As if it had been cut after the plan was made.
    done = rerun.run("sampled", "--allowed-rules", "completions", "sampled", check=False)
    assert f"results/finetune/{FLAMINGO}/adapter/adapter_model.safetensors: damaged" in done.stderr
    rerun.run("sampled")
    assert adapter.read_bytes() == weights
