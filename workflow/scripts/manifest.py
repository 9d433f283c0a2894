"""Rule manifest: the manifests of the jobs that led to the results → what the whole run was made of."""

from organisms.job.files import sha256_of
from organisms.job.lineage import jobs_behind
from organisms.job.log import job_log
from organisms.job.manifest import write_manifest
from organisms.pages.made_with import run_manifest

with job_log(snakemake, "manifest"):
    jobs = jobs_behind(
        [*snakemake.input.results, *snakemake.input.hashed], snakemake.params.manifests, snakemake.params.never
    )
    hashed = {path: sha256_of(path) for path in snakemake.input.hashed}
    write_manifest(run_manifest(hashed, jobs, snakemake.config), snakemake.output[0])
