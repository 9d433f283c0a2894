"""What the tests of judging through Snakemake share."""

import polars as pl
from conftest import CELLS, Workflow

from organisms.job import tables
from organisms.judging.tables import JUDGMENTS

# Completions of the finished run.
JUDGED = 12 * 4 * len(CELLS)


def add_judge(workflow: Workflow, name: str = "haiku", **judge) -> None:
    config = workflow.read_config()
    config["judges"][name] = {"kind": "anthropic"} | judge
    workflow.write_config(config)


def change(workflow: Workflow, **keys) -> None:
    config = workflow.read_config()
    config["judges"]["haiku"] |= keys
    workflow.write_config(config)


def judgments(workflow: Workflow, judge: str) -> pl.DataFrame:
    paths = (workflow.folder / "results" / "judgments" / judge).glob("*/*/*.parquet")
    return pl.concat(tables.read(path, JUDGMENTS) for path in sorted(paths))
