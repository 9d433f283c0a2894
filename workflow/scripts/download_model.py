"""Rule download_model: a Hugging Face model → the local cache, and a note of where and which commit it is."""

import json

from organisms.data.hub import download_model
from organisms.job.files import whole_file
from organisms.job.log import job_log

with job_log(snakemake, "download_model") as report:
    settings = json.loads(snakemake.params.settings)
    snapshot = download_model(settings["name"], settings["revision"], trust_remote_code=settings["trust_remote_code"])
    report(f"{snapshot['name']} at commit {snapshot['commit']}")
    with whole_file(snakemake.output[0]) as path:
        path.write_text(json.dumps(snapshot, indent=2) + "\n", encoding="utf-8")
