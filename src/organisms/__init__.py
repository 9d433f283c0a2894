"""Library code of the workflow: finetune, evaluate and compare model organisms.

Nothing in here knows of Snakemake. The scripts in `workflow/scripts` read inputs, call these modules and
write outputs; the Snakefile asks `experiment` which files the config wants.
"""

import os
from pathlib import Path


def importable_in_subprocesses() -> None:
    """Let Python processes that this one starts import this package too, without installing it."""
    source = str(Path(__file__).parents[1])
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != source]
    os.environ["PYTHONPATH"] = os.pathsep.join([source, *others])
