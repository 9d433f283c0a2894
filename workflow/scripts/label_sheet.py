"""Rule label_sheet: completions → a blinded CSV to write human labels into."""

import json

from organisms.completions.tables import COMPLETIONS
from organisms.job import tables
from organisms.job.files import whole_file
from organisms.job.log import job_log
from organisms.judging.judgments import judged_rows
from organisms.judging.label_sheet import label_sheet

with job_log(snakemake, "label_sheet") as report:
    answers = json.loads(snakemake.params.answers)
    cells = (judged_rows(tables.read(path, COMPLETIONS).to_dicts(), answers) for path in snakemake.params.cells)
    completions = [row for rows in cells for row in rows]
    with whole_file(snakemake.output[0]) as path:
        path.write_text(label_sheet(completions, **json.loads(snakemake.params.settings)), encoding="utf-8")
    report(f"fill in {snakemake.output[0]}, save it elsewhere, and name it as `file` of a judge of kind labels")
