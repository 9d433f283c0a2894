"""A run's results in one ZIP file for a paper's supplement: what was asked, found and used; no weights, no keys."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from organisms.job.errors import UserError
from organisms.job.files import whole_file
from organisms.job.manifest import without_secrets

# Of the archive's files, so that the same results give the same archive; ZIP knows no earlier time.
_TIME = (1980, 1, 1, 0, 0, 0)


def secrets_of(config: dict, environment: Mapping[str, str]) -> dict[str, str]:
    """What must not get into a supplement, by its environment variable: keys of judges, passwords of archives."""
    names = [judge["api_key_env"] for judge in config["judges"].values() if judge.get("api_key_env")]
    archives = [entry["archive"] for entry in config["datasets"].values() if entry["archive"]]
    names += [archive["password_env"] for archive in archives if archive["password_env"]]
    return {name: environment[name] for name in names if environment.get(name)}


def write_supplement(files: Mapping[str, Path], config: dict, secrets: Mapping[str, str], path: str | Path) -> int:
    """Pack files and the config, as config.yaml and without its secrets, into a ZIP file. Returns its size in bytes.

    files: by their names in the archive. secrets: as `secrets_of` gives them. Raises UserError, with the file and the
    secret's name, if one stands in a file; then nothing is written.
    """
    dumped = yaml.safe_dump(without_secrets(config), sort_keys=False, allow_unicode=True, width=110)
    contents = {"config.yaml": dumped.encode()} | {name: Path(file).read_bytes() for name, file in files.items()}
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
