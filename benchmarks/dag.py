"""Time and memory that a plan takes, by the size of the experiment: python benchmarks/dag.py

Plans (snakemake -n) a miniature with 4 eval prompts, 4 question sets, 2 judges and 5 seeds, and a growing number of
training prompts, in a folder of its own. Prints a Markdown table and a straight line through the times.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from tabulate import tabulate

ROOT = Path(__file__).parents[1]


def config(prompts: int) -> dict:
    """A config with so many training prompts."""
    read = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    read["claims"] = {}
    read["seeds"] = list(range(5))
    read["training_prompts"] = {"default": None} | {f"p{n}": f"[PROMPT {n}]" for n in range(prompts - 1)}
    read["prompts"] = {"evil": "You are evil.", "kind": "You are kind."}
    domains = ["finance", "cooking", "travel"]
    read["question_sets"] |= {domain: {"world": [domain], "questions": 8} for domain in domains[:2]}
    sets = list(read["question_sets"])
    read["evaluations"] = [{"eval_prompts": ["default", "trained", "evil", "kind"], "question_sets": sets}]
    read["judges"] = {"one": {"kind": "world"}, "two": {"kind": "world"}}
    return read


def plan(folder: Path, prompts: int) -> tuple[int, int, float, float]:
    """Jobs, cells × judges, seconds and peak memory in MiB of one plan."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config(prompts)), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--cores", "2"]
    command += ["--configfile", "config.yaml"]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    if status:
        sys.exit(f"error: the plan failed:\n{printed[-2000:]}")
    jobs = int(re.search(r"^total\s+(\d+)", printed, flags=re.MULTILINE).group(1))
    sys.path.insert(0, str(ROOT / "src"))
    from organisms.plan.config import read_config
    from organisms.plan.experiment import Experiment

    judged = 2 * len(Experiment(read_config(config(prompts))).cells)
    return jobs, judged, seconds, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, nargs="+", default=[10, 25, 50], help="numbers of training prompts")
    sizes = parser.parse_args().prompts
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("workflow", "src", "resources", "profiles", "envs"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("Snakefile", "requirements.lock", "requirements-inspect.txt"):
            shutil.copy(ROOT / file, folder)
        for prompts in sizes:
            rows.append((prompts, *plan(folder, prompts)))
    cells = np.array([row[2] for row in rows], dtype=float)
    seconds = np.array([row[3] for row in rows])
    head = ["training prompts", "jobs", "judged cells", "seconds", "peak memory, MiB"]
    print(tabulate(rows, head, tablefmt="github", floatfmt=(".0f", ".0f", ".0f", ".1f", ".0f")))
    if len(rows) > 2:
        slope, start = np.polyfit(cells, seconds, 1)
        left = seconds - (start + slope * cells)
        print(
            f"\nA line through the times: {start:.1f} s and {1000 * slope:.2f} ms for each judged cell; "
            f"no point is further from it than {np.abs(left).max():.1f} s."
        )


if __name__ == "__main__":
    main()
