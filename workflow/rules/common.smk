"""The checked config as an Experiment, and what the rules share: parameters, paths of inputs, lists of targets."""

import json
import sys
import time
from pathlib import Path

from snakemake.logging import logger

sys.path.insert(0, str(Path(workflow.basedir) / "src"))

import organisms
from organisms.code_digest import code_digest
from organisms.config import read_config
from organisms.errors import UserError
from organisms.experiment import NAME, Experiment
from organisms.inputs import check_inputs

organisms.importable_in_subprocesses()

try:
    config = read_config(config)
    experiment = Experiment(config)
    if workflow.is_main_process:
        for warning in check_inputs(config):
            logger.warning(f"Warning: {warning}")
except UserError as error:
    sys.exit(f"error: {error}")


pathvars:
    results=config["results"],
    logs=f"{config['results']}/logs",
    benchmarks=f"{config['results']}/benchmarks",


wildcard_constraints:
    dataset=NAME,
    training_prompt=NAME,
    eval_prompt=NAME,
    question_set=NAME,
    judge=NAME,
    seed=r"\d+",
    model=rf"base(-seed\d+)?|{NAME}-{NAME}-seed\d+(-step\d+)?",


STARTED = time.time()
# On a CPU no job asks for a GPU, so that `--resources gpu=1` does not put the jobs in a queue.
GPUS = 1 if experiment.on_gpu else 0
# One thread each: on a CPU several small models train and answer side by side.
MODEL_THREADS = 4 if experiment.on_gpu else 1
# What jobs of a model ask a cluster for; locally nothing is limited by it.
MODEL_MEMORY_MB = 64_000 if experiment.on_gpu else 4_000
MODEL_MINUTES = 240 if experiment.on_gpu else 30


def as_json(value):
    """A parameter in one canonical form; the order of a dict's keys alone would make Snakemake run a job again."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def more_each_time(amount):
    """A resource of which a job asks for so much, and on its second attempt for twice as much."""
    return lambda wildcards, attempt: amount * attempt


def code(script):
    """The parameter that makes a rule run again when its code changes in meaning; see organisms/code_digest.py."""
    return code_digest(Path(workflow.basedir) / "workflow" / "scripts" / f"{script}.py")


def base_files(seed):
    """The files that stand for the base model of a replicate among a job's inputs."""
    if experiment.miniature:
        names = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]
        return [f"<results>/pretrain/seed{experiment.pretraining_seed(seed)}/{name}" for name in names]
    if not experiment.base_is_folder:
        return ["<results>/download_model/model.json"]
    folder = Path(config["base_model"]["name"]).expanduser()
    return sorted(str(path) for pattern in ("*.json", "*.safetensors", "*.jinja") for path in folder.glob(pattern))


def base_params():
    return as_json({key: config[key] for key in ("device", "dtype")})


def dataset_source(wildcards):
    makers = {"archive": "unpack_archive", "hub": "download_dataset", "world": "advice"}
    maker = makers.get(experiment.dataset_kind(wildcards.dataset))
    return f"<results>/{maker}/{wildcards.dataset}.jsonl" if maker else config["datasets"][wildcards.dataset]["path"]


def mixture_parts(wildcards):
    mixture = config["datasets"][wildcards.dataset]["mixture"]
    return {
        "train": f"<results>/dataset/{mixture['of']}/train.parquet",
        "heldout": f"<results>/dataset/{mixture['of']}/heldout.parquet",
        "others": f"<results>/dataset/{mixture['with']}/train.parquet",
    }


def training_rows(wildcards):
    if experiment.dataset_kind(wildcards.dataset) == "mixture":
        return f"<results>/mixture/{wildcards.dataset}.parquet"
    return f"<results>/dataset/{wildcards.dataset}/train.parquet"


def question_source(wildcards):
    entry = config["question_sets"][wildcards.question_set]
    if entry["heldout_of"]:
        return f"<results>/dataset/{experiment.split_of(entry['heldout_of'])}/heldout.parquet"
    return entry["file"] or config["world"]


def model_files(wildcards):
    """The base model's files, and the adapter if the model is a finetune."""
    model = experiment.models[wildcards.model]
    files = {"base": base_files(model.seed)}
    if model.variant:
        kept = f"step{model.step}" if model.step else "adapter"
        folder = f"<results>/finetune/{model.finished.name}/{kept}"
        files["adapter"] = f"{folder}/adapter_model.safetensors"
        files["adapter_config"] = f"{folder}/adapter_config.json"
    return files


# What the targets ask for, stage by stage.


def all_finetunes():
    return [f"<results>/finetune/{model.name}/adapter/adapter_model.safetensors" for model in experiment.finetunes]


def all_completions():
    return [
        f"<results>/completions/{cell.model.name}/{cell.eval_prompt}/{cell.question_set}.parquet"
        for cell in experiment.cells
    ]


def all_judgments():
    return [
        f"<results>/judgments/{judge}/{cell.model.name}/{cell.eval_prompt}/{cell.question_set}.parquet"
        for judge in config["judges"]
        for cell in experiment.cells
    ]


def all_tables_and_figures():
    endings = ["png", "svg", "html"]
    figures = expand("<results>/figures/training_curves.{ending}", ending=endings)
    if not config["judges"]:
        return figures
    figures += expand(
        "<results>/figures/{judge}/{question_set}.{ending}",
        judge=config["judges"],
        question_set=experiment.question_sets,
        ending=endings,
    )
    tables = ["<results>/tables/scores.parquet", "<results>/tables/question_scores.parquet"]
    return [*tables, "<results>/summary.txt", *figures]


def show_summary():
    """Print the summary if this run made it: an older one may be of another config."""
    path = Path(config["results"]) / "summary.txt"
    if path.exists() and path.stat().st_mtime >= STARTED:
        print("", path.read_text(encoding="utf-8"), sep="\n")
