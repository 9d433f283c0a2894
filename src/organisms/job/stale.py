"""Whether results are what a plan wants: their manifests compared with it, and with the files that are there."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from organisms.job.errors import UserError
from organisms.job.hashes import Hashes, described, files_in
from organisms.job.manifest import RESULTS, from_results, in_results, read_manifest
from organisms.job.why import parameter_changes, some


@dataclass(frozen=True)
class Wanted:
    """A job of a plan: its name, where its manifest would lie, its parameters as a manifest has them, and its paths."""

    name: str
    manifest: Path
    params: Mapping
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def _content(noted: dict) -> str:
    return noted.get("meaning") or noted["sha256"]


class _Comparison:
    """All jobs of a plan, beside what their manifests say. results: the folder of the results."""

    def __init__(self, wanted: list[Wanted], results: str, hashes: Hashes):
        self.results, self.hashes = results, hashes
        self.wanted = wanted
        # Jobs without any output of theirs are compared too: what was made from it may still be there.
        self.gone = {job.name: job for job in wanted if not any(Path(path).exists() for path in job.outputs)}
        self.reasons: dict[str, list[str]] = {job.name: [] for job in wanted}
        self.manifests: dict[str, dict] = {}
        # By declared output (a file or a folder): who makes it, and the files that it was noted to be.
        self.makers: dict[str, str] = {path: job.name for job in wanted for path in job.outputs}
        self.made: dict[str, dict[str, dict]] = {}
        for job in self.wanted:
            manifest = self._read(job)
            if manifest is None:
                continue
            self.manifests[job.name] = manifest
            for path in job.outputs:
                here = in_results(path, results)
                self.made[path] = {
                    file: noted
                    for file, noted in manifest["outputs"].items()
                    if file == here or file.startswith(f"{here}/")
                }

    def _read(self, job: Wanted) -> dict | None:
        if not job.manifest.is_file():
            self.reasons[job.name].append("no manifest says what made it")
            return None
        try:
            manifest = read_manifest(job.manifest)
            manifest["params"], manifest["inputs"], manifest["outputs"]
        except (UserError, KeyError, TypeError):
            self.reasons[job.name].append("its manifest is damaged")
            return None
        return manifest

    def run(self) -> None:
        """Fill in `reasons`."""
        for job in self.wanted:
            if job.name in self.manifests:
                if job.name not in self.gone:
                    self._outputs(job)
                self.reasons[job.name] += parameter_changes(self.manifests[job.name]["params"], job.params)
                self._inputs(job)
        otherwise: dict[str, bool] = {}
        for job in self.wanted:
            if job.name not in self.gone:
                # Snakemake does not miss it while what was made from it is there.
                paths = [path for path in job.inputs if self._made_otherwise(path, otherwise)]
                self._say(job.name, "not there any more, and made otherwise now: ", paths)

    def _made_otherwise(self, path: str, known: dict[str, bool]) -> bool:
        """Whether an input is gone and its job, or a gone one before it, would now make something else."""
        maker = self.gone.get(self.makers.get(path))
        if maker is None:
            return False
        if maker.name not in known:
            before = any(self._made_otherwise(path, known) for path in maker.inputs)
            known[maker.name] = before or bool(self.reasons[maker.name])
        return known[maker.name]

    def _outputs(self, job: Wanted) -> None:
        """Every file is there as the job left it."""
        noted = self.manifests[job.name]["outputs"]
        gone, other = [], []
        for file, left in noted.items():
            path = Path(from_results(file, self.results))
            if not path.is_file():
                gone.append(str(path))
            elif path.stat().st_size != left["bytes"] or self.hashes.of(path)["sha256"] != left["sha256"]:
                other.append(str(path))
        self._say(job.name, "gone: ", gone)
        self._say(job.name, "not as its job left it: ", other)
        never = [path for path in job.outputs if path not in gone and not Path(path).exists()]
        self._say(job.name, "not there: ", never)

    def _inputs(self, job: Wanted) -> None:
        """It was made from what its inputs are now; files of the user's and of the workflow count by content alone."""
        used = self.manifests[job.name]["inputs"]
        own, given = {}, []
        for path in job.inputs:
            if path in self.made:
                own |= self.made[path]
            elif path in self.makers:
                # Its job has no manifest: it is made anew, and this job after it.
                return
            else:
                for file in files_in(path):
                    here = in_results(str(file), self.results)
                    noted = described(file, self.hashes)
                    own |= {here: noted} if here.startswith(RESULTS) else {}
                    given += [] if here.startswith(RESULTS) else [(str(file), _content(noted))]
        used_own = {file: noted for file, noted in used.items() if file.startswith(RESULTS)}
        self._say(job.name, "another input: ", [from_results(file, self.results) for file in own if file not in used])
        self._say(job.name, "no longer an input: ", [file for file in used_own if file not in own])
        for file in own:
            if file in used_own and own[file]["sha256"] != used_own[file]["sha256"]:
                self._differing(job, file, own[file])
        used_given = Counter(_content(noted) for file, noted in used.items() if file not in used_own)
        if Counter(content for _, content in given) != used_given:
            changed = [path for path, content in given if content not in used_given]
            self.reasons[job.name].append(f"changed: {some(changed)}" if changed else "a file fewer than before")

    def _differing(self, job: Wanted, file: str, made: dict) -> None:
        """A job used another file than its maker noted: whoever is right, something runs again."""
        path = from_results(file, self.results)
        maker = next((self.makers[output] for output in self.made if file in self.made[output]), None)
        on_disk = self.hashes.of(path, read=True) if Path(path).is_file() else None
        if maker and on_disk and on_disk["sha256"] != made["sha256"]:
            # Of the same size and time as its job left it, so that it was not noticed above.
            self._say(maker, "not as its job left it: ", [path])
        self._say(job.name, "changed: ", [path])

    def _say(self, name: str, what: str, files: list[str]) -> None:
        line = f"{what}{some(files)}"
        if files and line not in self.reasons[name]:
            self.reasons[name].append(line)


def reasons(wanted: list[Wanted], results: str, hashes: Hashes) -> dict[str, list[str]]:
    """By job whose results are there and are not what the plan wants: why not, in words.

    wanted: all jobs of a plan. results: the folder of the results. A job without any output is not among them, nor one
    that has to run only because an input of it is made anew. Raises UserError if an input cannot be read.
    """
    comparison = _Comparison(wanted, results, hashes)
    comparison.run()
    return {name: said for name, said in comparison.reasons.items() if said and name not in comparison.gone}
