"""The workflow on a real SLURM cluster of one node with one pretended GPU, started on loopback for the test."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import polars as pl
import pytest
from conftest import LONGEST, ROOT, copy_workflow
from test_faults import assert_same

pytestmark = pytest.mark.slurm
CLUSTER = str(ROOT / "tests" / "slurm_cluster.sh")
SUBMIT = [
    "--profile=profiles/slurm",
    "--jobs=8",
    "--latency-wait=10",
    "--slurm-status-command=squeue",
    # On a cluster with GPUs these come from `device: cuda`.
    "--set-resources",
    "finetune:gpu=1",
    "completions:gpu=1",
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if os.geteuid() != 0 or not all(map(shutil.which, ("slurmctld", "slurmd", "munged"))):
        pytest.skip("SLURM IS NOT TESTED HERE: it needs root and Debian's slurm-wlm and munge")
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([CLUSTER, "up", folder], capture_output=True, text=True, check=False, timeout=60)
    if started.returncode:
        pytest.skip(f"SLURM IS NOT TESTED HERE: the test cluster does not start: {started.stderr[-500:]}")
    yield folder
    subprocess.run([CLUSTER, "down", folder], capture_output=True, check=False, timeout=60)


# Snakemake, looking at its jobs each second. The plugin's own pace would make these tests wait for minutes: it waits
# ten seconds longer after each look that finds no job at its end.
SNAKEMAKE = """
from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
RemoteExecutor.next_seconds_between_status_checks = property(lambda self: 1, lambda self, seconds: None)
main()
"""


def slurm_jobs(folder) -> list[dict]:
    """What SLURM says of the jobs that were started from a folder, in the order of their submission."""
    shown = subprocess.run(["scontrol", "show", "job", "-o"], capture_output=True, text=True, check=True, timeout=30)
    jobs = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in shown.stdout.splitlines()]
    return sorted((job for job in jobs if job.get("WorkDir") == str(folder)), key=lambda job: int(job["JobId"]))


def rule_of(job: dict) -> str:
    return job["Comment"].removeprefix("rule_").split("_wildcards")[0]


def submit(workflow, *arguments):
    """Run the workflow on the cluster as a user would."""
    command = [sys.executable, "-c", SNAKEMAKE, *arguments, "--configfile", workflow.config]
    try:
        return subprocess.run(
            command, cwd=workflow.folder, capture_output=True, text=True, check=False, timeout=LONGEST
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stderr or b"").decode()[-6000:]
        pytest.fail(f"still running after {error.timeout} s\n{said}\n{slurm_jobs(workflow.folder)}")


def whole_miniature(folder, cluster):
    """The tests' miniature, all of it; the controller restarts when the base model is there."""
    workflow = copy_workflow(folder, small=True)
    # As a user would who has one partition with internet; elsewhere judges run where Snakemake does.
    workflow.write_config(workflow.read_config() | {"online_jobs": "cluster"})

    def restart():
        while not list(folder.glob("results/pretrain/*/model.safetensors")):
            time.sleep(0.5)
        subprocess.run([CLUSTER, "controller", cluster], check=True, capture_output=True, timeout=60)
        (folder / "restarted").touch()

    threading.Thread(target=restart, daemon=True).start()
    return workflow, submit(workflow, *SUBMIT, "judgments:slurm_partition=internet")


# Put into a script: what happens in the first attempt of one seed's job, or in each.
ONCE = "import pathlib, time\nif snakemake.wildcards.seed == '{seed}' and not pathlib.Path('{flag}').exists():\n"
FAILS_ONCE = ONCE.format(seed=0, flag="failed") + "    pathlib.Path('failed').touch()\n    1 / 0\n"
HANGS_ONCE = ONCE.format(seed=1, flag="hung") + "    pathlib.Path('hung').touch()\n    time.sleep(3000)\n"
TAKES_MEMORY = "import time\nheld = b'x' * 2_500_000_000\ntime.sleep(8)\ndel held\n"


TROUBLED = ["results/completions/bad_medical-default-seed0", "results/pretrain/seed1/model.safetensors"]


def troubled_miniature(folder):
    """A still smaller one in which every kind of job meets another trouble at first; the base of seed 1 hangs."""
    workflow = copy_workflow(folder, small=True)
    config = workflow.read_config()
    config |= {"seeds": [0, 1], "claims": {}}
    config["base_model"]["miniature"]["examples"] = 400
    config["training_prompts"] = {"default": None}
    config["question_sets"] = {"heldout_medical": {"heldout_of": "bad_medical", "questions": 4}}
    config["evaluations"] = [
        {"models": ["finetuned"], "eval_prompts": ["default"], "question_sets": ["heldout_medical"]}
    ]
    workflow.write_config(config)
    workflow.edit("workflow/rules/common.smk", "64_000 if experiment.on_gpu else 4_000", "2_500")
    for rule, code in (("corpus", FAILS_ONCE), ("pretrain", HANGS_ONCE), ("completions", TAKES_MEMORY)):
        script = folder / "workflow" / "scripts" / f"{rule}.py"
        script.write_text(code + script.read_text(encoding="utf-8"), encoding="utf-8")

    def cancel():
        running: list[str] = []
        while not running:
            time.sleep(0.5)
            jobs = slurm_jobs(folder)
            running = [job["JobId"] for job in jobs if job["JobState"] == "RUNNING" and rule_of(job) == "finetune"]
        subprocess.run(["scancel", running[0]], check=True, timeout=30)

    def time_is_up():
        """Half an hour later, as SLURM has it: the job that hangs is at its limit."""
        while not (folder / "hung").exists():
            time.sleep(0.5)
        (hanging,) = (job for job in slurm_jobs(folder) if job["Comment"] == "rule_pretrain_wildcards_1")
        (folder / "limit").write_text(hanging["TimeLimit"])
        subprocess.run(["scontrol", "update", f"JobId={hanging['JobId']}", "EndTime=now"], check=True, timeout=30)

    threading.Thread(target=cancel, daemon=True).start()
    threading.Thread(target=time_is_up, daemon=True).start()
    return workflow, submit(workflow, *TROUBLED, *SUBMIT)


@pytest.fixture(scope="module")
def runs(cluster, tmp_path_factory):
    """Two experiments on one cluster at once, as two users of it: each a workflow and how its run ended."""
    whole, troubled = (tmp_path_factory.mktemp(name) for name in ("whole", "troubled"))
    with ThreadPoolExecutor(2) as pool:
        both = pool.submit(whole_miniature, whole, cluster), pool.submit(troubled_miniature, troubled)
        return [run.result() for run in both]


def test_the_miniature_on_the_cluster_outlives_its_controller(runs, finished_small):
    workflow, done = runs[0]
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    assert (workflow.folder / "restarted").exists()
    assert_same(workflow, finished_small)
    jobs = slurm_jobs(workflow.folder)
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    partitions = {rule_of(job): job["Partition"] for job in jobs}
    # Jobs of a second run where Snakemake does.
    assert {"pretrain", "finetune", "completions", "judgments", "scores", "figures"} <= set(partitions)
    assert not {"variant", "questions", "claims", "manifest"} & set(partitions)
    assert {rule for rule, partition in partitions.items() if partition == "internet"} == {"judgments"}
    assert workflow.plan() == {}


def test_one_gpu_is_never_given_to_two_jobs_at_once(runs):
    jobs = [job for workflow, _ in runs for job in slurm_jobs(workflow.folder)]
    on_gpu = [job for job in jobs if "gpu" in job.get("TresPerJob", "") + job.get("TresPerNode", "")]
    # Two and one finetunes, three models and one asked; in the second experiment each of them twice.
    assert Counter(map(rule_of, on_gpu)) == {"finetune": 4, "completions": 5}
    spans = sorted((datetime.fromisoformat(job["StartTime"]), datetime.fromisoformat(job["EndTime"])) for job in on_gpu)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def test_what_fails_hangs_takes_too_much_or_is_cancelled_gets_more_and_is_done(runs):
    workflow, done = runs[1]
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    attempts: dict[str, list[tuple]] = {}
    for job in slurm_jobs(workflow.folder):
        name = job["Comment"].removeprefix("rule_").replace("_wildcards", "")
        attempts.setdefault(name, []).append((job["JobState"], job["TimeLimit"], job["MinMemoryNode"]))
    # Twice the time and memory each: of the profile's defaults, and of what the rules of models ask for.
    assert attempts["corpus_0"] == [("FAILED", "00:20:00", "2000M"), ("COMPLETED", "00:40:00", "4000M")]
    assert attempts["corpus_1"] == [("COMPLETED", "00:20:00", "2000M")]
    first, second = ("00:30:00", "2500M"), ("01:00:00", "5000M")
    assert attempts["pretrain_0"] == [("COMPLETED", *first)]
    # Until its time was up it had as much as the other.
    assert (workflow.folder / "limit").read_text() == first[0]
    (ended, shortened, memory), again = attempts["pretrain_1"]
    # To so many minutes as it had run for, which is the machine's affair.
    assert (ended, memory) == ("TIMEOUT", first[1])
    assert shortened < first[0]
    assert again == ("COMPLETED", *second)
    assert attempts["finetune_bad_medical-default_0"] == [("CANCELLED", *first), ("COMPLETED", *second)]
    (killed, *_), again = attempts["completions_bad_medical-default-seed0"]
    assert killed in ("FAILED", "OUT_OF_MEMORY")
    assert again == ("COMPLETED", *second)
    assert len(pl.read_parquet(workflow.folder / "results" / "completions" / "*" / "*" / "*.parquet")) == 16
    assert workflow.plan(*TROUBLED) == {}


def test_a_job_that_fails_for_good_is_named_and_costs_nothing_that_was_made(runs):
    workflow, _ = runs[1]
    workflow.edit(workflow.config, "max_length: 256", "max_length: 16")
    done = submit(workflow, TROUBLED[0], "--retries=0", *SUBMIT)
    assert done.returncode != 0
    assert "Error in rule finetune" in done.stderr
    (log,) = workflow.folder.glob("results/logs/finetune/*.log")
    assert "longer than training.max_length 16" in log.read_text(encoding="utf-8")
    assert not list(workflow.folder.glob("results/finetune/*/adapter/*.safetensors"))
    assert (workflow.folder / "results" / "pretrain" / "seed0" / "model.safetensors").exists()
