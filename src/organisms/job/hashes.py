"""Content of files: what counts of a result or of a user's file, whatever its time of change and wherever it lies."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import yaml

from organisms.job.errors import UserError
from organisms.job.files import sha256_of, whole_file

# Snakemake leaves it in a folder that a job made.
_TIMESTAMP = ".snakemake_timestamp"


def files_in(path: str | Path) -> Iterator[Path]:
    """A file, or of a folder all files in it, sorted; nothing if the path is not there."""
    path = Path(path)
    if path.is_dir():
        yield from (file for file in sorted(path.rglob("*")) if file.is_file() and file.name != _TIMESTAMP)
    elif path.is_file():
        yield path


def meaning_of(path: str | Path) -> str | None:
    """A digest of what a YAML file says, whatever its comments and layout; None if it is none, or broken."""
    if Path(path).suffix not in (".yaml", ".yml"):
        return None
    try:
        said = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return None
    return hashlib.sha256(json.dumps(said, ensure_ascii=True, default=str).encode()).hexdigest()


class Hashes:
    """SHA-256 of files, kept by size and time of change, so that large files are read once.

    The file that keeps them is a cache: without it everything is read again.
    """

    def __init__(self, path: str | Path):
        """path: of the cache; one that is not there or cannot be read is an empty one."""
        self._path = Path(path)
        try:
            self._kept: dict[str, list] = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._kept = {}
        self._changed = False

    def of(self, path: str | Path, read: bool = False) -> dict:
        """`bytes` and `sha256` of a file. read: read it, whatever the cache says."""
        path = str(path)
        status = os.stat(path)
        seen = [status.st_size, status.st_mtime_ns, status.st_ino]
        kept = self._kept.get(os.path.abspath(path))
        if read or kept is None or kept[:3] != seen:
            kept = self._kept[os.path.abspath(path)] = [*seen, sha256_of(path)]
            self._changed = True
        return {"bytes": kept[0], "sha256": kept[3]}

    def save(self) -> None:
        """Keep what was read, if the folder of the cache is there and can be written; otherwise it is read again."""
        if self._changed and self._path.parent.is_dir():
            try:
                with whole_file(self._path) as temporary:
                    temporary.write_text(json.dumps(self._kept), encoding="utf-8")
            except OSError:
                return


def described(path: Path, hashes: Hashes, read: bool = False) -> dict:
    """What a manifest notes of a file: `bytes`, `sha256`, and of YAML its `meaning`.

    read: as `Hashes.of` takes it. Raises UserError if the file cannot be read.
    """
    try:
        found = hashes.of(path, read)
        meaning = meaning_of(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    return found | ({"meaning": meaning} if meaning else {})


def digest_of(text: str, files: list[str | Path], hashes: Hashes) -> str:
    """16 hexadecimal digits that stand for a text and for the names and the content of files."""
    digest = hashlib.sha256(text.encode())
    for path in map(Path, files):
        digest.update(f"\0{path.name}\0{hashes.of(path)['sha256']}".encode())
    return digest.hexdigest()[:16]
