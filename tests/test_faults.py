"""Kill -9, a full disk, two runs at once: what was made stays whole, and the next run ends with the same tables."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import LONGEST, Workflow, documented_reruns

pytestmark = pytest.mark.faults

# In the order in which they run; with a line of the log that says that the job is in the middle, where there is one.
JOBS = {
    **dict.fromkeys(("corpus", "advice"), ""),
    "pretrain": r"step \d+",
    **dict.fromkeys(("dataset", "variant", "questions"), ""),
    "finetune": r"step \d+",
    "completions": "to sample",
    **dict.fromkeys(("judgments", "scores", "claims", "figures", "coherence", "training_curves"), ""),
    **dict.fromkeys(("timings", "browser", "summary", "overview", "manifest"), ""),
}
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
    """Make each job wait, when its log has begun, for as long as there is a file `hold-` and its rule's name.

    A short job would have ended before a busy machine looks at it again. What carries logs is no part of a rule's code.
    """
    wait = 'while os.path.exists(f"hold-{job.rule}"):\n            time.sleep(0.02)'
    workflow.edit("src/organisms/job/log.py", "        yield report\n", f"        {wait}\n        yield report\n")


def wait_for(rule: str, workflow: Workflow, process: subprocess.Popen) -> None:
    """Until a job of the rule is in the middle of its work; ends if the run does."""
    logs = workflow.folder / "results" / "logs"
    begun = time.time()
    while process.poll() is None and time.time() < begun + LONGEST:
        for log in [*logs.glob(f"{rule}/**/*.log"), *logs.glob(f"{rule}.log")]:
            try:
                new = log.stat().st_mtime > begun
                if new and re.search(JOBS[rule], log.read_text(encoding="utf-8", errors="replace")):
                    return
            except OSError:
                continue
        time.sleep(0.01)


def test_killed_once_in_every_kind_of_job_it_ends_with_the_same_files(finished, fresh_workflow):
    holding(fresh_workflow)
    for n, rule in enumerate(JOBS):
        hold = fresh_workflow.folder / f"hold-{rule}"
        if not JOBS[rule]:
            hold.touch()
        # Beside an earlier one that was killed it may have ended already.
        process = fresh_workflow.start("--forcerun", rule, output=subprocess.PIPE)
        alone = n % 2 == 1
        wait_for(rule, fresh_workflow, process)
        if alone:
            # Snakemake sees the job fail and ends by itself.
            for pid in jobs_of(rule, fresh_workflow.folder):
                os.kill(pid, signal.SIGKILL)
        else:
            os.killpg(process.pid, signal.SIGKILL)
        hold.unlink(missing_ok=True)
        said, _ = process.communicate(timeout=LONGEST)
        assert process.returncode != 0, f"no job of {rule} was killed: {said[-2000:]}"
        shutil.rmtree(fresh_workflow.folder / ".snakemake" / "locks", ignore_errors=True)
    process = fresh_workflow.start(output=subprocess.PIPE)
    said, _ = process.communicate(timeout=LONGEST)
    assert process.returncode == 0, said[-3000:]
    assert_same(fresh_workflow, finished)
    assert fresh_workflow.plan() == {}


def test_after_a_kill_of_snakemake_a_run_says_how_to_go_on(finished, fresh_workflow):
    process = fresh_workflow.start(output=subprocess.PIPE)
    wait_for("corpus", fresh_workflow, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
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
    process = rerun.start(output=subprocess.PIPE)
    wait_for("finetune", rerun, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
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
