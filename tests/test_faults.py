"""Kill -9, a full disk, two runs at once: what was made stays whole, and the next run ends with the same tables."""

import itertools
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from conftest import LONGEST, Workflow, documented_reruns

pytestmark = pytest.mark.faults

# Kinds of job in the order in which they run, two at once where one is not made from the other; and what is killed
# when all of them are in the middle: their processes alone, or Snakemake with everything that it started.
KILLS = (
    (("corpus", "advice"), "jobs"),
    (("pretrain", "dataset"), "all"),
    (("variant", "questions"), "jobs"),
    (("finetune", "completions"), "all"),
    (("judgments", "training_curves"), "all"),
    (("scores", "browser"), "jobs"),
    (("claims", "coherence"), "all"),
    (("figures", "timings"), "jobs"),
    (("summary",), "all"),
    (("overview",), "jobs"),
    (("manifest",), "all"),
)
# A word of the log that says that a job is in the middle; others are when their log has begun.
MIDDLE = {"pretrain": "step", "finetune": "step", "completions": "sample"}
# What a run took, or when and where it was made, is another each time. Hidden files are Snakemake's time stamps, and
# what a killed job was writing.
OWN = re.compile(
    r"^(logs|benchmarks|manifests|kept|overview)/|^manifest\.json|/timings\.|/training(_log)?\.(json|parquet)|\.pdf$|"
    r"(^|/)\."
)


def contents(results: Path) -> dict[str, bytes]:
    """Every file of a results folder that two runs have alike, by its path in it."""
    files = {str(path.relative_to(results)): path for path in results.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not OWN.search(name)}


def assert_same(workflow: Workflow, finished: Workflow) -> None:
    made, expected = (contents(of.folder / "results") for of in (workflow, finished))
    assert sorted(made) == sorted(expected)
    assert [name for name in made if made[name] != expected[name]] == []
    assert len(made) > 60


def jobs_of(rule: str, folder: Path) -> list[int]:
    """Processes that run a script of a rule for the workflow in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
            if f".{rule}.py" in command and (entry / "cwd").resolve() == folder.resolve():
                found.append(int(entry.name))
        except OSError:  # ended meanwhile
            continue
    return found


def holding(workflow: Workflow) -> None:
    """Make each job wait in the middle for as long as there is a file `hold-` and its rule's name.

    A short job would have ended before a busy machine looks at it again. What carries logs is no part of a rule's code.
    """
    held = 'os.path.exists(f"hold-{job.rule}")'
    begun = f"while {held} and job.rule not in {MIDDLE}:\n            time.sleep(0.02)"
    said = f"while {held} and {MIDDLE}.get(job.rule) in line.split():\n            time.sleep(0.02)"
    workflow.edit("src/organisms/job/log.py", "        yield report\n", f"        {begun}\n        yield report\n")
    terminal = '        terminal.write(f"[{name}] {line}\\n")\n'
    workflow.edit("src/organisms/job/log.py", terminal, f"        {said}\n{terminal}")


def start_until(rules: Iterable[str], workflow: Workflow, *arguments: str) -> subprocess.Popen:
    """Snakemake, started, with a job of each of the rules held in the middle of its work (see `holding`)."""
    for rule in rules:
        (workflow.folder / f"hold-{rule}").touch()
    begun = time.time()
    process = workflow.start(*arguments, output=subprocess.PIPE)
    logs = workflow.folder / "results" / "logs"
    for rule in rules:
        while not any(
            log.stat().st_mtime > begun and MIDDLE.get(rule, "") in log.read_text(encoding="utf-8", errors="replace")
            for log in [*logs.glob(f"{rule}/**/*.log"), *logs.glob(f"{rule}.log")]
        ):
            assert process.poll() is None, f"no job of {rule} was under way: {process.communicate()[0][-2000:]}"
            assert time.time() < begun + LONGEST
            time.sleep(0.02)
    return process


def kill_all(process: subprocess.Popen, workflow: Workflow) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    for hold in workflow.folder.glob("hold-*"):
        hold.unlink()


def test_killed_once_in_every_kind_of_job_it_ends_with_the_same_files(finished_small, small_workflow):
    holding(small_workflow)
    # So that training says something before its last step.
    small_workflow.edit("src/organisms/models/progress.py", "every: float = 5.0", "every: float = 0.0")
    assert {rule for rules, _ in KILLS for rule in rules} == set(small_workflow.plan())
    for rules, killed in KILLS:
        # Beside an earlier one that was killed some may have ended already. What is held needs no processor.
        process = start_until(rules, small_workflow, "--cores", "6", "--forcerun", *rules)
        pids = {rule: jobs_of(rule, small_workflow.folder) for rule in rules}
        assert all(pids.values()), pids
        if killed == "all":
            kill_all(process, small_workflow)
        else:
            # Snakemake sees the jobs fail and ends by itself.
            for pid in itertools.chain(*pids.values()):
                os.kill(pid, signal.SIGKILL)
            for rule in rules:
                (small_workflow.folder / f"hold-{rule}").unlink()
            said, _ = process.communicate(timeout=LONGEST)
            assert process.returncode != 0
            assert all(f"Error in rule {rule}:" in said for rule in rules), said[-2000:]
        shutil.rmtree(small_workflow.folder / ".snakemake" / "locks", ignore_errors=True)
    process = small_workflow.start(output=subprocess.PIPE)
    said, _ = process.communicate(timeout=LONGEST)
    assert process.returncode == 0, said[-3000:]
    assert_same(small_workflow, finished_small)
    assert small_workflow.plan() == {}


def test_after_a_kill_of_snakemake_a_run_says_how_to_go_on(finished, fresh_workflow):
    holding(fresh_workflow)
    kill_all(start_until(["corpus"], fresh_workflow), fresh_workflow)
    done = fresh_workflow.run("results/corpus/seed0.jsonl.gz", check=False)
    assert done.returncode != 0
    assert "--unlock" in done.stdout + done.stderr
    fresh_workflow.run("--unlock")
    fresh_workflow.run("results/corpus/seed0.jsonl.gz")
    corpus = "results/corpus/seed0.jsonl.gz"
    assert (fresh_workflow.folder / corpus).read_bytes() == (finished.folder / corpus).read_bytes()


def test_killed_after_a_change_of_the_config_nothing_old_passes_for_new(rerun):
    """The killed job's own results are gone, and those that were made from them before still stand."""
    rerun.edit(rerun.config, "rank: 8", "rank: 16")
    holding(rerun)
    kill_all(start_until(["finetune"], rerun), rerun)
    shutil.rmtree(rerun.folder / ".snakemake")
    assert rerun.plan() == documented_reruns()["the LoRA rank"]


def test_two_runs_at_once_end_in_one_whole_result(finished, rerun):
    shutil.rmtree(rerun.folder / "results" / "judgments")
    shutil.rmtree(rerun.folder / "results" / "tables")
    both = [rerun.start(output=subprocess.PIPE), rerun.start(output=subprocess.PIPE)]
    said = [process.communicate(timeout=LONGEST)[0] for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes, said
    for code, text in zip(codes, said, strict=True):
        assert code == 0 or "locked" in text.lower(), text[-2000:]
    rerun.run()
    assert_same(rerun, finished)
    assert rerun.plan() == {}


def test_a_disk_that_is_full_again_and_again_costs_nothing_that_was_made(finished, fresh_workflow, small_disk):
    # Up to the base model all is there (tests/test_full_disk.py has each kind of output by itself).
    kept = ("corpus", "advice", "pretrain", "dataset")
    made = [*kept, *(f"manifests/{name}" for name in kept)]
    results = fresh_workflow.folder / "results"
    small_disk(results, 4_000)
    for name in made:
        shutil.copytree(finished.folder / "results" / name, results / name)
    used = sum(path.stat().st_size for path in results.rglob("*")) // 1024
    hit: list[str] = []
    # Each time the disk is too small for what comes next.
    for more in (40, 150, 450, 1_200, 7_000, 14_000, 60_000):
        small_disk(results, used + more)
        done = fresh_workflow.run(check=False)
        if done.returncode == 0:
            break
        full = re.findall(r"\[(\w+)[^\]]*\] error: the disk of \S*/results is full; free some space", done.stderr)
        assert full or "No space left on device" in done.stderr, done.stderr[-3000:]
        hit += full
    print(hit)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {"finetune", "completions", "figures"} <= set(hit), hit
    assert_same(fresh_workflow, finished)
    assert fresh_workflow.plan() == {}
