"""Manifests decide which jobs Snakemake runs, in place of times of change and of what Snakemake remembers of a run.

Snakemake keeps parameters, inputs and checksums in `.snakemake`, which is not there after a copy or in another clone,
and goes by times for large files. So once it has laid out its plan, and before it looks what of it has to run, each job
of this workflow is compared with the manifest beside its results (`stale.reasons`): those that differ are forced, and
for the others Snakemake's own reasons do not count. What is not there, what follows from a job that runs, and what is
asked for by --force and its kin are left to it.
"""

from pathlib import Path

from snakemake.dag import DAG
from snakemake.jobs import Job
from snakemake.logging import logger
from snakemake.persistence import NO_PARAMS_CHANGE, PersistenceBase

from organisms.job.errors import UserError
from organisms.job.log import visible
from organisms.job.manifest import hashes_of, noted_params
from organisms.job.stale import Wanted, reasons

# So many jobs are named at the start of a run; workflow/why.py names all.
_NAMED = 12
# Folders of results whose jobs are decided here; two modules of one workflow have two.
_folders: dict[str, None] = {}
# Why jobs run whose results are there, by rule and wildcards, of the plan that was made last.
found: dict[str, list[str]] = {}
_compared: set[str] = set()


def job_name(job: Job) -> str:
    """Rule and wildcards."""
    return " ".join([job.rule.name, *job.wildcards_dict.values()])


def _folder(job: Job) -> str | None:
    """The results that a job of this workflow belongs to; None of another workflow's job, or of one without outputs."""
    if not job.rule.script or not job.rule.output or not job.log:
        return None
    return next((folder for folder in _folders if str(job.log[0]).startswith(f"{folder}/logs/")), None)


def _wanted(job: Job, results: str) -> Wanted:
    log = Path(job.log[0]).relative_to(Path(results) / "logs")
    return Wanted(
        name=job_name(job),
        manifest=Path(results) / "manifests" / log.with_suffix(".json"),
        params=noted_params(dict(job.params.items()), results),
        inputs=tuple(map(str, job.input)),
        outputs=tuple(map(str, job.output)),
    )


def _compare(dag: DAG) -> None:
    found.clear()
    for results in _folders:
        jobs = {job_name(job): job for job in dag.jobs if _folder(job) == results}
        hashes = hashes_of(results)
        said = reasons([_wanted(job, results) for job in jobs.values()], results, hashes)
        hashes.save()
        _compared.add(results)
        found.update(said)
        for name in said:
            dag.forcefiles.update(jobs[name].output)
    for name in list(found)[:_NAMED]:
        logger.info(visible(f"{name}: {'; '.join(found[name])}"))
    if len(found) > _NAMED:
        logger.info(f"and {len(found) - _NAMED} more jobs whose results are not what is wanted (see `make why`)")


def _patch() -> None:
    """Put the comparison where Snakemake looks. An attribute that a version of it lacks is an AttributeError here."""
    check_incomplete = DAG.check_incomplete

    async def compared(dag):
        await check_incomplete(dag)
        _compare(dag)

    DAG.check_incomplete = compared
    output_mintime, older = Job.output_mintime, Job.outputs_older_than_script_or_notebook

    async def mintime(job):
        # Without a time of its outputs Snakemake compares none.
        return await output_mintime.fget(job) if _folder(job) is None else None

    async def outputs_older(job):
        if _folder(job) is None:
            async for output in older(job):
                yield output

    Job.output_mintime, Job.outputs_older_than_script_or_notebook = property(mintime), outputs_older
    nothing = {
        "code_changed": (),
        "input_changed": (),
        "software_stack_changed": (),
        "params_changed": NO_PARAMS_CHANGE,
    }
    for name, answer in (nothing | {"has_metadata": True, "has_outdated_metadata": False}).items():
        asked = getattr(PersistenceBase, name)

        def answered(persistence, job, *arguments, asked=asked, answer=answer, **named):
            return asked(persistence, job, *arguments, **named) if _folder(job) is None else answer

        setattr(PersistenceBase, name, answered)


def require_compared(results: str) -> None:
    """Raise UserError if the results were not compared: in another version Snakemake may look elsewhere."""
    if results in _folders and results not in _compared:
        raise UserError(
            "this version of Snakemake did not compare results with their manifests, so old ones could pass for new; "
            "install the versions of requirements.lock"
        )


def decide_by_manifests(results: str) -> None:
    """From here on the manifests in a folder of results decide which jobs of this workflow run in this process."""
    if not _folders:
        _patch()
    _folders[results] = None
