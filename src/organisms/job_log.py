"""What a job says: everything into its log file, short lines about progress to the terminal as well."""

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from organisms.errors import UserError

# Takes a line about progress.
Report = Callable[[str], None]


@contextlib.contextmanager
def late_imports() -> Iterator[None]:
    """Note in the log how long the imports inside took, for a job that may need them or not."""
    start = time.monotonic()
    yield
    print(f"late imports: {time.monotonic() - start:.2f} s")


@contextlib.contextmanager
def job_log(path: str | Path, name: str) -> Iterator[Report]:
    """Send standard output and error of this process, libraries' included, to a log file.

    The log begins with the seconds since the process started, nearly all of which went into imports.

    name: stands before each line on the terminal. Yields `report`, which writes a line to the log and to the
    terminal. A UserError is shown as one line, any other error as one line that names the log, where the
    traceback is; both end the process with exit status 1.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    terminal = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8")
    log = Path(path).open("w", buffering=1, encoding="utf-8")  # noqa: SIM115 - open until the process ends
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    start = time.monotonic()
    log.write(f"imports: {time.time() - psutil.Process().create_time():.2f} s\n")

    def report(line: str) -> None:
        log.write(f"{line}\n")
        terminal.write(f"[{name}] {line}\n")

    try:
        yield report
        sys.stdout.flush()
        log.write(f"done in {time.monotonic() - start:.1f} s\n")
    except UserError as error:
        report(f"error: {error}")
        sys.exit(1)
    except Exception as error:
        traceback.print_exc()
        message = (str(error).splitlines() or [""])[0]
        terminal.write(f"[{name}] error: {type(error).__name__}: {message} (traceback in {path})\n")
        sys.exit(1)
    finally:
        sys.stderr.flush()
