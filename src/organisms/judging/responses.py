"""An answer of a judge, as transport hands it on and the ledger keeps it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Response:
    """An answer as the server gave it. tier: `live`, `batch` or `local`. prompt_bytes: of the request's text."""

    key: str
    tier: str
    model: str
    text: str
    stop_reason: str | None
    input_tokens: int
    output_tokens: int
    prompt_bytes: int
    request_id: str | None = None
