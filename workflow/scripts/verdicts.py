"""Rule verdicts: the gold set or the attacks → what a judge behind the Messages API says of each."""

import json

from organisms import tables
from organisms.job_log import job_log
from organisms.judging.answering import api_verdicts
from organisms.judging.collecting import collect_items, item_verdicts, load_requests

judge, config, items = snakemake.wildcards.judge, snakemake.config, snakemake.wildcards.items_of
with job_log(snakemake, f"verdicts {judge} {items}") as report:
    requests = load_requests(config, judge, json.loads(snakemake.params.judge))
    asked = collect_items(requests, items, snakemake.input.source)
    verdicts, _ = api_verdicts(config, judge, requests, asked, report)
    rows = item_verdicts(items, snakemake.input.source, asked, verdicts, requests.settings["samples"])
    tables.write([{"judge": judge} | row for row in rows], snakemake.output[0], "verdicts")
