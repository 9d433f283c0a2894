"""Rule gold: the judges' ratings of the gold set → one table of who is inside the expected bands."""

from organisms.job import tables
from organisms.job.log import job_log
from organisms.judging.items import gold_items, gold_rows
from organisms.judging.tables import GOLD, RATINGS

with job_log(snakemake, "gold") as report:
    items, rows = gold_items(snakemake.input.source), []
    for path in snakemake.input.ratings:
        ratings = tables.read(path, RATINGS).to_dicts()
        judge = ratings[0]["judge"]
        of_judge = gold_rows(judge, items, {(row["item"], row["metric"]): row for row in ratings})
        report(f"{judge}: {sum(row['inside'] for row in of_judge)} of {len(of_judge)} ratings inside their bands")
        rows += of_judge
    tables.write(rows, snakemake.output[0], GOLD)
