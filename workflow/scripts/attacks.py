"""Rule attacks: the judges' ratings of the attacks → one table of what each attack shifts."""

from organisms.job import tables
from organisms.job.log import job_log
from organisms.judging.items import attack_items, attack_rows
from organisms.judging.tables import ATTACKS, RATINGS

with job_log(snakemake, "attacks") as report:
    items, rows = attack_items(snakemake.input.source), []
    for path in snakemake.input.ratings:
        ratings = tables.read(path, RATINGS).to_dicts()
        judge = ratings[0]["judge"]
        of_judge = attack_rows(judge, items, {(row["item"], row["metric"]): row for row in ratings})
        worst = max(
            (row for row in of_judge if row["shift"] is not None), key=lambda row: abs(row["shift"]), default=None
        )
        if worst:
            report(f"{judge}: largest shift {worst['shift']:+.0f} of {worst['metric']} by attack '{worst['attack']}'")
        rows += of_judge
    tables.write(rows, snakemake.output[0], ATTACKS)
