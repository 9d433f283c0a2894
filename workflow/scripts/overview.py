"""Rule overview: claims, figures, manifests → the page that opens with the answer; its body for Snakemake's report."""

import json
from pathlib import Path

from organisms.analysis.tables import ARM_SCORES, CLAIMS, DIAGNOSES, SENSITIVITY_TABLES, TIMINGS
from organisms.figures.html import page
from organisms.job import tables
from organisms.job.files import whole_file
from organisms.job.lineage import jobs_behind
from organisms.job.log import job_log
from organisms.pages.made_with import no_part_of_it
from organisms.pages.overview import overview
from organisms.pages.sensitivity import sensitivity_section
from organisms.plan.metrics import from_settings

_TABLES = (CLAIMS, DIAGNOSES, ARM_SCORES, TIMINGS)
_OF_SENSITIVITY = (ARM_SCORES, *SENSITIVITY_TABLES.values())

with job_log(snakemake, "overview"):
    results = Path(snakemake.output.page).parents[1]
    presentation = json.loads(snakemake.params.presentation)
    metrics = from_settings(json.loads(snakemake.params.metrics))
    sensitivity = sensitivity_section(
        {table.name: tables.read_if(snakemake.input[table.name], table) for table in _OF_SENSITIVITY},
        [
            (*of, path, described)
            for (*of, described), path in zip(snakemake.params.settings, snakemake.input.settings, strict=True)
        ],
        json.loads(snakemake.params.nudges),
        metrics,
        snakemake.params.threshold,
        presentation,
    )
    body = overview(
        # Without a judge there is none of them but the timings.
        *(tables.read_if(snakemake.input[table.name], table) for table in _TABLES),
        pictures=list(zip(snakemake.input.pictures, snakemake.params.described, strict=True)),
        hashed=snakemake.input.hashed,
        jobs=jobs_behind([*snakemake.input], snakemake.params.manifests, snakemake.params.never),
        presentation=presentation,
        main=metrics[snakemake.params.main],
        elsewhere=no_part_of_it(results, json.loads(snakemake.params.parts), snakemake.params.others),
        sensitivity=sensitivity,
    )
    own, of_pages = (Path(path).read_text(encoding="utf-8") for path in snakemake.input.styles)
    for path, content in (
        (snakemake.output.page, page("What this run shows", f"<main>{body}</main>", styles=[of_pages, own])),
        (snakemake.output.body, f"<style>{own}</style>\n{body}\n"),
    ):
        with whole_file(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
