"""Reading YAML that users write."""

import re
from pathlib import Path
from typing import Any

import yaml

from organisms.job.errors import UserError

# Halves of characters, from the \u escapes of another encoding; no file can be written with them.
HALF_CHARACTER = re.compile("[\ud800-\udfff]")


class _Refused(yaml.MarkedYAMLError):
    """What YAML allows and a user did not mean. The problem says what and how to mend it."""


class _Loader(yaml.SafeLoader):
    """Refuses what PyYAML passes over in silence: of a key that stands twice it keeps the last."""

    def compose_mapping_node(self, anchor):
        node = super().compose_mapping_node(anchor)
        seen: dict[tuple[str, str], yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            first = seen.setdefault((key.tag, key.value), key)
            if first is not key:
                problem = f"the key '{key.value}' stands twice, first in line {first.start_mark.line + 1}; remove one"
                raise _Refused(problem=problem, problem_mark=key.start_mark)
        return node

    def compose_scalar_node(self, anchor):
        node = super().compose_scalar_node(anchor)
        if HALF_CHARACTER.search(node.value):
            problem = r"holds half a character (\ud800 to \udfff); write the character itself, or \U and 8 digits"
            raise _Refused(problem=problem, problem_mark=node.start_mark)
        return node


def read_yaml(path: str | Path, what: str) -> Any:
    """What a YAML file holds.

    what: the kind of file, for messages. Raises UserError, with the line if there is one, if the file is not there, is
    not text or is not YAML, if a key stands twice, or if a text cannot be written.
    """
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such {what}; check the path in the config") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: this {what} cannot be read ({error})") from error
    except _Refused as error:
        raise UserError(f"{path}, line {error.problem_mark.line + 1}: {error.problem}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not YAML ({getattr(error, 'problem', None) or error})") from error
