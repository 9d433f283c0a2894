"""Rule judgments: the completions of all cells → a judge's scores, one table per cell, and what they cost.

For judges behind the Messages API, the world judge and label sheets.
"""

import json

from organisms import tables
from organisms.job_log import job_log, late_imports

judge, config = snakemake.wildcards.judge, snakemake.config
with job_log(snakemake, f"judgments {judge}") as report:
    settings = json.loads(snakemake.params.judge)
    cells = [tables.read(path, "completions").to_dicts() for path in snakemake.params.cells]
    usage = []
    # Each kind imports what it needs alone.
    if settings["kind"] == "world":
        with late_imports():
            from organisms.judging.world import world_judgments
            from organisms.world import load_world

        world = load_world(snakemake.input.world)
        judged = (world_judgments(world, rows, judge) for rows in cells)
    elif settings["kind"] == "labels":
        with late_imports():
            from organisms.judging.labels import label_judgments, read_labels

        labels = read_labels(snakemake.input.labels)
        judged = (label_judgments(judge, rows, labels) for rows in cells)
    else:
        with late_imports():
            from organisms.judging.answering import api_verdicts
            from organisms.judging.collecting import cell_judgments, collect_cells, load_requests

        requests = load_requests(config, judge, settings)
        asked = collect_cells(config, judge, requests, cells, snakemake.input.get("questions", []))
        verdicts, usage = api_verdicts(config, judge, requests, asked, report)
        judged = cell_judgments(judge, settings, cells, asked, verdicts)
    for rows, path in zip(judged, snakemake.params.judgments, strict=True):
        tables.write(rows, path, "judgments")
    tables.write(usage, f"{snakemake.output[0]}/usage.parquet", "usage")
