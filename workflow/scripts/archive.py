"""Rule archive: config, tables, figures, pages and provenance → one ZIP file for a paper's supplement."""

import os
from pathlib import Path

from organisms.job.log import job_log
from organisms.job.manifest import read_manifest
from organisms.pages.archive import secrets_of, write_supplement

with job_log(snakemake, "archive") as report:
    results = Path(snakemake.config["results"])
    jobs = read_manifest(snakemake.input.manifest)["jobs"]
    files = [*map(Path, snakemake.input), *(results / "manifests" / f"{name}.json" for name in jobs)]
    named = {str(path.relative_to(results)): path for path in files}
    size = write_supplement(named, snakemake.config, secrets_of(snakemake.config, os.environ), snakemake.output[0])
    report(f"{snakemake.output[0]}: {len(named)} files and the config, {size / 2**20:.1f} MiB")
