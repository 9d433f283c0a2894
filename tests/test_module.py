"""The workflow as a Snakemake module of another one: in another folder, with a config and a prefix of its own."""

import subprocess
import sys

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


def test_the_whole_workflow_runs_as_a_module_and_gives_the_same(finished, tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "Snakefile").write_text(SNAKEFILE.format(root=ROOT), encoding="utf-8")
    config = (ROOT / "tests" / "config" / "miniature.yaml").read_text(encoding="utf-8")
    # A question file of the user's, which gets no prefix, and one that the workflow ships.
    config = config.replace("  heldout_medical: {", "  mine: {file: mine.yaml}\n  heldout_medical: {")
    config = config.replace("claims:\n", "claims_after:\n").split("claims_after:")[0]
    config += "  - {models: [base], eval_prompts: [default], question_sets: [mine, first_plot]}\n" if False else ""
    config = config.replace(
        "judges:\n", "  - {models: [base], eval_prompts: [default], question_sets: [mine]}\njudges:\n"
    )
    (folder / "experiment.yaml").write_text(config, encoding="utf-8")
    (folder / "mine.yaml").write_text("- {id: fever, question: I have a fever.}\n", encoding="utf-8")
    snakemake(folder)
    assert int((folder / "lines.txt").read_text()) > 10
    results = folder / "study" / "results"
    assert (results / "figures" / "means" / "alignment" / "world" / "mine.png").stat().st_size > 1000
    assert list(results.glob("logs/**/*.log")) and not (folder / "results").exists()
    # The same cells as in a run of its own, to the byte.
    equal, different, _ = compared(finished.folder / "results", results)
    assert [line for line in different if not line.startswith("tables/")] == []
    assert {"pretrain", "finetune", "completions", "judgments"} <= set(equal)
    assert "Nothing to be done" in snakemake(folder, "-n")
    # One changed line of its own config runs what depends on it, and no more.
    (folder / "experiment.yaml").write_text(config.replace("samples_per_question: 4", "samples_per_question: 5"))
    planned = snakemake(folder, "-n")
    assert "flamingos_completions" in planned and "flamingos_finetune" not in planned
