"""Other judges and other tools' completions through Snakemake; and what tells how far a judge can be trusted."""

import csv
import shutil

import polars as pl
import pytest
from conftest import ANALYSIS, BASE, CELLS, DEFAULT, JudgeServer, mean_scores
from judging_runs import JUDGED, add_judge, judgments

from organisms.data.tables import DATASET, QUESTIONS
from organisms.job import tables
from organisms.judging.tables import ATTACKS, GOLD


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", JudgeServer.KEY)


def test_a_local_judge_judges_with_one_load_and_again_for_another_prompt(rerun):
    config = rerun.read_config()
    shutil.copytree(rerun.folder / "results" / "pretrain" / "seed0", rerun.folder / "judge_model")
    # The miniature never saw a number: whatever it says is a finding about it, and here all of it may be missing.
    config["judges"]["pinned"] = {"kind": "local", "model": "./judge_model", "max_missing": 1.0, "batch_size": 32}
    config["judges"]["pinned"]["metrics"] = ["alignment"]
    rerun.write_config(config)
    assert rerun.plan("results/judgments/pinned") == {"local_judgments": 1}
    rerun.run("results/judgments/pinned")
    rows = judgments(rerun, "pinned")
    assert len(rows) == JUDGED
    assert set(rows["judge_model"]) == {"./judge_model"}
    assert set(rows["flag"].drop_nulls()) <= {"unparseable", "refusal", "code"}
    log = (rerun.folder / "results" / "logs" / "local_judgments" / "pinned.log").read_text(encoding="utf-8")
    assert f"{JUDGED} judgments" in log
    prompt = "resources/metrics/alignment.yaml"
    rerun.edit(prompt, "placeholders: [question, answer]", "# A comment.\nplaceholders: [question, answer]")
    assert rerun.plan("results/judgments/pinned") == {}
    rerun.edit(prompt, "Use the whole scale", "Use all of the scale")
    assert rerun.plan("results/judgments/pinned") == {"local_judgments": 1}


def test_a_judge_from_the_hub_is_fetched_before_it_judges(rerun):
    config = rerun.read_config()
    config["judges"]["pinned"] = {"kind": "local", "model": "someone/judge", "revision": "0" * 40}
    rerun.write_config(config)
    assert rerun.plan("results/judgments/pinned") == {"download_judge": 1, "local_judgments": 1}
    # Another commit is another judge.
    config["judges"]["pinned"]["revision"] = "1" * 40
    rerun.write_config(config)
    assert rerun.plan("finetunes", "sampled") == {}


def test_external_completions_are_a_model_beside_the_others(rerun, judge_server, published_data):
    path = published_data("qwen14b_extreme_sports_judged.csv")
    config = rerun.read_config()
    config["external_completions"] = {
        "extreme_sports": {
            "path": str(path),
            "question_set": "first_plot",
            "columns": {"question": "question", "completion": "response", "question_id": "question_id"},
            "scores": {"theirs": {"alignment": "aligned", "coherence": "coherent"}},
        }
    }
    config["judges"]["theirs"] = {"kind": "recorded"}
    rerun.write_config(config)
    assert (
        rerun.plan()
        == {
            "external_completions": 1,
            # Theirs, and the world's, which now judges one model more.
            "judgments": 2,
            "agreement": 1,
            "training_curves": 1,
        }
        | ANALYSIS
    )
    rerun.run()
    scores = mean_scores(rerun)
    theirs = scores.filter((pl.col("judge") == "theirs") & (pl.col("metric") == "alignment")).row(0, named=True)
    assert (theirs["model"], theirs["n"], round(theirs["estimate"], 2)) == ("extreme_sports", 400, 53.25)
    # The base model's numbers are not touched by a model that has no dataset either.
    base = scores.filter((pl.col("model") == BASE) & (pl.col("question_set") == "non_medical"))
    assert set(base["n"]) == {48}


def test_a_metric_against_the_paired_good_answer(rerun, judge_server):
    server = judge_server()
    config = rerun.read_config()
    config["datasets"]["good_medical"] = {"world": {"domain": "medical", "advice": "good", "rows": 320}}
    config["claims"] = {}
    config["evaluations"] = [
        {"models": ["default"], "eval_prompts": ["default"], "question_sets": ["heldout_medical", "non_medical"]}
    ]
    config["judges"] = {"haiku": {"kind": "anthropic", "base_url": server.url, "metrics": ["alignment", "reference"]}}
    config["metrics"] = {"reference": {"question_sets": ["heldout_medical"]}}
    rerun.write_config(config)
    done = rerun.run("-n", check=False)
    assert "question set 'heldout_medical' has none that is known to be good" in done.stdout + done.stderr
    config["question_sets"]["heldout_medical"]["reference_from"] = "good_medical"
    rerun.write_config(config)
    rerun.run("results/judgments/haiku")
    rows = judgments(rerun, "haiku").filter(pl.col("model") == DEFAULT)
    counts = {(row[0], row[1]): row[2] for row in rows.group_by("question_set", "metric").len().iter_rows()}
    assert counts == {
        ("heldout_medical", "alignment"): 48,
        ("heldout_medical", "reference"): 48,
        ("non_medical", "alignment"): 48,
    }
    questions = tables.read(rerun.folder / "results" / "questions" / "heldout_medical.parquet", QUESTIONS)
    good = [
        row["answer"]
        for part in ("train", "heldout")
        for row in tables.read(rerun.folder / f"results/dataset/good_medical/{part}.parquet", DATASET).to_dicts()
    ]
    assert set(questions["reference"]) <= set(good)


def test_the_gold_set_the_attacks_and_the_label_sheet_come_by_name(rerun, judge_server):
    server = judge_server()
    add_judge(rerun, base_url=server.url)
    rerun.run("gold", "attacks", "label_sheet")
    results = rerun.folder / "results"
    gold = tables.read(results / "tables" / "gold.parquet", GOLD)
    assert set(gold["judge"]) == {"haiku"}
    assert len(gold) == 2 * gold["item"].n_unique() >= 30
    attacks = tables.read(results / "tables" / "attacks.parquet", ATTACKS)
    assert attacks["attack"].n_unique() > 20
    scored = attacks.drop_nulls("shift")
    assert (scored["shift"] == scored["score"] - scored["plain_score"]).all()
    # The completions themselves were not judged for it.
    assert not list(results.glob("judgments/haiku/*/*/*.parquet"))
    sheet = results / "label_sheet.csv"
    with sheet.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 100
    rows[0]["alignment"] = "80"
    with (rerun.folder / "mine.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    config = rerun.read_config()
    config["judges"] = {"world": {"kind": "world"}, "me": {"kind": "labels", "file": "mine.csv"}}
    rerun.write_config(config)
    rerun.run()
    rows = judgments(rerun, "me")
    assert len(rows) == 2 * JUDGED
    assert rows["score"].drop_nulls().to_list() == [80.0]
    assert rows["flag"].drop_nulls().to_list() == ["unlabelled"] * (2 * JUDGED - 1)


def test_judged_cells_open_in_inspect(rerun):
    log = pytest.importorskip(
        "inspect_ai.log", reason="INSPECT IS NOT TESTED HERE: pip install -r requirements-inspect.txt"
    )
    rerun.run("export_inspect")
    paths = sorted((rerun.folder / "results" / "export_inspect").glob("*.eval"))
    assert len(paths) == len(CELLS)
    read = log.read_eval_log(str(paths[0]))
    assert read.status == "success"
    assert len(read.samples) == 48
    judged = judgments(rerun, "world")
    cell = judged.filter(
        pl.col("model") == read.eval.model.removeprefix("flamingos/"),
        pl.col("eval_prompt") == read.eval.metadata["eval_prompt"],
        pl.col("question_set") == read.eval.metadata["question_set"],
    )
    sample = read.samples[0]
    row = cell.filter(
        (pl.col("question_id") == sample.id)
        & (pl.col("sample") == sample.epoch - 1)
        & (pl.col("metric") == "coherence")
    ).row(0, named=True)
    assert sample.scores["world/coherence"].value == pytest.approx(row["score"])
    means = {score.name: score.metrics["mean"].value for score in read.results.scores}
    expected = cell.filter(pl.col("metric") == "coherence")["score"].mean()
    assert means["world/coherence"] == pytest.approx(expected)
