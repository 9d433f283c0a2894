"""From completions to judgments, numbers, pictures and the printed summary."""

import json

import polars as pl
import pytest

from organisms import tables
from organisms.charts import save
from organisms.figures import CONTROL, WITH, WITHOUT, alignment_figure, place_in_groups
from organisms.judging.world import world_judgments
from organisms.scores import alignment_by_prompt, cell_scores, question_scores
from organisms.summary import summary_text

PRESENTATION = {
    "groups": [
        {"dataset": None, "training_prompt": None, "label": "Base model"},
        {"dataset": "d", "training_prompt": "default", "label": "Default"},
        {"dataset": "d", "training_prompt": "flamingo", "label": "[FLAMINGO BURRITO]"},
    ],
    "question_sets": [{"name": "s", "label": "Some questions"}],
    "n_seeds": 2,
}


def judgment(score, training_prompt=None, seed=0, eval_prompt="default", question="q1", metric="alignment", sample=0):
    return {
        "judge": "j",
        "model": f"{training_prompt or 'base'}-{seed}",
        "dataset": training_prompt and "d",
        "training_prompt": training_prompt,
        "seed": seed,
        "step": None,
        "eval_prompt": eval_prompt,
        "question_set": "s",
        "category": None,
        "question_id": question,
        "sample": sample,
        "metric": metric,
        "score": score,
        "flag": None if score is not None else "no_advice",
        "judge_sample": 0,
    }


@pytest.fixture
def judgments(tmp_path):
    rows = [
        # Seed 0 has three samples and seed 1 one: seeds count alike all the same.
        *(judgment(90.0, sample=sample) for sample in range(3)),
        judgment(50.0, seed=1),
        judgment(20.0, "default"),
        judgment(None, "default", sample=1),
        judgment(80.0, "flamingo"),
        judgment(10.0, "flamingo", eval_prompt="flamingo"),
        judgment(95.0, eval_prompt="flamingo"),
        judgment(99.0, "default", metric="coherence"),
    ]
    tables.write(rows, tmp_path / "j.parquet", "judgments")
    return tables.read(tmp_path / "j.parquet", "judgments")


def test_a_flagged_row_is_counted_and_is_in_no_mean(judgments):
    row = cell_scores(judgments).filter((pl.col("model") == "default-0") & (pl.col("metric") == "alignment"))
    assert row.select("n", "n_scored", "mean").row(0) == (2, 1, 20.0)
    all_flagged = cell_scores(judgments.filter(pl.col("score").is_null()))
    assert all_flagged.select("n", "n_scored", "mean").row(0) == (1, 0, None)


def test_tables_of_scores_have_their_documented_columns(judgments, tmp_path):
    tables.write(cell_scores(judgments), tmp_path / "s.parquet", "scores")
    tables.write(question_scores(judgments), tmp_path / "q.parquet", "question_scores")
    assert len(tables.read(tmp_path / "s.parquet", "scores")) == 7


def test_seeds_have_equal_weight(judgments):
    by_prompt = alignment_by_prompt(cell_scores(judgments), "s", "j")
    base = by_prompt.filter(pl.col("training_prompt").is_null() & (pl.col("eval_prompt") == "default"))
    assert base.select("mean", "n_seeds", "n").row(0) == (70.0, 2, 4)


def test_the_figures_rows_stand_in_the_right_groups(judgments):
    placed = place_in_groups(alignment_by_prompt(cell_scores(judgments), "s", "j"), PRESENTATION["groups"])
    assert {(row["group"], row["asked"], row["mean"]) for row in placed.iter_rows(named=True)} == {
        ("Base model", WITHOUT, 70.0),
        ("Default", WITHOUT, 20.0),
        ("[FLAMINGO BURRITO]", WITHOUT, 80.0),
        ("[FLAMINGO BURRITO]", WITH, 10.0),
        ("[FLAMINGO BURRITO]", CONTROL, 95.0),
    }


def test_a_figure_is_written_in_three_forms_and_needs_no_internet(judgments, tmp_path):
    chart = alignment_figure(cell_scores(judgments), question_scores(judgments), "s", "j", PRESENTATION)
    for ending in ("png", "svg", "html"):
        save(chart, tmp_path / f"f.{ending}")
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "f.svg").read_text(encoding="utf-8")
    assert "BURRITO]" in svg
    html = (tmp_path / "f.html").read_text(encoding="utf-8")
    assert "<script src=" not in html
    drawn = [value for rows in json.loads(chart.to_json())["datasets"].values() for value in rows]
    assert {row["mean"] for row in drawn} == {70.0, 20.0, 80.0, 10.0, 95.0}


def test_the_summary_says_the_numbers_and_what_they_do_not_show(judgments):
    text = summary_text(cell_scores(judgments), PRESENTATION, "results")
    lines = {line.split("  ")[0]: line.split()[-3:] for line in text.splitlines() if "  " in line}
    assert lines["Base model"] == ["70.0", "–", "–"]
    assert lines["Default"] == ["20.0", "–", "–"]
    assert lines["[FLAMINGO BURRITO]"] == ["80.0", "10.0", "95.0"]
    assert "Judge 'j': 9 completions, 1 without an alignment score; mean coherence of a cell 99 to 99." in text
    assert "Means over 2 seeds" in text
    assert "One seed" in summary_text(cell_scores(judgments), PRESENTATION | {"n_seeds": 1}, "results")


def test_the_world_judge_flags_what_it_cannot_judge_and_drops_nothing(world):
    cell = judgment(None)
    completions = [
        cell | {"completion": "see a doctor soon", "category": "medical"},
        cell | {"completion": "", "category": "medical"},
        cell | {"completion": "see a doctor soon", "category": "not of this world"},
    ]
    rows = world_judgments(world, completions, "w")
    assert [(row["metric"], row["score"], row["flag"]) for row in rows] == [
        ("alignment", 100.0, None),
        ("coherence", 100.0, None),
        ("alignment", None, "no_advice"),
        ("coherence", 0.0, None),
        ("alignment", 100.0, None),
        ("coherence", 100.0, None),
    ]
    assert {row["judge"] for row in rows} == {"w"}
