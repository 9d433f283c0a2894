"""Rule local_verdicts: the gold set or the attacks → what a local model says of each."""

import json

import torch

from organisms import tables
from organisms.job_log import job_log
from organisms.judging.collecting import collect_items, item_verdicts, load_requests
from organisms.judging.local_answering import local_verdicts

judge, config, items = snakemake.wildcards.judge, snakemake.config, snakemake.wildcards.items_of
with job_log(snakemake, f"local_verdicts {judge} {items}") as report:
    torch.set_num_threads(snakemake.threads)
    requests = load_requests(config, judge, json.loads(snakemake.params.judge))
    asked = collect_items(requests, items, snakemake.input.source)
    verdicts, _ = local_verdicts(config, judge, requests, asked, snakemake.input.model, report)
    rows = item_verdicts(items, snakemake.input.source, asked, verdicts, requests.settings["samples"])
    tables.write([{"judge": judge} | row for row in rows], snakemake.output[0], "verdicts")
