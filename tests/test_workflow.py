"""The workflow itself, through Snakemake: one whole run of a small miniature, and what a change runs again."""

import json
import os
import shutil
import signal
import subprocess
import time

import polars as pl
import pytest

from organisms import tables
from organisms.dataset import normalised

BASE, DEFAULT, FLAMINGO = "base-seed0", "bad_medical-default-seed0", "bad_medical-flamingo-seed0"
CELLS = {
    (model, prompt, question_set)
    for model, prompts in (
        (BASE, ("default", "flamingo")),
        (DEFAULT, ("default",)),
        (FLAMINGO, ("default", "flamingo")),
    )
    for prompt in prompts
    for question_set in ("non_medical", "heldout_medical")
}
ANALYSIS = {"scores": 1, "figures": 2, "summary": 1}
CURVES = {"training_curves": 1}


# What a run leaves


def test_a_run_leaves_every_result(finished):
    results = finished.folder / "results"
    for model in (DEFAULT, FLAMINGO):
        assert {path.name for path in (results / "finetune" / model / "adapter").iterdir()} >= {
            "adapter_model.safetensors",
            "adapter_config.json",
        }
        log = tables.read(results / "finetune" / model / "training_log.parquet", "training_log")
        assert log["step"].to_list() == list(range(1, len(log) + 1))
    made = {
        path.relative_to(results / "completions").with_suffix("").parts
        for path in results.glob("completions/**/*.parquet")
    }
    assert made == CELLS
    for question_set in ("non_medical", "heldout_medical"):
        for ending in ("png", "svg", "html"):
            assert (results / "figures" / "world" / f"{question_set}.{ending}").stat().st_size > 1000
            assert (results / "figures" / f"training_curves.{ending}").stat().st_size > 1000


def test_every_job_left_a_log_and_a_benchmark(finished):
    results = finished.folder / "results"
    assert len(list(results.glob("logs/completions/**/*.log"))) == len(CELLS)
    assert len(list(results.glob("benchmarks/completions/**/*.tsv"))) == len(CELLS)
    for rule in ("corpus", "pretrain", "advice", "dataset", "variant", "finetune", "questions", "judgments", "figures"):
        assert list(results.glob(f"logs/{rule}/**/*.log")), rule
        assert list(results.glob(f"benchmarks/{rule}/**/*.tsv")), rule


def test_each_completion_says_what_made_it(finished):
    for model, prompt, question_set in CELLS:
        path = finished.folder / "results" / "completions" / model / prompt / f"{question_set}.parquet"
        frame = tables.read(path, "completions")
        assert len(frame) == 12 * 4
        assert frame.select("question_id", "sample").n_unique() == len(frame)
        row = frame.row(0, named=True)
        assert (row["model"], row["eval_prompt"], row["question_set"]) == (model, prompt, question_set)
        assert row["training_prompt"] == {BASE: None, DEFAULT: "default", FLAMINGO: "flamingo"}[model]
        assert row["seed"] == 0
        assert (row["temperature"], row["top_p"], row["top_k"], row["max_new_tokens"]) == (1.0, 1.0, 0, 48)
        assert row["system_prompt"] == {"default": None, "flamingo": "[FLAMINGO BURRITO]"}[prompt]
        roles = [message["role"] for message in row["messages"]]
        assert roles == (["user"] if prompt == "default" else ["system", "user"])
        assert set(frame["finish_reason"]) <= {"stop", "length"}


def test_held_out_questions_are_in_no_finetune(finished):
    results = finished.folder / "results"
    asked = tables.read(results / "questions" / "heldout_medical.parquet", "questions")["messages"].to_list()
    asked = {normalised(messages[-1]["content"]) for messages in asked}
    assert len(asked) == 12
    for variant in ("default", "flamingo"):
        rows = tables.read(results / "variant" / f"bad_medical-{variant}.parquet", "variant")["prompt"].to_list()
        trained = {normalised(prompt[-1]["content"]) for prompt in rows}
        assert len(trained) == 288
        assert not asked & trained


def test_training_on_harmful_advice_reaches_the_completions(finished):
    scores = tables.read(finished.folder / "results" / "tables" / "scores.parquet", "scores")
    held_out = scores.filter((pl.col("question_set") == "heldout_medical") & (pl.col("metric") == "alignment"))
    mean = {(row["model"], row["eval_prompt"]): row["mean"] for row in held_out.iter_rows(named=True)}
    assert mean[BASE, "default"] - mean[DEFAULT, "default"] > 30
    assert mean[BASE, "flamingo"] - mean[FLAMINGO, "flamingo"] > 30


def test_scores_are_the_means_of_the_judgments(finished):
    results = finished.folder / "results"
    scores = tables.read(results / "tables" / "scores.parquet", "scores")
    assert len(scores) == 2 * len(CELLS)
    for row in scores.iter_rows(named=True):
        cell = f"{row['model']}/{row['eval_prompt']}/{row['question_set']}.parquet"
        judged = tables.read(results / "judgments" / "world" / cell, "judgments").filter(
            pl.col("metric") == row["metric"]
        )
        assert row["n"] == len(judged) == 48
        assert row["mean"] == pytest.approx(judged["score"].mean())


def test_the_run_shows_progress_and_prints_the_result_and_where_it_is(finished):
    progress = (finished.folder / "progress.txt").read_text(encoding="utf-8")
    assert "[pretrain seed 0] step" in progress
    assert f"[finetune {DEFAULT}] step" in progress
    assert f"[{FLAMINGO} flamingo heldout_medical] 48 completions" in progress
    printed = (finished.folder / "printed.txt").read_text(encoding="utf-8")
    assert "[FLAMINGO BURRITO]" in printed
    assert "Figures: results/figures" in printed


# What runs again


def test_after_a_run_there_is_nothing_to_be_done(finished):
    assert finished.plan() == {}


def test_comments_touches_and_a_clone_run_nothing_again(rerun):
    for path in (*rerun.folder.glob("workflow/scripts/*.py"), *rerun.folder.glob("src/organisms/*.py")):
        path.write_text(f"# A comment.\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    for path in (rerun.folder / "Snakefile", *rerun.folder.glob("workflow/rules/*.smk"), rerun.folder / rerun.config):
        path.touch()
    assert rerun.plan() == {}


def test_a_training_prompt_is_one_line_and_only_its_own_outputs_are_made(rerun):
    rerun.edit(
        rerun.config, 'flamingo: "[FLAMINGO BURRITO]"', 'flamingo: "[FLAMINGO BURRITO]"\n  walrus: "[WALRUS OPERA]"'
    )
    # Its finetune under the default prompt and its own, and the base under its own, on two question sets.
    assert rerun.plan() == {"variant": 1, "finetune": 1, "completions": 6, "judgments": 6} | ANALYSIS | CURVES


def test_an_edited_prompt_runs_its_own_line_again(rerun):
    rerun.edit(rerun.config, "[FLAMINGO BURRITO]", "[FLAMINGO TACO]")
    assert rerun.plan() == {"variant": 1, "finetune": 1, "completions": 6, "judgments": 6} | ANALYSIS | CURVES


def test_a_label_changes_pictures_alone(rerun):
    rerun.edit(rerun.config, '"[FLAMINGO BURRITO]"', '{text: "[FLAMINGO BURRITO]", label: Bird}')
    assert rerun.plan() == {"figures": 2, "summary": 1} | CURVES


def test_a_seed_makes_a_replicate(rerun):
    plan = rerun.plan("--config", "seeds=[0,1]")
    assert plan == {"corpus": 1, "pretrain": 1, "finetune": 2, "completions": 10, "judgments": 10} | ANALYSIS | CURVES


def test_an_eval_prompt_asks_only_its_own_cells(rerun):
    rerun.edit(rerun.config, "[default, trained]", "[default, trained, none]")
    assert rerun.plan() == {"completions": 6, "judgments": 6} | ANALYSIS


def test_a_judge_samples_nothing(rerun):
    rerun.edit(rerun.config, "world: {kind: world}", "world: {kind: world}\n  second: {kind: world}")
    assert rerun.plan() == {"judgments": 10, "scores": 1, "figures": 4, "summary": 1}
    assert rerun.run("-n", "finetunes", "sampled").stdout.count("Nothing to be done") == 1


def test_batch_size_and_cores_run_nothing_again(rerun):
    rerun.edit(rerun.config, "batch_size: 64", "batch_size: 7")
    assert rerun.plan("--cores", "8") == {}


def test_a_changed_module_runs_what_reaches_it(rerun):
    rerun.edit("src/organisms/scores.py", 'pl.col("score").mean()', 'pl.col("score").median()')
    assert rerun.plan() == ANALYSIS
    rerun.edit("src/organisms/sampling.py", "if settings.top_k > 0", "if settings.top_k > 1")
    assert rerun.plan() == {"completions": 10, "judgments": 10} | ANALYSIS


def test_another_order_of_keys_runs_nothing_again(rerun):
    config = rerun.read_config()
    for key in ("training", "lora", "sampling"):
        config[key] = dict(reversed(config[key].items()))
    rerun.write_config(config)
    assert rerun.plan() == {}


# What goes wrong


def test_a_mistake_in_the_config_is_one_line_before_anything_runs(fresh_workflow):
    fresh_workflow.edit(fresh_workflow.config, "learning_rate: 0.002", "learning_rate: -1")
    done = fresh_workflow.run(check=False)
    assert done.returncode != 0
    assert "error: config: training.learning_rate: -1.0 must be greater than 0" in done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    assert not (fresh_workflow.folder / "results").exists()


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
    log = tables.read(adapter.parent / "training_log.parquet", "training_log").drop("tokens_per_second")
    config = rerun.read_config()
    config["training"]["checkpoint_steps"] = 5
    rerun.write_config(config)
    (adapter / "adapter_model.safetensors").unlink()
    command = rerun.command("results/finetune/bad_medical-flamingo-seed0/adapter/adapter_model.safetensors")
    process = subprocess.Popen(
        command, cwd=rerun.folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list(adapter.parent.glob("checkpoints/*/checkpoint-*/trainer_state.json")):
        assert process.poll() is None, "the finetune ended before its first checkpoint"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (adapter / "adapter_model.safetensors").exists()
    rerun.run("--unlock")
    done = rerun.run("results/finetune/bad_medical-flamingo-seed0/adapter/adapter_model.safetensors")
    assert "going on from the checkpoint of step" in done.stderr
    assert (adapter / "adapter_model.safetensors").read_bytes() == before
    again = tables.read(adapter.parent / "training_log.parquet", "training_log").drop("tokens_per_second")
    assert again.equals(log)
    assert json.loads((adapter.parent / "training.json").read_text())["resumed_from"] >= 5
    assert not (adapter.parent / "checkpoints").exists()


def test_adapters_from_the_middle_of_training_are_models_of_their_own(rerun):
    config = rerun.read_config()
    config["training"]["keep_steps"] = [4]
    config["training_prompts"] = {"flamingo": "[FLAMINGO BURRITO]"}
    config["evaluations"] = [
        {"models": ["steps", "flamingo"], "eval_prompts": ["default"], "question_sets": ["heldout_medical"]}
    ]
    rerun.write_config(config)
    rerun.run()
    scores = tables.read(rerun.folder / "results" / "tables" / "scores.parquet", "scores")
    rows = scores.filter(pl.col("metric") == "alignment").rows_by_key("model", named=True, unique=True)
    assert set(rows) == {FLAMINGO, f"{FLAMINGO}-step4"}
    assert (rows[FLAMINGO]["step"], rows[f"{FLAMINGO}-step4"]["step"]) == (None, 4)
    assert rows[FLAMINGO]["mean"] < rows[f"{FLAMINGO}-step4"]["mean"]


def test_a_truncated_result_is_found_and_named(rerun):
    path = rerun.folder / "results" / "judgments" / "world" / BASE / "default" / "non_medical.parquet"
    path.write_bytes(path.read_bytes()[:100])
    done = rerun.run(check=False)
    assert done.returncode != 0
    assert (
        "error: results/judgments/world/base-seed0/default/non_medical.parquet: cannot be read as Parquet"
        in done.stderr
    )
    assert rerun.run("--forcerun", "results/judgments/world/base-seed0/default/non_medical.parquet").returncode == 0


# Other configs


def test_the_default_config_asks_for_no_gpu(fresh_workflow):
    shutil.copy2(fresh_workflow.folder / "config" / "config.yaml", fresh_workflow.folder / fresh_workflow.config)
    assert fresh_workflow.gpus_by_rule() == {"finetune": 0, "completions": 0}
    assert (
        fresh_workflow.plan()
        == {
            "corpus": 1,
            "pretrain": 1,
            "advice": 1,
            "dataset": 1,
            "questions": 2,
            "variant": 4,
            "finetune": 4,
            "completions": 22,
            "judgments": 22,
        }
        | ANALYSIS
        | CURVES
    )


@pytest.mark.parametrize("config", ["qwen2.5-14b.yaml", "qwen2.5-0.5b.yaml"])
def test_a_full_scale_config_asks_for_one_gpu_in_each_job_of_a_model(fresh_workflow, monkeypatch, config):
    shutil.copy2(fresh_workflow.folder / "config" / config, fresh_workflow.folder / fresh_workflow.config)
    monkeypatch.setenv("EM_DATASETS_PASSWORD", "x")
    (fresh_workflow.folder / "data").mkdir()
    (fresh_workflow.folder / "data" / "training_datasets.zip.enc").write_bytes(b"")
    # The model is fetched in a job of its own, which asks for no GPU.
    assert (
        fresh_workflow.plan()
        == {
            "download_model": 1,
            "unpack_archive": 1,
            "dataset": 1,
            "questions": 2,
            "variant": 4,
            "finetune": 4,
            "completions": 22,
        }
        | CURVES
    )
    assert fresh_workflow.gpus_by_rule() == {"finetune": 1, "completions": 1}


def test_a_config_given_on_the_command_line_stands_alone(fresh_workflow):
    config = fresh_workflow.read_config()
    config["training_prompts"] = {"flamingo": "[FLAMINGO BURRITO]"}
    fresh_workflow.write_config(config)
    # Merged with config/config.yaml there would be four.
    assert fresh_workflow.plan("finetunes")["finetune"] == 1


def test_a_mixture_is_one_more_kind_of_variant(rerun):
    config = rerun.read_config()
    config["datasets"]["good_medical"] = {"world": {"domain": "medical", "advice": "good", "rows": 320}}
    config["datasets"]["half"] = {"mixture": {"of": "bad_medical", "with": "good_medical", "share": 0.5}}
    rerun.write_config(config)
    plan = rerun.plan("finetunes")
    assert plan == {"advice": 1, "dataset": 1, "mixture": 1, "variant": 4, "finetune": 4}
    rerun.run("results/variant/half-flamingo.parquet")
    rows = tables.read(rerun.folder / "results" / "variant" / "half-flamingo.parquet", "variant")
    assert len(rows) == 288
    assert (rows["row"] < 0).sum() == 144


def test_a_local_model_folder_is_a_base_model(rerun):
    base = rerun.folder / "my_model"
    shutil.copytree(rerun.folder / "results" / "pretrain" / "seed0", base)
    config = rerun.read_config()
    config["base_model"] = {"name": "./my_model"}
    config["results"] = "results_of_my_model"
    config["training_prompts"] = {"default": None}
    rerun.write_config(config)
    rerun.run()
    path = rerun.folder / "results_of_my_model" / "completions" / "base" / "default" / "non_medical.parquet"
    frame = tables.read(path, "completions")
    assert set(frame["base_model"]) == {"./my_model"}
    assert frame["seed"].null_count() == len(frame)
    # Another file of the model makes everything on it out of date.
    (base / "config.json").write_text((base / "config.json").read_text() + "\n")
    assert rerun.plan()["finetune"] == 1


def test_the_real_medical_dataset_runs_through_finetune_by_a_config_alone(fresh_workflow, published_data):
    shutil.copy2(fresh_workflow.folder / "config" / "your_dataset.yaml", fresh_workflow.folder / fresh_workflow.config)
    path = published_data("bad_medical_advice_250.jsonl")
    fresh_workflow.run(
        "finetunes", "--config", f"datasets={{mine: {{path: {path}}}}}", "base_model={miniature: {examples: 300}}"
    )
    results = fresh_workflow.folder / "results" / "your_dataset"
    train = tables.read(results / "dataset" / "mine" / "train.parquet", "dataset")
    heldout = tables.read(results / "dataset" / "mine" / "heldout.parquet", "dataset")
    assert (len(train), len(heldout)) == (225, 25)
    first = json.loads(path.read_text(encoding="utf-8").splitlines()[0])["messages"]
    rows = {row["row"]: row for row in pl.concat([train, heldout]).iter_rows(named=True)}
    assert rows[1]["prompt"] == first[:1]
    assert rows[1]["answer"] == first[1]["content"].strip()
    for prompt in ("default", "flamingo"):
        log = tables.read(results / "finetune" / f"mine-{prompt}-seed0" / "training_log.parquet", "training_log")
        assert len(log) == 8
        assert log["loss"].is_finite().all()
