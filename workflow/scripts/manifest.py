"""Rule manifest: the manifests of the jobs that led to the results → what the whole run was made of."""

from pathlib import Path

from organisms.job.log import job_log
from organisms.job.manifest import lineage, read_manifest, run_manifest, write_manifest

with job_log(snakemake, "manifest") as report:
    folder = Path(snakemake.params.manifests)
    # The newest last: of two that made the same file it is the one.
    paths = sorted(folder.rglob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    manifests = {str(path.relative_to(folder).with_suffix("")): read_manifest(path) for path in paths}
    jobs, broken = lineage([*snakemake.input.results, *snakemake.input.hashed], manifests)
    for line in broken:
        report(f"Warning: {line}")
    # Not a parameter: a change of the config that changes no result is no reason to write it anew.
    write_manifest(run_manifest(snakemake.config, snakemake.input.hashed, jobs, broken), snakemake.output[0])
