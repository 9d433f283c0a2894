"""Datasets in archives protected with `easy-dataset-share`, as the model-organisms authors publish theirs."""

import os
import tempfile
from pathlib import Path

from organisms.job.errors import UserError


def read_member(archive: str | Path, member: str, password: str | None) -> bytes:
    """The content of one file of an archive, with canaries removed.

    Canary files and canary lines are put into such archives to find out who trained on them; they are no data.
    Nothing else of the archive stays on disk. Raises UserError for a missing or unreadable archive, a wrong password
    or an unknown member.
    """
    # Imported here: the check of a config needs the function below and not the cryptography.
    from easy_dataset_share import canary, zipping

    with tempfile.TemporaryDirectory() as folder:
        try:
            zipping.unzip_and_decrypt(str(archive), password, folder)
        except FileNotFoundError as error:
            raise UserError(f"{archive}: no such archive; check the path in the config") from error
        except Exception as error:  # the library raises plain ValueError and zipfile's errors alike
            raise UserError(f"{archive}: cannot be unpacked; is the password the published one?") from error
        canaries = canary.detect_canary_files(folder)
        texts = {text for text in map(canary.extract_canary_string_from_content, canaries) if text}
        canary.remove_canary_files(folder)
        files = {path.name: path for path in Path(folder).rglob("*") if path.is_file()}
        if member not in files:
            raise UserError(f"{archive}: holds no '{member}'; it holds {', '.join(sorted(files))}")
        for text in texts:
            # Only files that hold it: the library writes every file that it cleans anew.
            if text.encode() in files[member].read_bytes():
                canary.remove_canary_from_file(files[member], text)
        return files[member].read_bytes()


def password_of(settings: dict) -> str | None:
    """The password of `archive` settings: from the config, or from the environment variable that it names."""
    if settings["password_env"] is None:
        return settings["password"]
    if settings["password_env"] not in os.environ:
        variable = settings["password_env"]
        raise UserError(f"the environment variable {variable} is not set; it holds the archive's password")
    return os.environ[settings["password_env"]]
