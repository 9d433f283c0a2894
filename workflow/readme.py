"""Write the numbers of replicates into README and docs: python workflow/readme.py [RESULTS]

With the folder of the results of config/replicates.yaml, or of config/sensitivity.yaml on several seeds, what the pages
need of them is kept in docs/replicates first; without, the pages are written from what is kept.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from organisms import ROOT
from organisms.analysis.tables import ARM_SCORES, CLAIMS, SCORES
from organisms.completions.tables import COMPLETIONS
from organisms.job import tables
from organisms.job.yaml_files import read_yaml
from organisms.judging.tables import JUDGMENTS
from organisms.pages import replicates, replicates_of_sensitivity
from organisms.plan.config import read_config
from organisms.plan.experiment import Experiment
from organisms.plan.presentation import presentation

# Of each run its config, and where its numbers are kept.
RUNS = {
    replicates: ("replicates", ROOT / "docs" / "replicates"),
    replicates_of_sensitivity: ("sensitivity", ROOT / "docs" / "replicates" / "sensitivity"),
}


def pages() -> dict[Path, str]:
    """Each page with the numbers that are kept."""
    found = {}
    for run, (name, folder) in RUNS.items():
        config = read_config(read_yaml(ROOT / "config" / f"{name}.yaml", "config"))
        shown, numbers = presentation(Experiment(config)), run.kept(folder)
        for page in run.PAGES:
            # A page may have numbers of several runs.
            text = found.get(ROOT / page) or (ROOT / page).read_text(encoding="utf-8")
            found[ROOT / page] = run.written(text, numbers, shown)
    return found


def keep_replicates(results: Path) -> None:
    """Keep what README and docs/miniature.md show of the five replicates."""
    models = {"base": "base-seed1", "default": "bad_medical-default-seed1"}
    cells = {name: f"{model}/default/non_medical.parquet" for name, model in models.items()}
    found = {
        table.name: tables.read(results / "tables" / f"{table.name}.parquet", table)
        for table in (SCORES, ARM_SCORES, CLAIMS)
    }
    found["answers"] = replicates.answers(
        {name: tables.read(results / "completions" / cell, COMPLETIONS) for name, cell in cells.items()},
        {name: tables.read(results / "judgments" / "world" / cell, JUDGMENTS) for name, cell in cells.items()},
        "alignment",
    )
    replicates.keep(found, RUNS[replicates][1])


def keep_sensitivity(results: Path) -> None:
    """Keep what docs/sensitivity.md shows."""
    found = {
        table.name: tables.read(results / "tables" / f"{table.name}.parquet", table)
        for table in replicates_of_sensitivity.TABLES
    }
    replicates_of_sensitivity.keep(found, RUNS[replicates_of_sensitivity][1])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        results = Path(sys.argv[1])
        (keep_sensitivity if (results / "tables" / "sensitivity.parquet").exists() else keep_replicates)(results)
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")
