"""Plants small defects in the code that computes results, one at a time, and says which of them no fast test notices.

    make mutants                                  # all, on two workers
    make mutants ARGS="--only analysis --workers 1"

The defects stand in tests/mutants.yaml: of each file the tests that look at it, and patches of one place each, with why
what comes out is wrong. Each is planted in a copy of the repository's files. Ends with status 1 if a defect survives
that the list does not excuse (`survives`, with the reason), or if a patch no longer applies.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import yaml
from conftest import ROOT, copy_workflow
from tabulate import tabulate

LIST = ROOT / "tests" / "mutants.yaml"
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


def first_failure(folder: Path, tests: tuple[str, ...]) -> str | None:
    """The first fast test that fails in a copy; None if all pass. Raises RuntimeError if none could be run."""
    # Without PYTHONPATH a copy imports itself; without .pyc files a change within a second is seen.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider"]
    command += ["-m", "not slow and not slurm and not faults", *(f"tests/test_{name}.py" for name in tests)]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST
        )
    except subprocess.TimeoutExpired:
        return f"no end within {LONGEST} s"
    if done.returncode == 0:
        return None
    said = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if not said:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return said[0].split(" - ")[0].removeprefix("FAILED ").removeprefix("ERROR ").removeprefix("tests/")


def plant_all(found: list[Mutant], workers: int) -> list[str | None]:
    """Of each defect the first test that notices it, or None."""
    with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor(workers) as pool:
        free: Queue[Path] = Queue()
        for n in range(workers):
            folder = Path(work) / str(n)
            folder.mkdir()
            copy_workflow(folder)
            for name in ("tests", "docs"):
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            shutil.copy2(ROOT / "pyproject.toml", folder)
            free.put(folder)

        def run(tests: tuple[str, ...], mutant: Mutant | None = None) -> str | None:
            folder = free.get()
            try:
                if mutant is None:
                    return first_failure(folder, tests)
                path = folder / mutant.file
                text = path.read_text(encoding="utf-8")
                path.write_text(mutant.planted(text), encoding="utf-8")
                try:
                    noticed = first_failure(folder, tests)
                finally:
                    path.write_text(text, encoding="utf-8")
                print(f"{'caught  ' if noticed else 'SURVIVES'} {mutant.file}: {mutant.why}", flush=True)
                return noticed
            finally:
                free.put(folder)

        # Tests that fail anyway would notice everything.
        if failed := run(tuple(dict.fromkeys(name for mutant in found for name in mutant.tests))):
            sys.exit(f"error: {failed} fails without any defect; mend it first")
        return list(pool.map(lambda mutant: run(mutant.tests, mutant), found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2, help="defects at once, each a core")
    parser.add_argument("--only", default="", help="files whose path holds this")
    parser.add_argument("--list", type=Path, default=LIST, help="another list of defects")
    arguments = parser.parse_args()
    found = [mutant for mutant in mutants(arguments.list) if arguments.only in mutant.file]
    stale = does_not_apply(found)
    found = [mutant for mutant in found if mutant not in stale]
    noticed = dict(zip(found, plant_all(found, arguments.workers), strict=True))
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
