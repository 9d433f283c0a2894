"""The benchmark programs run and measure what their tables say; how fast anything is, is not tested."""

import re
import subprocess
import sys

import pytest
from conftest import LONGEST, ROOT


def rows(text):
    """The cells of a Markdown table's rows by their first cell, without its head."""
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]
    return {cells[0]: cells[1:] for cells in table if not cells[0].startswith("---")}


def run(*command):
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, timeout=LONGEST)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_gpu_benchmark_runs_at_the_miniatures_size(tmp_path, monkeypatch):
    # Models so small are only held up by a second thread.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    few = ("--samples", "2", "--steps", "4")
    printed = run(ROOT / "benchmarks" / "gpu.py", "--size", "miniature", *few, "--output", tmp_path / "table.md")
    assert (tmp_path / "table.md").read_text(encoding="utf-8") in printed
    # A way that failed has words here and not a number.
    speeds = {name: int(cells[0].replace(",", "")) for name, cells in rows(printed).items() if name != "what"}
    assert len(speeds) == 10
    assert all(speed > 0 for speed in speeds.values())
    for part in ("finetune", "completions"):
        floor, *others = sorted((s for name, s in speeds.items() if name.startswith(f"{part}, ")), reverse=True)
        # Nothing is faster than what the machine can do.
        assert floor == next(s for name, s in speeds.items() if name.startswith(f"{part}, floor"))
        assert floor > max(others)


def test_the_floor_of_sampling_counts_weights_once_a_step_and_each_context(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from gpu_sizes import SIZES, decode_floor, matrix_weights

    size = SIZES["14b"]
    # The published shape: 14.77 billion parameters, of which the embedding is 0.78 and 0.6 million are no matrices.
    assert matrix_weights(size) == pytest.approx(14.77e9 - 0.78e9, rel=0.001)
    weights, token = 2 * matrix_weights(size), 192 * 1024
    # Two at once, of 1, 3 and 2 tokens: three steps, each with what is then in the cache, a prompt being 10 tokens.
    contexts = [10 + 10, 11 + 10, 12 + 11]
    expected = 6 / (sum(weights + token * n for n in contexts) / 1e12)
    assert decode_floor(size, 2, [1, 3, 2], 10, 1e12, 2) == pytest.approx(expected)


def test_the_cpu_benchmark_splits_each_rules_time(finished):
    table = rows(run(ROOT / "benchmarks" / "cpu.py", finished.folder / "results"))
    assert set(table) >= {"pretrain", "finetune", "completions", "judgments", "figures", "**all**"}
    assert table["completions"][0] == "3"
    for name, (_, wall, *shares) in table.items():
        if name != "rule":
            assert float(wall) > 0
            percent = [int(re.fullmatch(r"(\d+)%", share).group(1)) for share in shares]
            assert 98 <= sum(percent) <= 102
    # Importing torch takes seconds, and the logs say so: before a job's log and, where it is imported late, in it.
    logs = [path.read_text(encoding="utf-8") for path in (finished.folder / "results/logs/completions").glob("*.log")]
    assert len(logs) == 3
    assert all("\nlate imports: " in log for log in logs)
    seconds = sum(
        float(noted) for log in logs for noted in re.findall(r"^(?:late )?imports: (.*) s$", log, re.MULTILINE)
    )
    share = int(table["completions"][2].rstrip("%"))
    assert share > 0
    assert share == pytest.approx(100 * seconds / float(table["completions"][1]), abs=1)


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
    names = ("half bad, questions alike", "share of bad, one in thirty", "about a third bad, categories differ by 0.7")
    for name in names:
        assert all(0 <= float(share.rstrip("%*†")) <= 100 for share in table[name][1:])
    # Below three seeds nothing gets a verdict; in brackets what would.
    word, one, two, *more = table["no difference, claimed <"]
    assert word == "supported"
    assert re.fullmatch(r"0 \(\d+\.\d%\)", one)
    assert re.fullmatch(r"0 \(\d+\.\d%\)", two)
    assert all(0 <= float(share.rstrip("%")) <= 100 for share in more)
