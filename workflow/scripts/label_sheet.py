"""Rule label_sheet: completions → a blinded CSV to write human labels into."""

import json

from organisms.completions.tables import COMPLETIONS
from organisms.job import tables
from organisms.job.files import whole_file
from organisms.job.log import job_log
from organisms.judging.label_sheet import label_sheet

with job_log(snakemake, "label_sheet") as report:
    completions = [row for path in snakemake.params.cells for row in tables.read(path, COMPLETIONS).to_dicts()]
    with whole_file(snakemake.output[0]) as path:
        path.write_text(label_sheet(completions, **json.loads(snakemake.params.settings)), encoding="utf-8")
    report(f"fill in {snakemake.output[0]}, save it elsewhere, and name it as `file` of a judge of kind labels")
