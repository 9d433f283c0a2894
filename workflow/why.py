"""Why would this run? One line per job: python workflow/why.py [arguments of snakemake: --configfile, targets]

Plans and runs nothing; works beside a run that is under way.
"""

import contextlib
import io
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from snakemake.api import DAGApi
from snakemake.cli import args_to_api, parse_args

from organisms.job.dag import found as other_than_wanted
from organisms.job.dag import job_name
from organisms.job.log import visible
from organisms.job.why import Planned, why


def plan(arguments: list[str]):
    """The DAG of a dry run. Exits with what Snakemake says if there is none."""
    dags = []
    execute = DAGApi.execute_workflow

    def kept(api, *args, **kwargs):
        # Snakemake's own report of a dry run has several lines for each job and cuts parameters.
        done = execute(api, *args, **kwargs)
        dags.append(api.workflow_api._workflow.dag)
        return done

    DAGApi.execute_workflow = kept
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            parser, args = parse_args(["--dry-run", *arguments])
            done = args_to_api(args, parser)
        except SystemExit as stop:
            done, said = False, io.StringIO(f"{said.getvalue()}\n{stop.code if isinstance(stop.code, str) else ''}")
    if not done or not dags:
        sys.exit(said.getvalue().strip())
    return dags[0]


def planned_jobs(dag) -> list[Planned]:
    """The jobs that would run, in an order in which they could."""
    # A dry run counts jobs as finished when it has shown them.
    jobs = [job for level in dag.toposorted() for job in level if dag.reason(job).finished and job.rule.script]
    names = {job: job_name(job) for job in jobs}
    found = []
    for job in jobs:
        reason = dag.reason(job)
        other = other_than_wanted.get(names[job], [])
        found.append(
            Planned(
                names[job],
                other=other,
                missing=sorted(reason.missing_output),
                incomplete=sorted(reason.incomplete_output),
                after=sorted(names[other] for other in dag.dependencies[job] if other in names),
                forced=reason.forced and not other,
            )
        )
    return sorted(found, key=lambda job: bool(job.after))


if __name__ == "__main__":
    for job in planned_jobs(plan(sys.argv[1:])) or ["nothing to be done"]:
        print(visible(job if isinstance(job, str) else why(job)))
