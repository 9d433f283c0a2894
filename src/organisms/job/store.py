"""SQLite files that keep what was bought or computed, beside Snakemake's outputs: a failed job loses those."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from organisms.job.errors import UserError
from organisms.job.log import Report

# In seconds: as long as a batch of a judge may take.
_LONGEST_WAIT = 24 * 3600


def _connect(path: Path, tables: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=5)
    try:
        # Exclusive, before anything is read: then write-ahead logging needs no shared memory, which network file
        # systems do not have. NORMAL: a commit costs no fsync; it outlives the process, not a power cut.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(tables)
        # Takes the lock now, so that two runs cannot both find the same thing missing and both pay for it.
        connection.execute("BEGIN IMMEDIATE")
        connection.commit()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def open_store(path: str | Path, tables: str, report: Report) -> Iterator[sqlite3.Connection]:
    """The SQLite file at `path`, made if it is not there; while another process has it, it is waited for.

    tables: SQL that makes the tables where they are missing. A committed row outlives kill -9. Raises UserError if the
    file cannot be written or is none of ours.
    """
    path = Path(path)
    begin, said = time.monotonic(), False
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = _connect(path, tables)
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() - begin > _LONGEST_WAIT:
                raise UserError(f"{path}: cannot be opened: {error}") from error
            if not said:
                report(f"waiting for {path}: another job or run is writing it")
                said = True
            time.sleep(1)
        except (sqlite3.DatabaseError, OSError) as error:
            raise UserError(f"{path}: not a file of this workflow ({error}); move it away and run again") from error
    try:
        yield connection
    finally:
        connection.close()
