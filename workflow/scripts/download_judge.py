"""Rule download_judge: a model that judges → the local cache, and a note of where and which commit it is."""

import json

from organisms.data.hub import download_model
from organisms.job.files import whole_file
from organisms.job.log import job_log

judge = snakemake.wildcards.judge
with job_log(snakemake, f"download_judge {judge}") as report:
    settings = json.loads(snakemake.params.settings)
    snapshot = download_model(settings["name"], settings["revision"], key=f"judges.{judge}.model")
    report(f"{snapshot['name']} at commit {snapshot['commit']}")
    with whole_file(snakemake.output[0]) as path:
        path.write_text(json.dumps(snapshot, indent=2) + "\n", encoding="utf-8")
