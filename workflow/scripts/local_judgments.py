"""Rule local_judgments: the completions of all cells → a local model's scores, one table per cell."""

import json

import torch

from organisms import tables
from organisms.job_log import job_log
from organisms.judging.collecting import cell_judgments, collect_cells, load_requests
from organisms.judging.local_answering import local_verdicts

judge, config = snakemake.wildcards.judge, snakemake.config
with job_log(snakemake, f"local_judgments {judge}") as report:
    torch.set_num_threads(snakemake.threads)
    settings = json.loads(snakemake.params.judge)
    requests = load_requests(config, judge, settings)
    cells = [tables.read(path, "completions").to_dicts() for path in snakemake.params.cells]
    asked = collect_cells(config, judge, requests, cells, snakemake.input.get("questions", []))
    verdicts, usage = local_verdicts(config, judge, requests, asked, snakemake.input.model, report)
    judged = cell_judgments(judge, settings, cells, asked, verdicts)
    for rows, path in zip(judged, snakemake.params.judgments, strict=True):
        tables.write(rows, path, "judgments")
    tables.write(usage, f"{snakemake.output[0]}/usage.parquet", "usage")
