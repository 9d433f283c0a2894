"""The benchmark programs run and measure what their tables say; how fast anything is, is not tested."""

import re
import subprocess
import sys

from conftest import ROOT


def rows(text):
    """The cells of a Markdown table's rows by their first cell, without its head."""
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]
    return {cells[0]: cells[1:] for cells in table if not cells[0].startswith("---")}


def run(*command):
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_gpu_benchmark_runs_at_the_miniatures_size(tmp_path):
    printed = run(ROOT / "benchmarks" / "gpu.py", "--size", "miniature", "--output", tmp_path / "table.md")
    assert (tmp_path / "table.md").read_text(encoding="utf-8") in printed
    speeds = {name: int(cells[0].replace(",", "")) for name, cells in rows(printed).items() if name != "what"}
    assert len(speeds) == 6
    assert all(speed > 0 for speed in speeds.values())
    (finetune_floor,) = [speed for name, speed in speeds.items() if name == "finetune, floor"]
    # Nothing is faster than what the machine can do.
    assert all(speed < finetune_floor for name, speed in speeds.items() if name.startswith("finetune, o"))


def test_the_cpu_benchmark_splits_each_rules_time(finished):
    table = rows(run(ROOT / "benchmarks" / "cpu.py", finished.folder / "results"))
    assert set(table) >= {"pretrain", "finetune", "completions", "judgments", "figures", "**all**"}
    assert table["completions"][0] == "3"
    for name, (_, wall, *shares) in table.items():
        if name != "rule":
            assert float(wall) > 0
            percent = [int(re.fullmatch(r"(\d+)%", share).group(1)) for share in shares]
            assert 98 <= sum(percent) <= 102
    # Importing torch takes seconds, and the logs say so.
    assert int(table["completions"][2].rstrip("%")) > 10


def test_the_benchmark_of_plans_runs_small():
    table = rows(run(ROOT / "benchmarks" / "dag.py", "--prompts", "1", "2"))
    assert int(table["2"][1]) > int(table["1"][1]) > 0
    assert all(float(table[n][2]) > 0 for n in ("1", "2"))


def test_the_judging_benchmark_runs_small():
    printed = run(ROOT / "benchmarks" / "judging.py", "--calls", "100", "--batch", "200", "--latency", "0.05")
    table = rows(printed)
    assert table["live, 64 at once"][0] == "100"
    assert table["batches"][0] == "200"
    assert all(float(table[name][1]) > 0 for name in ("sequential loop", "live, 64 at once", "batches"))


def test_the_analysis_benchmark_runs_small():
    table = rows(run(ROOT / "benchmarks" / "analysis.py", "4", "2"))
    assert float(table["scores"][0]) > 0
    assert float(table["claims: 3 contrasts, 4 diagnoses"][0]) > 0


def test_the_coverage_benchmark_runs_small():
    table = rows(run(ROOT / "benchmarks" / "coverage.py", "10"))
    assert all(0 <= float(share.rstrip("%")) <= 100 for share in table["half bad, questions alike"][1:])
