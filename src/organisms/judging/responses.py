"""An answer of a judge, as transport hands it on and the ledger keeps it."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Response:
    """An answer as the server gave it.

    tier: `live`, `batch` or `local`. prompt_bytes: of the request's text. server: its address; None if none was asked.
    cache_write_tokens, cache_read_tokens: those of the input tokens that went into the server's cache, or came from it.
    """

    key: str
    tier: str
    model: str
    text: str
    stop_reason: str | None
    input_tokens: int
    output_tokens: int
    prompt_bytes: int
    request_id: str | None = None
    server: str | None = None
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0


class Used(NamedTuple):
    """What an answer took, named as in `Response`."""

    key: str
    tier: str
    model: str
    server: str | None
    input_tokens: int
    output_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int
