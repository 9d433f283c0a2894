"""Rule export_inspect: completions and judgments → one Inspect AI log per cell."""

from pathlib import Path

from organisms.completions.tables import COMPLETIONS
from organisms.job import tables
from organisms.job.log import job_log
from organisms.judging.tables import JUDGMENTS
from organisms.pages.inspect_export import cell_log, write_log

with job_log(snakemake, "export_inspect") as report:
    folder = Path(snakemake.output[0])
    folder.mkdir(parents=True, exist_ok=True)
    by_cell: dict[tuple, dict[str, list[dict]]] = {}
    for path in snakemake.params.judgments:
        rows = tables.read(path, JUDGMENTS).to_dicts()
        if not rows:
            continue
        cell = tuple(rows[0][key] for key in ("model", "eval_prompt", "question_set"))
        by_cell.setdefault(cell, {})[rows[0]["judge"]] = rows
    for path in snakemake.params.cells:
        completions = tables.read(path, COMPLETIONS).to_dicts()
        cell = tuple(completions[0][key] for key in ("model", "eval_prompt", "question_set"))
        log = cell_log(completions, by_cell.get(cell, {}), made=Path(path).stat().st_mtime)
        write_log(log, folder / f"{'_'.join(cell)}.eval")
    report(f"{len(snakemake.params.cells)} logs; look at them with: inspect view --log-dir {folder}")
