"""The checked config as an Experiment, and what every rule shares."""

import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Scripts run in processes of their own and find the library through PYTHONPATH.
SOURCE = Path(workflow.basedir) / "src"
sys.path.insert(0, str(SOURCE))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))

from organisms.code_digest import code_digest
from organisms.config import read_config
from organisms.errors import UserError
from organisms.experiment import NAME, Experiment
from organisms.inputs import check_inputs

try:
    config = read_config(config)
    experiment = Experiment(config)
    if workflow.is_main_process:
        check_inputs(config)
except UserError as error:
    raise WorkflowError(str(error)) from None


pathvars:
    results=config["results"],
    logs=config["results"] + "/logs",
    benchmarks=config["results"] + "/benchmarks",


wildcard_constraints:
    dataset=NAME,
    training_prompt=NAME,
    eval_prompt=NAME,
    question_set=NAME,
    judge=NAME,
    seed=r"\d+",
    model=rf"base(-seed\d+)?|{NAME}-{NAME}-seed\d+",


def as_json(value):
    """A parameter in one canonical form; the order of a dict's keys alone would make Snakemake run a job again."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def code(script):
    """The parameter that makes a rule run again when its code changes in meaning; see organisms/code_digest.py."""
    return code_digest(Path(workflow.basedir) / "workflow" / "scripts" / f"{script}.py")


def base_name(seed):
    """Where the base model of a replicate is loaded from: a folder, or a Hugging Face id."""
    if experiment.miniature:
        return f"{config['results']}/pretrain/seed{experiment.pretraining_seed(seed)}"
    return config["base_model"]["name"]


def base_files(seed):
    """The files of the base model that jobs depend on; none if it is a Hugging Face id."""
    if experiment.miniature:
        return [f"{base_name(seed)}/{name}" for name in PRETRAIN_FILES]
    folder = Path(base_name(seed))
    return sorted(str(path) for pattern in ("*.json", "*.safetensors", "*.jinja") for path in folder.glob(pattern))


def base_params(seed):
    return as_json(
        {
            "name": base_name(seed),
            "revision": config["base_model"]["revision"],
            "device": config["device"],
            "dtype": config["dtype"],
        }
    )


# On a CPU no job asks for a GPU, so that `--resources gpu=1` does not put the jobs in a queue.
GPUS = 1 if experiment.on_gpu else 0
# One thread each: on a CPU several small models train and answer side by side.
MODEL_THREADS = 4 if experiment.on_gpu else 1
