"""Plants small defects in the code that computes results, one at a time, and says which of them no fast test notices.

    make mutants                                  # all, on two workers
    make mutants ARGS="--only analysis --workers 1"

The defects stand in tests/mutants.yaml: of each file the tests that look at it, and patches of one place each, with why
what comes out is wrong. Each is planted in a copy of the repository's files. Ends with status 1 if a defect survives
that the list does not excuse (`survives`, with the reason), or if a patch no longer applies.
"""

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import wait
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, copy_workflow
from tabulate import tabulate

LIST = ROOT / "tests" / "mutants.yaml"
# Imported once for all defects, which are then planted in forks: importing takes longer than most tests.
LIBRARIES = ("altair", "datasets", "krippendorff", "peft", "polars", "scipy.stats", "sklearn.metrics", "torch", "trl")
FORK = multiprocessing.get_context("fork")
# In seconds: a defect may well be a loop without an end.
LONGEST = 900


@dataclass(frozen=True)
class Mutant:
    """One defect. tests: the files that look, by name. survives: why none notices, if that is known."""

    file: str
    tests: tuple[str, ...]
    why: str
    old: str
    new: str
    survives: str | None = None

    def planted(self, text: str) -> str | None:
        """The file's text with the defect in it; None if the patch does not apply to exactly one place."""
        return text.replace(self.old, self.new) if text.count(self.old) == 1 else None


def mutants(path: Path = LIST) -> list[Mutant]:
    """The defects of the list, in its order."""
    return [
        Mutant(entry["file"], tuple(entry["tests"]), **patch)
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))
        for patch in entry["patches"]
    ]


def does_not_apply(found: list[Mutant]) -> list[Mutant]:
    """The defects whose patch fits no place of its file, or several."""
    return [one for one in found if one.planted((ROOT / one.file).read_text(encoding="utf-8")) is None]


def run_tests(folder: Path, tests: tuple[str, ...], said: Path) -> None:
    """In a process of its own: fast tests of a copy, until one fails. said: where pytest's output goes."""
    os.chdir(folder)
    with said.open("w", encoding="utf-8") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    # What is of this folder is the copy's from here on; without .pyc files a change within a second is seen.
    sys.path.remove(str(ROOT / "tests"))
    del sys.modules["conftest"]
    sys.dont_write_bytecode = True
    arguments = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-m", "not slow and not slurm and not faults"]
    sys.exit(pytest.main([*arguments, *(f"tests/test_{name}.py" for name in tests)]))


def first_failure(exit_code: int | None, said: Path) -> str | None:
    """The first test that failed; None if all passed. Raises RuntimeError if none could be run."""
    if exit_code == 0:
        return None
    text = said.read_text(encoding="utf-8")
    failed = [line for line in text.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if failed:
        return failed[0].split()[1].removeprefix("tests/")
    if exit_code is None or exit_code < 0:
        return "no end, or a crash"
    raise RuntimeError(text[-2000:])


def copied(folder: Path) -> Path:
    """A copy of what fast tests read."""
    folder.mkdir()
    copy_workflow(folder)
    for name in ("tests", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "pyproject.toml", folder)
    return folder


def plant_all(found: list[Mutant], workers: int) -> dict[Mutant, str | None]:
    """Of each defect the first test that notices it, or None."""
    for name in LIBRARIES:
        import_module(name)
    # Tests that fail anyway would notice everything.
    nothing = Mutant("pyproject.toml", tuple(dict.fromkeys(name for one in found for name in one.tests)), "", "", "")
    noticed: dict[Mutant, str | None] = {}
    waiting, running = [nothing, *found], {}
    with tempfile.TemporaryDirectory() as work:
        free = [copied(Path(work) / str(n)) for n in range(workers)]
        while waiting or running:
            while waiting and free and nothing not in [mutant for mutant, *_ in running.values()]:
                mutant, folder = waiting.pop(0), free.pop()
                if mutant is not nothing:
                    path = folder / mutant.file
                    path.write_text(mutant.planted(path.read_text(encoding="utf-8")), encoding="utf-8")
                process = FORK.Process(target=run_tests, args=(folder, mutant.tests, Path(f"{folder}.txt")))
                process.start()
                running[process] = (mutant, folder, time.monotonic() + LONGEST)
            wait([process.sentinel for process in running], timeout=1)
            for process, (mutant, folder, deadline) in list(running.items()):
                if process.is_alive() and time.monotonic() > deadline:
                    process.kill()
                    process.join()
                if process.is_alive():
                    continue
                del running[process]
                process.join()
                test = first_failure(process.exitcode, Path(f"{folder}.txt"))
                shutil.copy2(ROOT / mutant.file, folder / mutant.file)
                free.append(folder)
                if mutant is not nothing:
                    noticed[mutant] = test
                    print(f"{'caught  ' if test else 'SURVIVES'} {mutant.file}: {mutant.why}", flush=True)
                elif test:
                    sys.exit(f"error: {test} fails without any defect; mend it first")
    return noticed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2, help="defects at once, each a core")
    parser.add_argument("--only", default="", help="files whose path holds this")
    parser.add_argument("--list", type=Path, default=LIST, help="another list of defects")
    arguments = parser.parse_args()
    found = [mutant for mutant in mutants(arguments.list) if arguments.only in mutant.file]
    stale = does_not_apply(found)
    found = [mutant for mutant in found if mutant not in stale]
    # A core for each; and no package of this folder but the copies'.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.pop("PYTHONPATH", None)
    noticed = plant_all(found, arguments.workers)
    files = dict.fromkeys(mutant.file for mutant in found)
    rows = []
    for file in files:
        caught = [noticed[mutant] is not None for mutant in found if mutant.file == file]
        rows.append([file, len(caught), sum(caught), len(caught) - sum(caught)])
    rows.append(["all", *(sum(row[column] for row in rows) for column in (1, 2, 3))])
    print("\n" + tabulate(rows, ["file", "planted", "caught", "survive"]))
    survivors = [mutant for mutant in found if noticed[mutant] is None]
    for mutant in survivors:
        print(f"\nsurvives: {mutant.file}: {mutant.why}\n  - {mutant.old}\n  + {mutant.new}")
        print(f"  {mutant.survives or 'NOT EXCUSED: write a test, or say in tests/mutants.yaml why there is none'}")
    for mutant in found:
        if mutant.survives and noticed[mutant]:
            print(f"\nno longer survives, so needs no excuse: {mutant.file}: {mutant.why} ({noticed[mutant]})")
    for mutant in stale:
        print(f"\ndoes not apply to exactly one place, so change it in tests/mutants.yaml: {mutant.file}: {mutant.why}")
    return int(bool(stale) or any(mutant.survives is None for mutant in survivors))


if __name__ == "__main__":
    sys.exit(main())
