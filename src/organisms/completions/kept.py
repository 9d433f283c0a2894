"""Every completion that was sampled from a model, kept by what decides it.

A completion depends on the model's files, the conversation, the sampling settings and its own random numbers, on the
code that samples, and on nothing else (see `models.sampling`). So one that was sampled is never sampled again: more
samples, another question or another eval prompt sample what is missing, and a killed job goes on where it was.
"""

import hashlib
import json
import sqlite3
import time
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
CREATE TABLE IF NOT EXISTS took (key TEXT PRIMARY KEY, seconds REAL) WITHOUT ROWID;
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
        self._since, self._new, self._earlier = time.monotonic(), set(), {}

    def get(self, key: str) -> dict | None:
        """completion, finish_reason and n_tokens, or None if it was not sampled."""
        row = self._db.execute(
            "SELECT completion, finish_reason, n_tokens, seconds FROM kept LEFT JOIN took USING (key) WHERE key = ?",
            (key,),
        ).fetchone()
        if row is None:
            return None
        if key not in self._new:
            self._earlier[key] = row[3] or 0.0
        return dict(zip(("completion", "finish_reason", "n_tokens"), row, strict=False))

    def seconds_before(self) -> float:
        """How long earlier jobs took to sample what this one asked for and found, as far as it was noted."""
        return sum(self._earlier.values())

    def add(self, completions: Iterable[tuple[str, dict]]) -> None:
        """Keep completions by their keys, and what they took since the last were kept; on disk when this returns."""
        added, now = list(completions), time.monotonic()
        seconds = (now - self._since) / max(1, len(added))
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)",
                [(key, c["completion"], c["finish_reason"], c["n_tokens"]) for key, c in added],
            )
            self._db.executemany("INSERT OR REPLACE INTO took VALUES (?, ?)", [(key, seconds) for key, _ in added])
        self._since = now
        self._new |= {key for key, _ in added}


@contextmanager
def open_kept(path: str | Path, report: Report) -> Iterator[Kept]:
    """The completions at `path`, made if there are none; as `store.open_store`."""
    with open_store(path, _TABLES, report) as connection:
        yield Kept(connection)
