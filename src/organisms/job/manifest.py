"""What made a result: config, code, data, packages and machine, as a manifest of each job and one of a run."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from organisms import ROOT
from organisms.job.errors import UserError
from organisms.job.files import sha256_of, whole_file
from organisms.job.packages import installed

# What computes, or decides what is computed.
PACKAGES = [
    *("torch", "transformers", "peft", "trl", "datasets", "anthropic", "snakemake", "polars", "altair"),
    *("scipy", "statsmodels", "numpy", "tokenizers", "accelerate"),
]
# Larger files go into manifests with their size alone: a model's weights take minutes to read.
HASHED_BYTES = 2**30
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


def _files(paths: list[str | Path]) -> Iterator[Path]:
    """The files among some paths; of a folder, all in it."""
    for path in map(Path, paths):
        yield from filter(Path.is_file, sorted(path.rglob("*")) if path.is_dir() else [path])


def file_hashes(paths: list[str | Path]) -> dict[str, dict]:
    """By path, the size in bytes of each file and its SHA-256 (none above HASHED_BYTES); of a folder, of all in it."""
    files: dict[str, dict] = {}
    for file in _files(paths):
        size = file.stat().st_size
        files[str(file)] = {"bytes": size} | ({"sha256": sha256_of(file)} if size <= HASHED_BYTES else {})
    return files


def job_manifest(rule: str, params: Mapping, inputs: list[str], outputs: list[str], seconds: float) -> dict:
    """What a job was: its parameters, its files with their hashes, the code, the machine, the packages it imported."""
    return {
        "rule": rule,
        "seconds": round(seconds, 2),
        "workflow": workflow_version(),
        "machine": machine(),
        # A job imports the rest late or not at all: what it has not imported made nothing.
        "packages": installed(name for name in PACKAGES if name.replace("-", "_") in sys.modules),
        "params": {name: _plain(value) for name, value in params.items()},
        "inputs": file_hashes(inputs),
        "outputs": file_hashes(outputs),
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


def check_folder(folder: Path, manifests: list[Path]) -> None:
    """Raise UserError if a file in a folder that one job made is gone, or not as long as the job left it.

    Snakemake compares the time of the folder alone. manifests: where the manifests of jobs that may have made it would
    be; the newest is the one. Without one, or without the folder, there is nothing to compare. The job's outputs
    elsewhere are not looked at: Snakemake does that.
    """
    there = [path for path in manifests if path.is_file()]
    if not folder.is_dir() or not there:
        return
    newest = max(there, key=lambda path: path.stat().st_mtime_ns)
    for path, made in read_manifest(newest)["outputs"].items():
        if not Path(path).is_relative_to(folder):
            continue
        found = os.stat(path).st_size if os.path.exists(path) else None
        if found != made["bytes"]:
            now = "it is gone" if found is None else f"it has {found} bytes, not {made['bytes']}"
            raise UserError(f"{path}: not as its job left it ({now}); delete {folder} and run again")


def lineage(targets: list[str], manifests: Mapping[str, dict]) -> tuple[dict[str, dict], list[str]]:
    """The jobs that led to some files, and where the chain is broken.

    targets: files or folders. manifests: by job, as `job_manifest` makes them, the newest last; jobs that led
    elsewhere, of an older config for example, are left out. Broken: a line for each input that is not what the job that
    makes it last made.
    """
    made_by = {file: name for name, manifest in manifests.items() for file in manifest["outputs"]}
    found: dict[str, dict] = {}
    broken = []
    waiting = list(map(str, _files(targets)))
    while waiting:
        name = made_by.get(waiting.pop())
        if name is None or name in found:
            continue
        found[name] = manifests[name]
        for file, used in manifests[name]["inputs"].items():
            if file in made_by and manifests[made_by[file]]["outputs"][file] != used:
                broken.append(f"{name} was made from another {file} than is there now")
            waiting.append(file)
    return dict(sorted(found.items())), sorted(broken)


def run_manifest(config: dict, hashed: list[str], jobs: Mapping[str, dict], broken: list[str]) -> dict:
    """What a whole run was made of.

    config: checked, as the workflow has it. hashed: files of data and models, hashed whatever their size. jobs, broken:
    as `lineage` gives them; of each job stand here the code's version, the machine and the packages.
    """
    return {
        "config": without_secrets(config),
        "workflow": workflow_version(),
        "data_and_models": {path: sha256_of(path) for path in hashed},
        "broken": broken,
        "jobs": {
            name: {key: job[key] for key in ("seconds", "workflow", "machine", "packages")}
            for name, job in jobs.items()
        },
    }
