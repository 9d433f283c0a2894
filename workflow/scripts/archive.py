"""Rule archive: config, settings, tables, figures, pages and provenance → one ZIP file for a paper's supplement."""

import os
from pathlib import Path

from organisms.job.log import job_log
from organisms.job.manifest import read_manifest
from organisms.job.why import some
from organisms.pages.archive import config_changes, files_to_pack, secrets_of, write_supplement

with job_log(snakemake, "archive") as report:
    results, config = Path(snakemake.config["results"]), snakemake.config
    manifest = read_manifest(snakemake.input.manifest)
    files = files_to_pack(results, snakemake.input, manifest)
    changes = config_changes(manifest["config"], config)
    if changes:
        report(f"config.yaml is of the run that made the results; the config of today differs: {some(changes)}")
    said = {"config.yaml": manifest["config"], "settings.yaml": manifest["settings"]}
    secrets = secrets_of(manifest["config"], os.environ) | secrets_of(config, os.environ)
    size = write_supplement(files, said, secrets, snakemake.output[0])
    report(f"{snakemake.output[0]}: {len(files)} files, the config and the settings, {size / 2**20:.1f} MiB")
