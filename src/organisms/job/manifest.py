"""What made a result: config, code, data, packages and machine, as a manifest of each job and one of a run."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from organisms import ROOT
from organisms.job.errors import UserError
from organisms.job.files import sha256_of, whole_file
from organisms.job.hashes import Hashes, described, files_in
from organisms.job.packages import installed

# What computes, or decides what is computed.
PACKAGES = [
    *("torch", "transformers", "peft", "trl", "datasets", "anthropic", "snakemake", "polars", "altair"),
    *("scipy", "statsmodels", "numpy", "tokenizers", "accelerate"),
]
# In manifests it stands for the folder of the results, which may be moved or called otherwise.
RESULTS = "<results>"
# Keys of the config whose values stay out of what is written.
_SECRET = ("password",)


def without_secrets(config):
    """A config without the values of keys that may be secret."""
    if isinstance(config, dict):
        return {
            key: "(not shown)" if key in _SECRET and value is not None else without_secrets(value)
            for key, value in config.items()
        }
    return [without_secrets(value) for value in config] if isinstance(config, list) else config


def _git(*arguments: str) -> str | None:
    try:
        return subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def workflow_version() -> dict:
    """`commit` of the workflow, `dirty` (whether tracked files differ from it), and the lock file's `lock_sha256`.

    The first two are null where git does not know.
    """
    commit = _git("rev-parse", "HEAD")
    status = _git("status", "--porcelain", "--untracked-files=no") if commit else None
    lock = ROOT / "requirements.lock"
    return {
        "commit": commit,
        "dirty": None if status is None else bool(status),
        "lock_sha256": sha256_of(lock) if lock.exists() else None,
    }


def machine() -> dict:
    """Python, system, processors, and the GPU with its driver if this process has asked torch for one."""
    found = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
    }
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda, "driver": _driver()}
    return found


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.splitlines()[0].strip() if done.stdout else None


def in_results(value, results: str):
    """A path, or anything with paths in it, in which RESULTS stands for the folder of the results."""
    if isinstance(value, str):
        return RESULTS + value[len(results) :] if value == results or value.startswith(f"{results}/") else value
    if isinstance(value, dict):
        return {in_results(key, results): in_results(entry, results) for key, entry in value.items()}
    return [in_results(entry, results) for entry in value] if isinstance(value, list) else value


def from_results(path: str, results: str) -> str:
    """Where a path that a manifest has lies now."""
    return results + path[len(RESULTS) :] if path.startswith(f"{RESULTS}/") else path


def hashes_of(results: str | Path) -> Hashes:
    """The cache of the hashes of files, in the folder of the results."""
    return Hashes(Path(results) / "manifests" / ".hashes")


def file_hashes(paths: list[str], results: str, hashes: Hashes) -> dict[str, dict]:
    """By path, `in_results`, what is noted of each file (`hashes.described`); of a folder, of all in it.

    Results are read, so that one which was changed and kept its size and time is noticed when it has been used; files
    of the user's, models of many gigabytes among them, are taken from the cache if it has them.
    """
    found = {}
    for path in paths:
        for file in files_in(path):
            name = in_results(str(file), results)
            found[name] = described(file, hashes, read=name.startswith(RESULTS))
    return found


def noted_params(params: Mapping, results: str) -> dict:
    """Parameters of a job as its manifest has them: those that are JSON are read, paths are `in_results`."""
    plain = {name: _plain(value) for name, value in params.items()}
    return in_results(json.loads(json.dumps(plain, ensure_ascii=False)), results)


def job_manifest(
    rule: str, params: Mapping, inputs: list[str], outputs: list[str], seconds: float, results: str
) -> dict:
    """What a job was: its parameters, its files with their hashes, the code, the machine, the packages it imported."""
    hashes = hashes_of(results)
    return {
        "rule": rule,
        "seconds": round(seconds, 2),
        "workflow": workflow_version(),
        "machine": machine(),
        # A job imports the rest late or not at all: what it has not imported made nothing.
        "packages": installed(name for name in PACKAGES if name.replace("-", "_") in sys.modules),
        "params": noted_params(params, results),
        "inputs": file_hashes(inputs, results, hashes),
        "outputs": file_hashes(outputs, results, hashes),
    }


def _plain(value):
    """A parameter as JSON has it; one that is JSON already is read."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value if isinstance(value, str | int | float | bool | None) else list(value)


def write_manifest(manifest: dict, path: str | Path) -> None:
    """Write a manifest as JSON, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_manifest(path: str | Path) -> dict:
    """A manifest. Raises UserError naming the file if it is damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error}); delete it and run again") from error
