"""What a change of config, code or inputs runs again: exactly that, planned by Snakemake."""

import hashlib

from conftest import ANALYSIS, CURVES


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
    assert rerun.plan() == {"variant": 1, "finetune": 1, "completions": 6, "judgments": 1} | ANALYSIS | CURVES


def test_an_edited_prompt_runs_its_own_line_again(rerun):
    rerun.edit(rerun.config, "[FLAMINGO BURRITO]", "[FLAMINGO TACO]")
    assert rerun.plan() == {"variant": 1, "finetune": 1, "completions": 6, "judgments": 1} | ANALYSIS | CURVES


def test_a_label_changes_pictures_alone(rerun):
    rerun.edit(rerun.config, '"[FLAMINGO BURRITO]"', '{text: "[FLAMINGO BURRITO]", label: Bird}')
    assert rerun.plan() == {"figures": 2, "summary": 1} | CURVES


def test_a_seed_makes_a_replicate(rerun):
    plan = rerun.plan("--config", "seeds=[0,1]")
    assert plan == {"corpus": 1, "pretrain": 1, "finetune": 2, "completions": 10, "judgments": 1} | ANALYSIS | CURVES


def test_an_eval_prompt_asks_only_its_own_cells(rerun):
    rerun.edit(rerun.config, "[default, trained]", "[default, trained, none]")
    assert rerun.plan() == {"completions": 6, "judgments": 1} | ANALYSIS


def test_a_judge_samples_nothing(rerun):
    rerun.edit(rerun.config, "world: {kind: world}", "world: {kind: world}\n  second: {kind: world}")
    assert rerun.plan() == {"judgments": 1, "scores": 1, "figures": 4, "summary": 1}
    assert rerun.run("-n", "finetunes", "sampled").stdout.count("Nothing to be done") == 1


def test_batch_size_and_cores_run_nothing_again(rerun):
    rerun.edit(rerun.config, "batch_size: 64", "batch_size: 7")
    assert rerun.plan("--cores", "8") == {}


def test_a_changed_module_runs_what_reaches_it(rerun):
    rerun.edit("src/organisms/scores.py", 'pl.col("score").mean()', 'pl.col("score").median()')
    assert rerun.plan() == ANALYSIS
    rerun.edit("src/organisms/sampling.py", "if settings.top_k > 0", "if settings.top_k > 1")
    assert rerun.plan() == {"completions": 10, "judgments": 1} | ANALYSIS


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
