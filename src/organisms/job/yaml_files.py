"""Reading YAML that users write."""

from pathlib import Path
from typing import Any

import yaml

from organisms.job.errors import UserError


def read_yaml(path: str | Path, what: str) -> Any:
    """What a YAML file holds.

    what: the kind of file, for messages. Raises UserError, with the line if there is one, if the file is not there, is
    not text or is not YAML.
    """
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such {what}; check the path in the config") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: this {what} cannot be read ({error})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not YAML ({getattr(error, 'problem', None) or error})") from error
