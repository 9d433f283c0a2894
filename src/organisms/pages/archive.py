"""A run's results in one ZIP file for a paper's supplement: what was asked, found and used; no weights, no keys."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from organisms.job.errors import UserError
from organisms.job.files import whole_file
from organisms.job.manifest import read_manifest, without_secrets
from organisms.job.why import parameter_changes, some
from organisms.pages.made_with import run_manifest

# Of the archive's files, so that the same results give the same archive; ZIP knows no earlier time.
_TIME = (1980, 1, 1, 0, 0, 0)


def secrets_of(config: dict, environment: Mapping[str, str]) -> dict[str, str]:
    """What must not get into a supplement, by its environment variable: keys of judges, passwords of archives."""
    names = [judge["api_key_env"] for judge in config["judges"].values() if judge.get("api_key_env")]
    archives = [entry["archive"] for entry in config["datasets"].values() if entry["archive"]]
    names += [archive["password_env"] for archive in archives if archive["password_env"]]
    return {name: environment[name] for name in names if environment.get(name)}


def config_changes(noted: dict, today: dict) -> list[str]:
    """In words, what is otherwise in the config of today than in the one that a run noted; wherever results lie."""
    plain = json.loads(json.dumps(without_secrets(today)))
    before, now = ({"config": config | {"results": None}} for config in (noted, plain))
    return parameter_changes(before, now)


def files_to_pack(results: Path, inputs: list[str], manifest: dict) -> dict[str, Path]:
    """By their names in the archive the files of a run: those of the rule, and the manifests of its jobs.

    manifest: of the run. Raises UserError if one is not there or a job has run since, as when a run was broken off.
    """
    then = "run `snakemake` to its end, and then `snakemake archive`"
    jobs = {name: results / "manifests" / f"{name}.json" for name in manifest["jobs"]}
    paths = [*map(Path, inputs), *jobs.values()]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise UserError(f"not there: {some(missing)}; a run was broken off, or it was removed: {then}")
    found = {name: read_manifest(path) for name, path in jobs.items()}
    made = run_manifest({}, found, {})
    others = [name for name in jobs if made["jobs"][name] != manifest["jobs"][name]]
    if others or made["settings"] != manifest["settings"] or "config" not in manifest:
        what = f"{some(others)} ran again" if others else "it was written for other results"
        raise UserError(f"{results}/manifest.json does not say what made the results, for {what}: {then}")
    return {str(path.relative_to(results)): path for path in paths}


def write_supplement(
    files: Mapping[str, Path], said: Mapping[str, dict], secrets: Mapping[str, str], path: str | Path
) -> int:
    """Pack files, and what is `said`, as YAML and without secrets, into a ZIP file. Returns its size in bytes.

    files, said: by their names in the archive. secrets: as `secrets_of` gives them. Raises UserError, with the file and
    the secret's name, if one stands in a file; then nothing is written.
    """
    contents = {name: Path(file).read_bytes() for name, file in files.items()}
    for name, value in said.items():
        contents[name] = yaml.safe_dump(without_secrets(value), sort_keys=False, allow_unicode=True, width=110).encode()
    for name, content in contents.items():
        for source, secret in secrets.items():
            if secret.encode() in content:
                raise UserError(f"{files.get(name, name)} holds the value of {source}; nothing is packed")
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, date_time=_TIME)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, compress_type=zipfile.ZIP_DEFLATED)
    return Path(path).stat().st_size
