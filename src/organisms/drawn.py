"""Every completion that was drawn from a model, kept by what decides it.

A completion depends on the model's files, the conversation, the sampling settings and its own random numbers, and on
nothing else (see `sampling`). So one that was drawn is never drawn again: more samples, another question or another
eval prompt draw what is missing, and a killed job goes on where it was.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from organisms.completions import random_key
from organisms.job_log import Report
from organisms.store import open_store

_TABLES = """
CREATE TABLE IF NOT EXISTS drawn (
    key TEXT PRIMARY KEY, completion TEXT, finish_reason TEXT, n_tokens INTEGER
) WITHOUT ROWID;
"""
_DECISIVE = ("messages", "temperature", "top_p", "top_k", "max_new_tokens")


def drawn_key(row: dict, model: str) -> str:
    """The key of a completion. row: planned (`completions.planned_rows`). model: a digest of model, dtype and code."""
    decisive = {key: row[key] for key in _DECISIVE} | {"model": model, "random": random_key(row)}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:32]


class Drawn:
    """The completions of one model in one file; use `open_drawn`."""

    def __init__(self, connection: sqlite3.Connection):
        self._db = connection

    def get(self, key: str) -> dict | None:
        """completion, finish_reason and n_tokens, or None if it was not drawn."""
        row = self._db.execute("SELECT completion, finish_reason, n_tokens FROM drawn WHERE key = ?", (key,)).fetchone()
        return row and dict(zip(("completion", "finish_reason", "n_tokens"), row, strict=True))

    def add(self, completions: Iterable[tuple[str, dict]]) -> None:
        """Keep completions by their keys; on disk when this returns."""
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO drawn VALUES (?, ?, ?, ?)",
                [(key, c["completion"], c["finish_reason"], c["n_tokens"]) for key, c in completions],
            )


@contextmanager
def open_drawn(path: str | Path, report: Report) -> Iterator[Drawn]:
    """The completions at `path`, made if there are none; as `store.open_store`."""
    with open_store(path, _TABLES, report) as connection:
        yield Drawn(connection)
