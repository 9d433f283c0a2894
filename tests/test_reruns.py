"""What a change of config, code or inputs runs again: exactly what docs/reruns.md says."""

import hashlib
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
from conftest import ANALYSIS, BASE, CELLS, DEFAULT, FLAMINGO, LONGEST, PAGES, ROOT, Workflow, documented_reruns
from rerun_changes import CHANGES, altair, lora_rank, prompt_edited, scoring, upgrade

from organisms.completions.tables import COMPLETIONS
from organisms.job import tables


def drawn(workflow) -> dict[str, int]:
    """How many completions the last job of each model drew."""
    counts = {}
    for model in (BASE, DEFAULT, FLAMINGO):
        log = (workflow.folder / "results" / "logs" / "completions" / f"{model}.log").read_text(encoding="utf-8")
        counts[model] = int(re.search(r"(\d+) to sample", log).group(1))
    return counts


def all_completions(workflow) -> pl.DataFrame:
    paths = sorted((workflow.folder / "results" / "completions").glob("*/*/*.parquet"))
    return pl.concat(tables.read(path, COMPLETIONS) for path in paths)


TABLE = documented_reruns()


def test_every_row_of_the_table_is_tested():
    assert list(TABLE) == list(CHANGES)
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py"))
    assert all(f"def {change}(" in tests for change in CHANGES.values() if isinstance(change, str))


def test_the_documented_groups_are_the_tested_ones():
    text = " ".join((ROOT / "docs" / "reruns.md").read_text(encoding="utf-8").split())
    pages, results = re.search(r"\*pages\* are (.*?); \*results\* are (.*?) and \*pages\*", text).groups()
    assert set(re.findall(r"`(\w+)`", pages)) == set(PAGES)
    assert set(re.findall(r"`(\w+)`", results)) == set(ANALYSIS) - set(PAGES)


PLANNED = [row for row in CHANGES if callable(CHANGES[row])]


@pytest.fixture(scope="module")
def plans(finished, tmp_path_factory):
    """The plan after each change, each made in a copy of its own; two at a time."""

    def plan(change):
        folder = tmp_path_factory.mktemp("changed")
        workflow = Workflow(folder / "copy")
        shutil.copytree(finished.folder, workflow.folder)
        arguments = CHANGES[change](workflow) or []
        planned = workflow.plan(*arguments)
        shutil.rmtree(folder)
        return planned

    with ThreadPoolExecutor(2) as pool:
        return {change: pool.submit(plan, change) for change in PLANNED}


@pytest.mark.parametrize("change", PLANNED)
def test_a_change_plans_exactly_its_jobs(plans, change):
    assert plans[change].result() == TABLE[change]


def test_a_dataset_file_counts_by_its_content(rerun):
    path = rerun.folder / "mine.jsonl"
    shutil.copy(rerun.folder / "results" / "advice" / "bad_medical.jsonl", path)
    config = rerun.read_config()

    def use(**entry):
        rerun.write_config(config | {"datasets": {"bad_medical": {"path": "mine.jsonl"} | entry}})
        return rerun.plan("finetunes")

    use()
    rerun.run("finetunes")
    path.touch()
    assert use() == TABLE["a dataset file touched"]
    (rerun.folder / "elsewhere").mkdir()
    shutil.copy(path, rerun.folder / "elsewhere" / "renamed.jsonl")
    assert use(path="elsewhere/renamed.jsonl") == TABLE["a dataset file moved"]
    pinned = hashlib.sha256(path.read_bytes()).hexdigest()
    assert use(sha256=pinned) == TABLE["a checksum pinned for a dataset"]
    rerun.write_config(config | {"datasets": {"bad_medical": {"path": "mine.jsonl", "sha256": "0" * 64}}})
    assert "its sha256 is" in rerun.run("-n", check=False).stderr
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    assert use() == TABLE["a dataset file edited"]


def why(workflow, *arguments) -> list[str]:
    """The lines of workflow/why.py."""
    command = [sys.executable, "workflow/why.py", *arguments, "--configfile", workflow.config]
    done = subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True, check=False, timeout=LONGEST)
    return (done.stdout + done.stderr).splitlines()


def test_why_says_in_one_line_per_job_why_it_would_run(rerun):
    assert why(rerun) == ["nothing to be done"]
    lora_rank(rerun)
    prompt_edited(rerun)
    upgrade(rerun, "vl-convert-python")
    lines = why(rerun)
    assert len(lines) == sum(rerun.plan().values())
    assert lines[0] == 'variant bad_medical flamingo: text "[FLAMINGO BURRITO]" → "[FLAMINGO TACO]"'
    assert "finetune bad_medical-default 0: lora.rank 8 → 16" in lines
    assert f"completions {DEFAULT}: after finetune bad_medical-default 0" in lines
    (base,) = (line for line in lines if line.startswith(f"completions {BASE}: "))
    assert "FLAMINGO BURRITO" in base and "TACO" in base
    assert why(rerun, "results/corpus/seed0.jsonl.gz", "sampled")[0].startswith("variant")
    rerun.edit(rerun.config, "rank: 16", "rank: -1")
    assert why(rerun)[-1] == "error: config: lora.rank: -1 must be at least 1"


def test_why_sees_code_and_packages(rerun):
    scoring(rerun)
    altair(rerun)
    assert {"scores: its code changed", "training_curves: altair 6.3.0 → 99.0"} <= set(why(rerun))


def test_a_figure_of_a_question_set_that_is_gone_goes_too(rerun):
    figures = rerun.folder / "results" / "figures"
    before = sorted(figures.rglob("*.png"))
    gone = [figures / f"{name}/alignment/world/gone.png" for name in ("means", "coherence")]
    # As a run with two judges leaves them.
    gone += [figures / "agreement.png", figures.parent / "tables" / "rankings.parquet"]
    for path in gone:
        path.touch()
    rerun.edit(rerun.config, "travel], questions: 12}", "travel], questions: 12, label: Others}")
    rerun.run()
    assert sorted(figures.rglob("*.png")) == before
    assert not any(path.exists() for path in gone)


def test_a_terminal_that_knows_ascii_alone_gets_the_summary_too(rerun, monkeypatch):
    rerun.edit(rerun.config, "travel], questions: 12}", "travel], questions: 12, label: Où – quoi}")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = rerun.run("results/summary.txt")
    assert "O? ? quoi" in done.stdout
    assert "Où – quoi" in (rerun.folder / "results" / "summary.txt").read_text(encoding="utf-8")
    assert "Error" not in done.stderr


def test_more_samples_draw_only_those_and_leave_the_others_as_they_were(rerun):
    before = all_completions(rerun)
    assert len(before) == 48 * len(CELLS)
    rerun.edit(rerun.config, "samples_per_question: 4", "samples_per_question: 5")
    rerun.run("sampled")
    after = all_completions(rerun)
    assert len(after) == 60 * len(CELLS)
    assert after.filter(pl.col("sample") < 4).equals(before)
    assert drawn(rerun) == {BASE: 4 * 12, DEFAULT: 2 * 12, FLAMINGO: 4 * 12}
    # Fewer again: nothing to draw at all, and no row too many.
    rerun.edit(rerun.config, "samples_per_question: 5", "samples_per_question: 4")
    rerun.run("sampled")
    assert all_completions(rerun).equals(before)
    assert set(drawn(rerun).values()) == {0}
    log = rerun.folder / "results" / "logs" / "completions" / f"{BASE}.log"
    assert "loading:" not in log.read_text(encoding="utf-8")


def test_an_eval_prompt_draws_its_own_cells_and_a_prompt_that_is_gone_leaves_no_file(rerun):
    before = all_completions(rerun)
    rerun.write_config(rerun.read_config() | {"claims": {}})
    rerun.edit(rerun.config, "- default\n  - trained\n", "- default\n  - trained\n  - none\n")
    rerun.run("sampled")
    after = all_completions(rerun)
    assert after.filter(pl.col("eval_prompt") != "none").equals(before)
    assert drawn(rerun) == dict.fromkeys((BASE, DEFAULT, FLAMINGO), 96)
    rerun.edit(rerun.config, "- default\n  - trained\n  - none\n", "- default\n")
    rerun.run("sampled")
    assert set(all_completions(rerun)["eval_prompt"]) == {"default"}


def test_a_question_added_reordered_or_edited_draws_itself(rerun):
    questions = [{"id": f"q{n}", "question": f"I have question {n}. What should I do?"} for n in range(3)]

    def ask(*entries) -> pl.DataFrame:
        lines = [f'- {{id: {entry["id"]}, question: "{entry["question"]}"}}\n' for entry in entries]
        (rerun.folder / "mine.yaml").write_text("".join(lines), encoding="utf-8")
        assert {rule: rerun.plan()[rule] for rule in ("questions", "completions", "judgments")} == {
            "questions": 1,
            "completions": 1,
            "judgments": 1,
        }
        rerun.run("sampled")
        return all_completions(rerun).filter(pl.col("model") == BASE)

    config = rerun.read_config()
    config["question_sets"]["mine"] = {"file": "mine.yaml"}
    config["claims"] = {}
    config["evaluations"] = [{"models": ["base"], "eval_prompts": ["default"], "question_sets": ["mine"]}]
    rerun.write_config(config)
    first = ask(*questions[:2])
    assert drawn(rerun)[BASE] == 8
    again = ask(questions[2], *questions[:2])
    assert drawn(rerun)[BASE] == 4
    assert again.filter(pl.col("question_id") != "q2").equals(first)
    ask(questions[0] | {"question": "Another question."}, *questions[1:])
    assert drawn(rerun)[BASE] == 4
