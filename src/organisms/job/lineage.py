"""From results back to the jobs that led to them."""

from collections.abc import Mapping
from pathlib import Path

from organisms.job.errors import UserError
from organisms.job.hashes import files_in
from organisms.job.manifest import from_results, in_results, read_manifest


def lineage(targets: list[str], manifests: Mapping[str, dict], results: str) -> tuple[dict[str, dict], list[str]]:
    """The jobs that led to some files, and where the chain is broken.

    targets: files or folders. manifests: by job, as `job_manifest` makes them, the newest last; jobs that led
    elsewhere, of an older config for example, are left out. results: the folder of the results. Broken: a line for each
    input that is not what the job that makes it last made.
    """
    made_by = {file: name for name, manifest in manifests.items() for file in manifest["outputs"]}
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


def jobs_behind(targets: list[str], folder: str | Path) -> dict[str, dict]:
    """The manifests, by job, of all that led to some files or folders.

    folder: of the manifests, in the folder of the results. Raises UserError if something was made from what is no
    longer there: the files on the way do not belong together.
    """
    folder = Path(folder)
    # The newest last: of two that made the same file it is the one.
    paths = sorted(folder.rglob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    manifests = {str(path.relative_to(folder).with_suffix("")): read_manifest(path) for path in paths}
    jobs, broken = lineage(targets, manifests, str(folder.parent))
    if broken:
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        raise UserError(f"{broken[0]}{more}: these results do not belong together; run again, which makes what differs")
    return jobs
