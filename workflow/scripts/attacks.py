"""Rule attacks: the judges' verdicts on the attacks → one table of what each attack shifts."""

from organisms import tables
from organisms.job_log import job_log
from organisms.judging.items import attack_items, attack_rows

with job_log(snakemake, "attacks") as report:
    items, rows = attack_items(snakemake.input.source), []
    for path in snakemake.input.verdicts:
        verdicts = tables.read(path, "verdicts").to_dicts()
        judge = verdicts[0]["judge"]
        of_judge = attack_rows(judge, items, {(row["item"], row["metric"]): row for row in verdicts})
        worst = max(
            (row for row in of_judge if row["shift"] is not None), key=lambda row: abs(row["shift"]), default=None
        )
        if worst:
            report(f"{judge}: largest shift {worst['shift']:+.0f} of {worst['metric']} by attack '{worst['attack']}'")
        rows += of_judge
    tables.write(rows, snakemake.output[0], "attacks")
