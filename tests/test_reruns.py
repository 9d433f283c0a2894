"""What a change of config, code or inputs runs again: exactly that, planned by Snakemake."""

import hashlib
import re

import polars as pl
from conftest import ANALYSIS, BASE, CELLS, CURVES, DEFAULT, FLAMINGO, PAGES

from organisms import tables


def drawn(workflow) -> dict[str, int]:
    """How many completions the last job of each model drew."""
    counts = {}
    for model in (BASE, DEFAULT, FLAMINGO):
        log = (workflow.folder / "results" / "logs" / "completions" / f"{model}.log").read_text(encoding="utf-8")
        counts[model] = int(re.search(r"(\d+) to draw", log).group(1))
    return counts


def all_completions(workflow) -> pl.DataFrame:
    paths = sorted((workflow.folder / "results" / "completions").glob("*/*/*.parquet"))
    return pl.concat(tables.read(path, "completions") for path in paths)


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
    # Its finetune, and the base, which is asked under it too.
    assert rerun.plan() == {"variant": 1, "finetune": 1, "completions": 2, "judgments": 1} | ANALYSIS | CURVES


def test_an_edited_prompt_runs_its_own_line_again(rerun):
    rerun.edit(rerun.config, "[FLAMINGO BURRITO]", "[FLAMINGO TACO]")
    assert rerun.plan() == {"variant": 1, "finetune": 1, "completions": 2, "judgments": 1} | ANALYSIS | CURVES


def test_a_label_changes_pictures_alone(rerun):
    rerun.edit(rerun.config, '"[FLAMINGO BURRITO]"', '{text: "[FLAMINGO BURRITO]", label: Bird}')
    assert rerun.plan() == PAGES | CURVES


def test_a_seed_makes_a_replicate(rerun):
    plan = rerun.plan("--config", "seeds=[0,1]")
    assert plan == {"corpus": 1, "pretrain": 1, "finetune": 2, "completions": 3, "judgments": 1} | ANALYSIS | CURVES


def test_an_eval_prompt_asks_only_its_own_cells(rerun):
    rerun.edit(rerun.config, "[default, trained]", "[default, trained, none]")
    assert rerun.plan() == {"completions": 3, "judgments": 1} | ANALYSIS


def test_a_colour_a_margin_or_a_threshold_changes_what_it_touches(rerun):
    rerun.edit(rerun.config, '"[FLAMINGO BURRITO]"', '{text: "[FLAMINGO BURRITO]", colour: "#AA00AA"}')
    assert rerun.plan() == PAGES | CURVES
    rerun.edit(rerun.config, '{text: "[FLAMINGO BURRITO]", colour: "#AA00AA"}', '"[FLAMINGO BURRITO]"')
    rerun.edit(rerun.config, "claims:", "margin: 5\nclaims:")
    assert rerun.plan() == {"claims": 1, "summary": 1, "overview": 1}
    rerun.edit(rerun.config, "margin: 5", "thresholds: {mine: {misaligned_below: 20, coherent_from: 60}}")
    assert rerun.plan() == {rule: 1 for rule in ANALYSIS if rule not in ("coherence", "browser")}


def test_a_judge_samples_nothing(rerun):
    rerun.edit(rerun.config, "world: {kind: world}", "world: {kind: world}\n  second: {kind: world}")
    assert rerun.plan() == {"judgments": 1, "agreement": 1} | ANALYSIS
    assert rerun.run("-n", "finetunes", "sampled").stdout.count("Nothing to be done") == 1


def test_batch_size_and_cores_run_nothing_again(rerun):
    rerun.edit(rerun.config, "batch_size: 64", "batch_size: 7")
    assert rerun.plan("--cores", "8") == {}


def test_a_changed_module_runs_what_reaches_it(rerun):
    rerun.edit("src/organisms/charts.py", 'anchor="start", offset=10', 'anchor="start", offset=11')
    assert rerun.plan() == {"figures": 1, "coherence": 1, "timings": 1, "overview": 1} | CURVES
    rerun.edit("src/organisms/scores.py", "value.mean()", "value.median()")
    assert rerun.plan() == {rule: 1 for rule in ANALYSIS if rule != "browser"} | CURVES
    rerun.edit("src/organisms/sampling.py", "if settings.top_k > 0", "if settings.top_k > 1")
    assert rerun.plan() == {"completions": 3, "judgments": 1} | ANALYSIS | CURVES


def test_another_order_of_keys_runs_nothing_again(rerun):
    config = rerun.read_config()
    for key in ("training", "lora", "sampling"):
        config[key] = dict(reversed(config[key].items()))
    rerun.write_config(config)
    assert rerun.plan() == {}


def test_a_checksum_pinned_later_runs_nothing_again_and_is_checked_at_once(rerun):
    path = "results/advice/bad_medical.jsonl"
    config = rerun.read_config()
    config["datasets"]["bad_medical"] = {"path": path}
    rerun.write_config(config)
    before = rerun.plan()
    config["datasets"]["bad_medical"]["sha256"] = hashlib.sha256((rerun.folder / path).read_bytes()).hexdigest()
    rerun.write_config(config)
    assert rerun.plan() == before
    config["datasets"]["bad_medical"]["sha256"] = "0" * 64
    rerun.write_config(config)
    assert "its sha256 is" in rerun.run("-n", check=False).stderr


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
