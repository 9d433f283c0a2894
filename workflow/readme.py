"""Write the numbers of config/replicates.yaml into README and docs: python workflow/readme.py [RESULTS]

With the folder of its results, what the pages need of them is kept in docs/replicates first; without, the pages are
written from what is kept.
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
from organisms.pages.replicates import PAGES, answers, keep, kept, written
from organisms.plan.config import read_config
from organisms.plan.experiment import Experiment
from organisms.plan.presentation import presentation

KEPT = ROOT / "docs" / "replicates"


def pages() -> dict[Path, str]:
    """Each page with the numbers that are kept."""
    config = read_config(read_yaml(ROOT / "config" / "replicates.yaml", "config"))
    shown, found = presentation(Experiment(config)), kept(KEPT)
    return {ROOT / page: written((ROOT / page).read_text(encoding="utf-8"), found, shown) for page in PAGES}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        results = Path(sys.argv[1])
        cell, first = "default/non_medical.parquet", "seed1"
        models = {"base": f"base-{first}", "default": f"bad_medical-default-{first}"}
        found = {
            table.name: tables.read(results / "tables" / f"{table.name}.parquet", table)
            for table in (SCORES, ARM_SCORES, CLAIMS)
        }
        found["answers"] = answers(
            {name: tables.read(results / "completions" / model / cell, COMPLETIONS) for name, model in models.items()},
            {
                name: tables.read(results / "judgments" / "world" / model / cell, JUDGMENTS)
                for name, model in models.items()
            },
            "alignment",
        )
        keep(found, KEPT)
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")
