"""What a job says: everything into its log file, progress to the terminal as well, and last what it was made of."""

import contextlib
import errno
import os
import re
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from organisms.job.errors import UserError
from organisms.job.manifest import job_manifest, write_manifest

# Takes a line about progress.
Report = Callable[[str], None]
# What a terminal obeys and does not show: control characters, and marks that turn the direction of a line. Halves of
# characters cannot even be written.
_OBEYED = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(line: str) -> str:
    """A line for the terminal, whoever wrote it: what a terminal would obey is written out, an escape as `\\x1b`."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), line)


@contextlib.contextmanager
def late_imports() -> Iterator[None]:
    """Note in the log how long the imports inside took, for a job that may need them or not."""
    start = time.monotonic()
    yield
    print(f"late imports: {time.monotonic() - start:.2f} s")


@contextlib.contextmanager
def job_log(job: Any, name: str, also: Mapping | None = None) -> Iterator[Report]:
    """Send standard output and error of this process, libraries' included, to a log file.

    The log begins with the seconds since the process started, nearly all of which went into imports. A job that ends
    well and has outputs leaves a manifest (`manifest.job_manifest`) in the results' folder `manifests`, at its log's
    place in `logs`.

    job: what a script knows of its job: `log`, `config`, `rule`, `params`, `input`, `output`. name: stands before each
    line on the terminal. also: what its manifest is to say beside, as it is when the job has ended. Yields `report`,
    which writes a line to the log and to the terminal. A UserError is shown as one line, any other error as one line
    that names the log, where the traceback is; both end the process with exit status 1.
    """
    path, results = Path(job.log[0]), Path(job.config["results"])
    manifest = results / "manifests" / path.relative_to(results / "logs").with_suffix(".json")
    # The old one says nothing about what this job will make.
    manifest.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    terminal = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8")
    # Not buffered: on a full disk a line that cannot be written is lost, and nothing else.
    log = path.open("wb", buffering=0)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    start = time.monotonic()

    def note(line: str) -> None:
        with contextlib.suppress(OSError):
            log.write(f"{line}\n".encode(errors="backslashreplace"))

    def report(line: str) -> None:
        line = visible(line)
        note(line)
        terminal.write(f"[{name}] {line}\n")

    note(f"imports: {time.time() - psutil.Process().create_time():.2f} s")
    try:
        yield report
        sys.stdout.flush()
        seconds = time.monotonic() - start
        if len(job.output):
            made = job_manifest(job.rule, job.params, job.input, job.output, seconds, str(results))
            write_manifest(made | dict(also or {}), manifest)
        note(f"done in {seconds:.1f} s")
    except UserError as error:
        report(f"error: {error}")
        sys.exit(1)
    except Exception as error:
        note(traceback.format_exc())
        if disk_is_full(error, results):
            report(f"error: the disk of {results.absolute()} is full; free some space and run again")
        else:
            message = (str(error).splitlines() or [""])[0]
            terminal.write(f"[{name}] error: {type(error).__name__}: {visible(message)} (traceback in {path})\n")
        sys.exit(1)
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


def disk_is_full(error: BaseException, folder: Path) -> bool:
    """Whether an error comes from a full disk; libraries wrap the system's error, or say just that they failed."""
    if shutil.disk_usage(folder).free < 64 * 1024:
        return True
    chain: BaseException | None = error
    while chain is not None:
        if getattr(chain, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "disk is full" in str(chain):
            return True
        chain = chain.__cause__ or chain.__context__
    return "No space left on device" in str(error)
