"""Datasets in archives protected with `easy-dataset-share`, as the model-organisms authors publish theirs."""

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from organisms.job.errors import UserError

# A small file may hold a disk full of zeros. The published archives unpack to some 100 MB.
MOST_BYTES = 2 * 2**30


def _unpacked(archive: Path, password: str | None, folder: Path) -> Path:
    """The folder, in `folder`, of all files of an archive."""
    # Imported here: the check of a config needs a function below and not the cryptography.
    from easy_dataset_share import zipping

    if password is not None:
        encrypted = folder / "archive"
        shutil.copyfile(archive, encrypted)
        zipping.decrypt_file(str(encrypted), password)
        archive = Path(f"{encrypted}.dec")
    with zipfile.ZipFile(archive) as packed:
        # What the archive says of its files is what zipfile reads of them at most.
        size = sum(entry.file_size for entry in packed.infolist())
        if size > MOST_BYTES:
            raise UserError(
                f"its files come to {size / 2**30:.1f} GiB, more than {MOST_BYTES / 2**30:.1f}; if that is meant, "
                "unpack it yourself (easy-dataset-share unprotect-dir) and give the file as `path`"
            )
        packed.extractall(folder / "files")
    return folder / "files"


def _named(member: str, files: list[str]) -> str:
    """The one file that a name or a path means. Raises UserError if it is none, or the name of several."""
    found = [file for file in files if file == member] or [file for file in files if Path(file).name == member]
    if not found:
        raise UserError(f"holds no '{member}'; it holds {', '.join(files)}")
    if len(found) > 1:
        raise UserError(f"holds several '{member}'; give one of the paths {', '.join(found)} as member")
    return found[0]


def read_member(archive: str | Path, member: str, password: str | None) -> bytes:
    """The content of one file of an archive, with canaries removed.

    member: the file's path in the archive, or its name if no other has it. Canary files and canary lines are put into
    such archives to find out who trained on them; they are no data. Nothing else of the archive stays on disk. Raises
    UserError for a missing or unreadable archive, a wrong password, files of more than MOST_BYTES in all, or a member
    that is not there or not the only one of its name.
    """
    from easy_dataset_share import canary

    with tempfile.TemporaryDirectory() as work:
        try:
            folder = _unpacked(Path(archive), password, Path(work))
        except UserError as error:
            raise UserError(f"{archive}: {error}") from error
        except FileNotFoundError as error:
            raise UserError(f"{archive}: no such archive; check the path in the config") from error
        except Exception as error:  # the library raises plain ValueError and zipfile's errors alike
            raise UserError(f"{archive}: cannot be unpacked; is the password the published one?") from error
        canaries = canary.detect_canary_files(str(folder))
        texts = {text for text in map(canary.extract_canary_string_from_content, canaries) if text}
        canary.remove_canary_files(str(folder))
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        try:
            path = folder / _named(member, files)
        except UserError as error:
            raise UserError(f"{archive}: {error}") from error
        for text in texts:
            # Only files that hold it: the library writes every file that it cleans anew.
            if text.encode() in path.read_bytes():
                canary.remove_canary_from_file(path, text)
        return path.read_bytes()


def password_of(settings: dict) -> str | None:
    """The password of `archive` settings: from the config, or from the environment variable that it names."""
    if settings["password_env"] is None:
        return settings["password"]
    if settings["password_env"] not in os.environ:
        variable = settings["password_env"]
        raise UserError(f"the environment variable {variable} is not set; it holds the archive's password")
    return os.environ[settings["password_env"]]
