"""Every answer that a judge ever gave, on disk at once.

An SQLite file outside Snakemake's outputs: Snakemake removes the outputs of a job that failed, and what was bought must
outlive that. A committed row outlives kill -9. One process at a time has the file.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from organisms.job.log import Report
from organisms.job.store import open_store
from organisms.judging.responses import Response, Used

_TABLES = """
CREATE TABLE IF NOT EXISTS responses (
    key TEXT, attempt INTEGER, tier TEXT, model TEXT, text TEXT, stop_reason TEXT, input_tokens INTEGER,
    output_tokens INTEGER, prompt_bytes INTEGER, request_id TEXT, received_at REAL, PRIMARY KEY (key, attempt)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
    name INTEGER PRIMARY KEY, batch_id TEXT UNIQUE, intended_at REAL, state TEXT, requests INTEGER
);
CREATE TABLE IF NOT EXISTS batch_keys (
    name INTEGER, key TEXT, prompt_bytes INTEGER, PRIMARY KEY (name, key)
) WITHOUT ROWID;
"""
# Columns of `responses` that the first ledgers did not have; older answers get what stands here.
_LATER = {
    "server": "TEXT",
    "cache_write_tokens": "INTEGER NOT NULL DEFAULT 0",
    "cache_read_tokens": "INTEGER NOT NULL DEFAULT 0",
}


class Ledger:
    """The answers in one file; use `open_ledger`."""

    def __init__(self, connection: sqlite3.Connection):
        self._db = connection

    def add(self, responses: Iterable[Response], batch: int | None = None) -> None:
        """Write answers down, each as the next attempt at its request; on disk when this returns.

        batch: the name of the batch that they came in; their keys leave its list in the same transaction.
        """
        now = time.time()
        responses = list(responses)
        columns = ("tier", "model", "text", "stop_reason", "input_tokens", "output_tokens", "prompt_bytes")
        columns += ("request_id", *_LATER)
        rows = [(r.key, r.key, *(getattr(r, column) for column in columns), now) for r in responses]
        with self._db:
            self._db.executemany(
                f"INSERT INTO responses (key, attempt, {', '.join(columns)}, received_at) "
                f"SELECT ?, (SELECT count(*) FROM responses WHERE key = ?), {'?, ' * len(columns)}?",
                rows,
            )
            if batch is not None:
                keys = [(batch, r.key) for r in responses]
                self._db.executemany("DELETE FROM batch_keys WHERE name = ? AND key = ?", keys)

    def attempts(self, key: str) -> list[tuple[str, str | None, str, str | None]]:
        """The answers to a request, first to last: text, stop reason, and the model and the server that answered."""
        return self._db.execute(
            "SELECT text, stop_reason, model, server FROM responses WHERE key = ? ORDER BY attempt", (key,)
        ).fetchall()

    def usage(self) -> Iterator[Used]:
        """What every answer took."""
        yield from map(Used._make, self._db.execute(f"SELECT {', '.join(Used._fields)} FROM responses"))

    def tokens_per_byte(self) -> tuple[float, float] | None:
        """Mean and largest number of input tokens per byte of prompt so far; None before 20 answers."""
        n, mean, most = self._db.execute(
            "SELECT count(*), 1.0 * sum(input_tokens) / sum(prompt_bytes), max(1.0 * input_tokens / prompt_bytes) "
            "FROM responses WHERE prompt_bytes > 0 AND input_tokens > 0"
        ).fetchone()
        return (mean, most) if n >= 20 else None

    def mean_output_tokens(self) -> float | None:
        return self._db.execute("SELECT avg(output_tokens) FROM responses").fetchone()[0]

    def intend_batch(self, keys: list[tuple[str, int]]) -> int:
        """Write down that a batch is about to be sent; keys: (key, bytes of its prompt). Gives its name here."""
        with self._db:
            cursor = self._db.execute(
                "INSERT INTO batches (intended_at, state, requests) VALUES (?, 'intended', ?)", (time.time(), len(keys))
            )
            self._db.executemany("INSERT INTO batch_keys VALUES (?, ?, ?)", [(cursor.lastrowid, *key) for key in keys])
        return cursor.lastrowid

    def batch_sent(self, name: int, batch_id: str) -> None:
        """Write down the id that the server gave to a batch."""
        with self._db:
            self._db.execute("UPDATE batches SET batch_id = ?, state = 'sent' WHERE name = ?", (batch_id, name))

    def batch_done(self, name: int, state: str) -> None:
        """state: `fetched`, or `abandoned` if the server does not know it."""
        with self._db:
            self._db.execute("UPDATE batches SET state = ? WHERE name = ?", (state, name))
            self._db.execute("DELETE FROM batch_keys WHERE name = ?", (name,))

    def open_batches(self) -> list[tuple[int, str | None, float, int]]:
        """Name, id (None if only intended), time of intent and size of the batches that are not done."""
        return self._db.execute(
            "SELECT name, batch_id, intended_at, requests FROM batches WHERE state IN ('intended', 'sent')"
        ).fetchall()

    def is_sent(self, name: int) -> bool:
        """Whether the id that the server gave to a batch is known."""
        return self._db.execute("SELECT state FROM batches WHERE name = ?", (name,)).fetchone()[0] == "sent"

    def knows_batch(self, batch_id: str) -> bool:
        return bool(self._db.execute("SELECT 1 FROM batches WHERE batch_id = ?", (batch_id,)).fetchone())

    def batch_keys(self, name: int) -> dict[str, int]:
        """The keys of a batch that is not done, with the bytes of their prompts."""
        return dict(self._db.execute("SELECT key, prompt_bytes FROM batch_keys WHERE name = ?", (name,)))


@contextmanager
def open_ledger(path: str | Path, report: Report = print) -> Iterator[Ledger]:
    """The ledger at `path`, made if it is not there; as `store.open_store`."""
    with open_store(path, _TABLES, report) as connection:
        known = {column[1] for column in connection.execute("PRAGMA table_info(responses)")}
        for column, of_type in _LATER.items():
            if column not in known:
                connection.execute(f"ALTER TABLE responses ADD COLUMN {column} {of_type}")
        yield Ledger(connection)
