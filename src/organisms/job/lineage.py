"""From results back to the jobs that led to them."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from organisms.job.errors import UserError
from organisms.job.files import sha256_of
from organisms.job.hashes import files_in
from organisms.job.manifest import from_results, in_results, read_manifest


def _makers(manifests: Mapping[str, dict], results: str) -> dict[str, str]:
    """By file, the job that made it; where several say so, the one that left it as it is there now."""
    made_by: dict[str, str] = {}
    for name, manifest in sorted(manifests.items()):
        for file, noted in manifest["outputs"].items():
            if file in made_by:
                path = Path(from_results(file, results))
                if not path.is_file() or sha256_of(path) != noted["sha256"]:
                    continue
            made_by[file] = name
    return made_by


def lineage(targets: list[str], manifests: Mapping[str, dict], results: str) -> tuple[dict[str, dict], list[str]]:
    """The jobs that led to some files, and where the chain is broken.

    targets: files or folders. manifests: by job, as `job_manifest` makes them; jobs that led elsewhere, of
    an older config for example, are left out. results: the folder of the results. Broken: a line for each input that is
    not what the job that makes it last made.
    """
    made_by = _makers(manifests, results)
    found: dict[str, dict] = {}
    broken = []
    waiting = [in_results(str(file), results) for target in targets for file in files_in(target)]
    while waiting:
        name = made_by.get(waiting.pop())
        if name is None or name in found:
            continue
        found[name] = manifests[name]
        for file, used in manifests[name]["inputs"].items():
            if file in made_by and manifests[made_by[file]]["outputs"][file] != used:
                broken.append(f"{name} was made from another {from_results(file, results)} than is there now")
            waiting.append(file)
    return dict(sorted(found.items())), sorted(broken)


def jobs_behind(targets: list[str], folder: str | Path, never: Iterable[str] = ()) -> dict[str, dict]:
    """The manifests, by job, of all that led to some files or folders.

    folder: of the manifests, in the folder of the results. never: jobs that the config does not have, whose manifests
    say of files that another job makes now that they made them. Raises UserError if something was made from what is no
    longer there: the files on the way do not belong together.
    """
    folder = Path(folder)
    manifests, excluded = {}, set(never)
    for path in folder.rglob("*.json"):
        name = str(path.relative_to(folder).with_suffix(""))
        if name not in excluded:
            # A job that begins takes its own away; one that runs now led to nothing that is there.
            with suppress(FileNotFoundError):
                manifests[name] = read_manifest(path)
    jobs, broken = lineage(targets, manifests, str(folder.parent))
    if broken:
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        raise UserError(f"{broken[0]}{more}: these results do not belong together; run again, which makes what differs")
    return jobs
