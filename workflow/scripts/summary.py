"""Rule summary: scores and claims → the short tables that a run prints."""

import json
from pathlib import Path

from organisms.analysis.tables import ARM_SCORES, CLAIMS, SENSITIVITY
from organisms.completions.tables import EXTERNAL_ROWS
from organisms.job import tables
from organisms.job.files import whole_file
from organisms.job.log import job_log
from organisms.pages.made_with import no_part_of_it
from organisms.pages.sensitivity import sensitivity_lines
from organisms.pages.summary import summary_text
from organisms.plan.metrics import from_settings

with job_log(snakemake, "summary"):
    results = str(Path(snakemake.output[0]).parent)
    metrics = from_settings(json.loads(snakemake.params.metrics))
    presentation = json.loads(snakemake.params.presentation)
    sensitivity = tables.read_if(snakemake.input.sensitivity, SENSITIVITY)
    text = summary_text(
        tables.read_if(snakemake.input.arm_scores, ARM_SCORES),
        tables.read_if(snakemake.input.claims, CLAIMS),
        [metrics[name] for name in snakemake.params.shown],
        metrics[snakemake.params.coherence],
        presentation,
        results=results,
        elsewhere=no_part_of_it(results, json.loads(snakemake.params.parts), snakemake.params.others),
        main=snakemake.params.main,
        external=[tables.read(Path(folder) / "rows.parquet", EXTERNAL_ROWS) for folder in snakemake.input.external],
        sensitivity=sensitivity_lines(sensitivity, json.loads(snakemake.params.nudges), presentation),
    )
    with whole_file(snakemake.output[0]) as path:
        path.write_text(text, encoding="utf-8")
