"""Rule browser: completions and all judgments → one page to search, filter and read them."""

import json
from pathlib import Path

import polars as pl

from organisms.completions.tables import COMPLETIONS
from organisms.job import tables
from organisms.job.files import whole_file
from organisms.job.log import job_log
from organisms.judging.tables import JUDGMENTS
from organisms.pages.browser import browser_page, browser_rows, shown_completions

with job_log(snakemake, "browser"):
    presentation = json.loads(snakemake.params.presentation)
    cells = [paths for paths in snakemake.params.cells if len(paths) > 1]
    most = max(1, snakemake.params.most // max(1, len(cells)))
    rows, n_in_all = [], 0
    for path, *judged in cells:
        completions = tables.read(path, COMPLETIONS)
        n_in_all += len(completions)
        judgments = pl.concat(tables.read(one, JUDGMENTS) for one in judged)
        rows += browser_rows(shown_completions(completions, most), judgments, path, presentation)
    with whole_file(snakemake.output[0]) as page:
        page.write_text(browser_page(rows, n_in_all, Path(snakemake.input.page[0]).parent), encoding="utf-8")
