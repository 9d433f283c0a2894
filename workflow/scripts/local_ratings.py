"""Rule local_ratings: the gold set or the attacks → what a local model says of each."""

import torch

from organisms.job import tables
from organisms.job.log import job_log
from organisms.judging.kind import open_judge
from organisms.judging.tables import RATINGS

judge, items = snakemake.wildcards.judge, snakemake.wildcards.items_of
with job_log(snakemake, f"local_ratings {judge} {items}") as report:
    torch.set_num_threads(snakemake.threads)
    sources = {name: snakemake.input[name] for name in snakemake.params.sources}
    rows = open_judge(snakemake.config, judge).item_ratings(items, snakemake.input.source, sources, report)
    tables.write(rows, snakemake.output[0], RATINGS)
