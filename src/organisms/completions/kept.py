"""Every completion that was sampled from a model, kept by what decides it.

A completion depends on the model's files, the conversation, the sampling settings and its own random numbers, on the
code that samples, and on nothing else (see `models.sampling`). So one that was sampled is never sampled again: more
samples, another question or another eval prompt sample what is missing, and a killed job goes on where it was.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from organisms.completions.rows import random_key
from organisms.job.log import Report
from organisms.job.store import open_store

# The code that samples, for the digest in the keys (`job.code.digest_of_names`): what a completion depends on.
SAMPLES_WITH = (
    "organisms.models.sampling:sample",
    "organisms.models.loading:load_organism",
    "organisms.models.loading:load_tokenizer",
    "organisms.completions.rows:random_key",
)
_TABLES = """
CREATE TABLE IF NOT EXISTS kept (
    key TEXT PRIMARY KEY, completion TEXT, finish_reason TEXT, n_tokens INTEGER
) WITHOUT ROWID;
"""
_DECISIVE = ("messages", "temperature", "top_p", "top_k", "max_new_tokens")


def completion_key(row: dict, model: str) -> str:
    """The key of a completion. row: with its conversation. model: a digest of the model's files, dtype and code."""
    decisive = {key: row[key] for key in _DECISIVE} | {"model": model, "random": random_key(row)}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:32]


class Kept:
    """The completions of one model in one file; use `open_kept`."""

    def __init__(self, connection: sqlite3.Connection):
        self._db = connection

    def get(self, key: str) -> dict | None:
        """completion, finish_reason and n_tokens, or None if it was not sampled."""
        row = self._db.execute("SELECT completion, finish_reason, n_tokens FROM kept WHERE key = ?", (key,)).fetchone()
        return row and dict(zip(("completion", "finish_reason", "n_tokens"), row, strict=True))

    def add(self, completions: Iterable[tuple[str, dict]]) -> None:
        """Keep completions by their keys; on disk when this returns."""
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)",
                [(key, c["completion"], c["finish_reason"], c["n_tokens"]) for key, c in completions],
            )


@contextmanager
def open_kept(path: str | Path, report: Report) -> Iterator[Kept]:
    """The completions at `path`, made if there are none; as `store.open_store`."""
    with open_store(path, _TABLES, report) as connection:
        yield Kept(connection)
