"""Reading JSON that users write."""

import json
from typing import Any

from organisms.job.errors import UserError
from organisms.job.yaml_files import HALF_CHARACTER


class _Twice(ValueError):
    """A key stands twice; the message is the key."""


def _unique(pairs: list[tuple[str, Any]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _Twice(next(key for key in keys if keys.count(key) > 1))
    return found


def read_json(text: str, where: str) -> Any:
    """What a JSON text holds.

    where: file and line, for messages. Raises UserError if it is not JSON, if a key stands twice (Python's own decoder
    keeps the last in silence), or if a text in it holds half a character and could not be written.
    """
    try:
        # Escapes alone can make half a character: the text itself was decoded.
        found = json.loads(text, object_pairs_hook=_unique)
    except _Twice as error:
        raise UserError(f"{where}: the key '{error}' stands twice; remove one") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not JSON ({error.msg}); write one JSON object a line") from error
    if "\\u" in text and HALF_CHARACTER.search(json.dumps(found, ensure_ascii=False)):
        raise UserError(
            f"{where}: holds half a character (\\ud800 to \\udfff without its other half); write the text anew"
        )
    return found
