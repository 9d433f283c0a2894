"""The workflow as a Snakemake module of another one: in another folder, with a config and a prefix of its own."""

import subprocess
import sys

import yaml
from compare_results import compared
from conftest import LONGEST, ROOT

SNAKEFILE = """
configfile: "experiment.yaml"


module flamingos:
    snakefile:
        "{root}/Snakefile"
    config:
        config
    prefix:
        "study"


use rule * from flamingos as flamingos_*


rule mine:
    default_target: True
    input:
        rules.flamingos_all.input,
    output:
        "lines.txt",
    shell:
        "wc -l < study/results/summary.txt > {{output}}"
"""


def snakemake(folder, *arguments):
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=LONGEST)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def test_the_whole_workflow_runs_as_a_module_and_gives_the_same(finished_small, tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "Snakefile").write_text(SNAKEFILE.format(root=ROOT), encoding="utf-8")
    config = finished_small.read_config() | {"claims": {}}
    # A question file of the user's, which gets no prefix.
    config["question_sets"]["mine"] = {"file": "mine.yaml"}
    config["evaluations"].append({"models": ["base"], "eval_prompts": ["default"], "question_sets": ["mine"]})
    (folder / "experiment.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "mine.yaml").write_text("- {id: fever, question: I have a fever.}\n", encoding="utf-8")
    snakemake(folder)
    assert int((folder / "lines.txt").read_text()) > 10
    results = folder / "study" / "results"
    assert (results / "figures" / "means" / "alignment" / "world" / "mine.png").stat().st_size > 1000
    assert list(results.glob("logs/**/*.log")) and not (folder / "results").exists()
    # The same cells as in a run of its own, to the byte.
    equal, different, _ = compared(finished_small.folder / "results", results)
    assert [line for line in different if not line.startswith("tables/")] == []
    assert {"pretrain", "finetune", "completions", "judgments"} <= set(equal)
    assert "Nothing to be done" in snakemake(folder, "-n")
    # One changed line of its own config runs what depends on it, and no more.
    config["sampling"]["samples_per_question"] = 5
    (folder / "experiment.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    planned = snakemake(folder, "-n")
    assert "flamingos_completions" in planned and "flamingos_finetune" not in planned
