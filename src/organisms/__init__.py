"""Library code of the workflow: finetune, evaluate and compare model organisms.

Nothing in here knows of Snakemake. The scripts in `workflow/scripts` read inputs, call these modules and write
outputs; the rules ask `plan` which files the config wants. The rooms, in the order in which they may use each other (a
room knows those before it, and none after it):

job, plan, data, models, miniature, training, completions, judging, analysis, figures, pages.

`inputs`, above all of them, checks every file that a config names before the first job.
"""

import os
from pathlib import Path

# The workflow's own folder: of its resources, schemas and lock file.
ROOT = Path(__file__).parents[2]


def importable_in_subprocesses() -> None:
    """Let Python processes that this one starts import this package too, without installing it."""
    source = str(Path(__file__).parents[1])
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != source]
    os.environ["PYTHONPATH"] = os.pathsep.join([source, *others])
