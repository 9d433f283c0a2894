"""Rule gold: the judges' verdicts on the gold set → one table of who is inside the expected bands."""

from organisms import tables
from organisms.job_log import job_log
from organisms.judging.items import gold_items, gold_rows

with job_log(snakemake, "gold") as report:
    items, rows = gold_items(snakemake.input.source), []
    for path in snakemake.input.verdicts:
        verdicts = tables.read(path, "verdicts").to_dicts()
        judge = verdicts[0]["judge"]
        of_judge = gold_rows(judge, items, {(row["item"], row["metric"]): row for row in verdicts})
        report(f"{judge}: {sum(row['inside'] for row in of_judge)} of {len(of_judge)} ratings inside their bands")
        rows += of_judge
    tables.write(rows, snakemake.output[0], "gold")
