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
    """Run the workflow on the cluster as a user would; arguments: targets."""
    command = [part for part in workflow.command(*arguments, *SUBMIT) if part not in ("--cores", "2")]
    try:
        return subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True, check=False, timeout=900)
    except subprocess.TimeoutExpired as error:
        said = (error.stderr or b"").decode()[-6000:]
        pytest.fail(f"still running after {error.timeout} s\n{said}\n{slurm_jobs(workflow.folder)}")


def test_a_run_on_the_cluster_outlives_its_controller_and_shares_the_gpu(cluster, small):
    restarted = threading.Event()

    def restart():
        while not list(small.folder.glob("results/pretrain/*/model.safetensors")):
            time.sleep(0.5)
        subprocess.run([CLUSTER, "controller", cluster], check=True, capture_output=True, timeout=60)
        restarted.set()

    threading.Thread(target=restart, daemon=True).start()
    done = submit(small)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    assert restarted.is_set()
    assert mean_scores(small)["n"].to_list() == [16] * 6
    rules = {job["Comment"].removeprefix("rule_").split("_wildcards")[0] for job in slurm_jobs(small.folder)}
    # Jobs of a second, and those that need the internet, run where Snakemake does.
    assert {"finetune", "completions"} <= rules
    assert not {"variant", "questions"} & rules
    jobs = slurm_jobs(small.folder)
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    on_gpu = [job for job in jobs if "gpu" in job.get("TresPerJob", "") + job.get("TresPerNode", "")]
    assert len(on_gpu) == 4  # two finetunes, two cells
    spans = sorted((datetime.fromisoformat(job["StartTime"]), datetime.fromisoformat(job["EndTime"])) for job in on_gpu)
    # One GPU: the next begins when the one before has ended.
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    assert small.plan() == {}


def test_a_job_that_fails_on_the_cluster_is_named_with_its_reason(cluster, small):
    small.edit(small.config, "max_length: 256", "max_length: 16")
    done = submit(small, "finetunes", "--retries=0")
    assert done.returncode != 0
    logs = list(small.folder.glob("results/logs/finetune/*.log"))
    assert logs
    assert all("longer than training.max_length 16" in log.read_text(encoding="utf-8") for log in logs)
    assert "Error in rule finetune" in done.stderr
    assert not list(small.folder.glob("results/finetune/*/adapter/*.safetensors"))
    assert (small.folder / "results" / "pretrain" / "seed0" / "model.safetensors").exists()
