"""Rule overview: claims, figures, config → the page that opens with the answer, and its body for Snakemake's report."""

import json
from pathlib import Path

from organisms import tables
from organisms.analysis_tables import ANALYSIS_TABLES
from organisms.files import whole_file
from organisms.job_log import job_log
from organisms.overview import overview
from organisms.pages import page

with job_log(snakemake, "overview"):
    names = ("claims", "diagnoses", "variant_scores", "timings")
    body = overview(
        *(tables.read(snakemake.input[name], ANALYSIS_TABLES[name]) for name in names),
        pictures=list(zip(snakemake.input.pictures, snakemake.params.described, strict=True)),
        hashed=snakemake.input.hashed,
        # Not a parameter: a change of the config that changes no result is no reason to write the page anew.
        config=snakemake.config,
        presentation=json.loads(snakemake.params.presentation),
    )
    own, of_pages = (Path(path).read_text(encoding="utf-8") for path in snakemake.input.styles)
    for path, content in (
        (snakemake.output.page, page("What this run shows", f"<main>{body}</main>", styles=[of_pages, own])),
        (snakemake.output.body, f"<style>{own}</style>\n{body}\n"),
    ):
        with whole_file(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
