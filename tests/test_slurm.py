"""The workflow on a real SLURM cluster of one node with one pretended GPU, started on loopback for the test."""

import itertools
import os
import re
import shutil
import subprocess
import threading
import time
from datetime import datetime

import pytest
from conftest import ROOT, mean_scores
from test_faults import assert_same

pytestmark = pytest.mark.slurm
CLUSTER = str(ROOT / "tests" / "slurm_cluster.sh")
SUBMIT = [
    "--profile=profiles/slurm",
    "--jobs=8",
    "--latency-wait=10",
    "--slurm-status-command=squeue",
    "--slurm-init-seconds-before-status-checks=2",
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


@pytest.fixture
def small(fresh_workflow):
    """A miniature whose jobs take seconds."""
    config = fresh_workflow.read_config()
    config["base_model"]["miniature"]["examples"] = 400
    config["question_sets"] = {"heldout_medical": {"heldout_of": "bad_medical", "questions": 4}}
    config["claims"] = {}
    config["training_prompts"] = {"default": None}
    config["evaluations"] = [
        {"models": ["finetuned"], "eval_prompts": ["default"], "question_sets": ["heldout_medical"]}
    ]
    fresh_workflow.write_config(config)
    return fresh_workflow


def slurm_jobs(folder) -> list[dict]:
    """What SLURM says of the jobs that were started from a folder."""
    shown = subprocess.run(["scontrol", "show", "job", "-o"], capture_output=True, text=True, check=True, timeout=30)
    jobs = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in shown.stdout.splitlines()]
    return [job for job in jobs if job.get("WorkDir") == str(folder)]


def submit(workflow, *arguments):
    """Run the workflow on the cluster as a user would."""
    command = [part for part in workflow.command(*arguments) if part not in ("--cores", "2")]
    try:
        return subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True, check=False, timeout=900)
    except subprocess.TimeoutExpired as error:
        said = (error.stderr or b"").decode()[-6000:]
        pytest.fail(f"still running after {error.timeout} s\n{said}\n{slurm_jobs(workflow.folder)}")


def rule_of(job: dict) -> str:
    return job["Comment"].removeprefix("rule_").split("_wildcards")[0]


def test_the_miniature_on_the_cluster_outlives_its_controller_and_shares_the_gpu(cluster, finished, fresh_workflow):
    # As a user would who has one partition with internet; elsewhere judges run where Snakemake does.
    fresh_workflow.write_config(fresh_workflow.read_config() | {"online_jobs": "cluster"})
    restarted = threading.Event()

    def restart():
        while not list(fresh_workflow.folder.glob("results/pretrain/*/model.safetensors")):
            time.sleep(0.5)
        subprocess.run([CLUSTER, "controller", cluster], check=True, capture_output=True, timeout=60)
        restarted.set()

    threading.Thread(target=restart, daemon=True).start()
    done = submit(fresh_workflow, *SUBMIT, "judgments:slurm_partition=internet")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    assert restarted.is_set()
    assert_same(fresh_workflow, finished)
    jobs = slurm_jobs(fresh_workflow.folder)
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    partitions = {rule_of(job): job["Partition"] for job in jobs}
    # Jobs of a second run where Snakemake does.
    assert {"pretrain", "finetune", "completions", "judgments", "scores", "figures"} <= set(partitions)
    assert not {"variant", "questions", "claims", "manifest"} & set(partitions)
    assert {rule for rule, partition in partitions.items() if partition == "internet"} == {"judgments"}
    on_gpu = [job for job in jobs if "gpu" in job.get("TresPerJob", "") + job.get("TresPerNode", "")]
    assert [rule_of(job) for job in on_gpu].count("finetune") == 2
    assert [rule_of(job) for job in on_gpu].count("completions") == 3
    spans = sorted((datetime.fromisoformat(job["StartTime"]), datetime.fromisoformat(job["EndTime"])) for job in on_gpu)
    # One GPU: the next begins when the one before has ended.
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    assert fresh_workflow.plan() == {}


# Put into a script: what happens in a job's first attempt, or in each.
FAILS_ONCE = "import pathlib\nif not pathlib.Path('failed').exists():\n    pathlib.Path('failed').touch()\n    1 / 0\n"
HANGS_ONCE = (
    "import pathlib, time\nif not pathlib.Path('hung').exists():\n    pathlib.Path('hung').touch()\n"
    "    time.sleep(600)\n"
)
TAKES_MEMORY = "import time\nheld = b'x' * 2_500_000_000\ntime.sleep(8)\ndel held\n"


def test_what_fails_hangs_takes_too_much_or_is_cancelled_gets_more_and_is_done(cluster, small):
    small.edit("workflow/rules/common.smk", "MODEL_MINUTES = 240 if experiment.on_gpu else 30", "MODEL_MINUTES = 1")
    small.edit("workflow/rules/common.smk", "64_000 if experiment.on_gpu else 4_000", "2_500")
    for rule, code in (("corpus", FAILS_ONCE), ("pretrain", HANGS_ONCE), ("completions", TAKES_MEMORY)):
        script = small.folder / "workflow" / "scripts" / f"{rule}.py"
        script.write_text(code + script.read_text(encoding="utf-8"), encoding="utf-8")
    cancelled = []

    def cancel():
        while not cancelled:
            time.sleep(0.5)
            running = [job for job in slurm_jobs(small.folder) if job["JobState"] == "RUNNING"]
            cancelled.extend(job["JobId"] for job in running if rule_of(job) == "finetune")
        subprocess.run(["scancel", cancelled[0]], check=True, timeout=30)

    threading.Thread(target=cancel, daemon=True).start()
    done = submit(small, *SUBMIT)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    attempts: dict[str, list[tuple]] = {}
    for job in sorted(slurm_jobs(small.folder), key=lambda job: int(job["JobId"])):
        attempts.setdefault(rule_of(job), []).append((job["JobState"], job["TimeLimit"], job["MinMemoryNode"]))
    # Twice the time and memory each: of the profile's defaults, and of what the rules of models ask for.
    assert attempts["corpus"] == [("FAILED", "00:20:00", "2000M"), ("COMPLETED", "00:40:00", "4000M")]
    assert attempts["pretrain"] == [("TIMEOUT", "00:01:00", "2500M"), ("COMPLETED", "00:02:00", "5000M")]
    assert attempts["finetune"] == [("CANCELLED", "00:01:00", "2500M"), ("COMPLETED", "00:02:00", "5000M")]
    (killed, *_), second = attempts["completions"]
    assert killed in ("FAILED", "OUT_OF_MEMORY")
    assert second == ("COMPLETED", "00:02:00", "5000M")
    assert set(mean_scores(small)["n"]) == {16}
    assert small.plan() == {}
    # A job that fails for good is named, with its reason in its log, and costs nothing that was made.
    small.edit(small.config, "max_length: 256", "max_length: 16")
    done = submit(small, "finetunes", "--retries=0", *SUBMIT)
    assert done.returncode != 0
    assert "Error in rule finetune" in done.stderr
    (log,) = small.folder.glob("results/logs/finetune/*.log")
    assert "longer than training.max_length 16" in log.read_text(encoding="utf-8")
    assert not list(small.folder.glob("results/finetune/*/adapter/*.safetensors"))
    assert (small.folder / "results" / "pretrain" / "seed0" / "model.safetensors").exists()
