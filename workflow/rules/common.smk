"""The checked config as an Experiment, and what the rules share: parameters and paths of inputs."""

import json
import os
import re
import sys
import time
from functools import cache
from pathlib import Path

from snakemake.logging import logger

sys.path.insert(0, str(Path(workflow.basedir) / "src"))

import organisms
from organisms.code_digest import code_digest, deciding_packages
from organisms.config import read_config
from organisms.contrasts import as_settings, contrasts
from organisms.errors import UserError
from organisms.experiment import NAME, Experiment
from organisms.files import sha256_of
from organisms.inputs import check_inputs
from organisms.judging.plan import judge_settings, judges_of_kind, metrics_of, template_path
from organisms.judging.templates import load_template
from organisms.packages import installed_otherwise, pinned
from organisms.provenance import check_folder, read_manifest

organisms.importable_in_subprocesses()

SCRIPTS = Path(workflow.basedir) / "workflow" / "scripts"
PINS = pinned(*(Path(workflow.basedir) / name for name in ("requirements.lock", "requirements-inspect.txt")))


def package_warnings():
    """A line if what is installed is not what is pinned: jobs run again for the pins, not for what is installed."""
    if workflow.deployment_settings.deployment_method:
        return []
    names = {name for script in SCRIPTS.glob("*.py") for name in deciding_packages(script)}
    others = installed_otherwise(PINS, sorted(names))
    said = "; results of both count as the same, and results/manifests says which made which"
    return [f"not as requirements.lock has it: {', '.join(others)}{said}"] if others else []


def check_made_folders():
    """Find damage where Snakemake does not look: inside the folders that one job makes."""
    results = Path(config["results"])
    makers = {"completions": ["completions"], "judgments": ["judgments", "local_judgments", "recorded_judgments"]}
    made = {"completions": {cell.model.name: None for cell in experiment.cells}, "judgments": config["judges"]}
    for stage, rules in makers.items():
        for name in made[stage]:
            manifests = [results / "manifests" / rule / f"{name}.json" for rule in rules]
            check_folder(results / stage / name, manifests)


try:
    config = read_config(config)
    experiment = Experiment(config)
    claimed = contrasts(experiment)
    if workflow.is_main_process:
        check_made_folders()
        for warning in (*check_inputs(config), *package_warnings()):
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
    model=rf"base(-seed\d+)?|{NAME}-{NAME}-seed\d+(-step\d+)?|{NAME}",
    items_of="gold|attacks",


STARTED = time.time()
# On a CPU no job asks for a GPU, so that `--resources gpu=1` does not put the jobs in a queue.
GPUS = 1 if experiment.on_gpu else 0
# One thread each: on a CPU several small models train and answer side by side.
MODEL_THREADS = 4 if experiment.on_gpu else 1
# What jobs of a model ask a cluster for; locally nothing is limited by it.
MODEL_MEMORY_MB = 64_000 if experiment.on_gpu else 4_000
MODEL_MINUTES = 240 if experiment.on_gpu else 30
# A million judged completions took under 1 GiB (benchmarks/analysis.py); the browser and coherence read all texts too.
ANALYSIS_MEMORY_MB = 4_000


def as_json(value):
    """A parameter in one canonical form; the order of a dict's keys alone would make Snakemake run a job again."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def more_each_time(amount):
    """A resource of which a job asks for so much, and on its second attempt for twice as much."""
    return lambda wildcards, attempt: amount * attempt


def code(script):
    """The parameter that makes a rule run again when its code changes in meaning or its packages are pinned anew.

    See organisms/code_digest.py.
    """
    return code_digest(SCRIPTS / f"{script}.py", PINS)


def base_files(seed):
    """The files that stand for the base model of a replicate among a job's inputs."""
    if experiment.miniature:
        names = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]
        return [f"<results>/pretrain/seed{experiment.pretraining_seed(seed)}/{name}" for name in names]
    if not experiment.base_is_folder:
        return ["<results>/download_model/model.json"]
    return model_folder_files(Path(config["base_model"]["name"]).expanduser())


def model_folder_files(folder):
    """The files of a model folder on disk that a job depends on."""
    return sorted(str(path) for pattern in ("*.json", "*.safetensors", "*.jinja") for path in folder.glob(pattern))


def base_params():
    trusted = {"trust_remote_code": config["base_model"]["trust_remote_code"]}
    return as_json({key: config[key] for key in ("device", "dtype")} | trusted)


def dataset_source(wildcards):
    """The rows of a dataset that is made here. A file of the user's is no input, see `own_content`."""
    makers = {"archive": "unpack_archive", "hub": "download_dataset", "world": "advice"}
    maker = makers.get(experiment.dataset_kind(wildcards.dataset))
    return {"rows": f"<results>/{maker}/{wildcards.dataset}.jsonl"} if maker else {}


@cache
def own_content(dataset):
    """The SHA-256 of a dataset's file or archive of the user's; null if it has none.

    It counts by what is in it: as an input it would train everything anew when it is touched (Snakemake compares small
    files only) or lies elsewhere. An archive may be gone when it is unpacked.
    """
    entry = config["datasets"][dataset]
    path = entry["path"] or (entry["archive"] and entry["archive"]["path"])
    unpacked = Path(config["results"]) / "manifests" / "unpack_archive" / f"{dataset}.json"
    if path and not Path(path).exists() and unpacked.exists():
        return read_manifest(unpacked)["params"]["content"]
    return path and sha256_of(path)


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


def question_references(wildcards):
    """All rows of the dataset from which a question set takes its references."""
    dataset = config["question_sets"][wildcards.question_set]["reference_from"]
    if not dataset:
        return []
    return expand(
        "<results>/dataset/{name}/{part}.parquet", name=experiment.split_of(dataset), part=["train", "heldout"]
    )


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


def questions_of_model(wildcards):
    return [f"<results>/questions/{name}.parquet" for name in experiment.question_sets_of(wildcards.model)]


def cell_files():
    """The completions of each cell, drawn here or made elsewhere; inside the outputs that `all_completions` names."""
    return [
        (
            f"{config['results']}/external_completions/{cell.model.name}/completions.parquet"
            if cell.model.external
            else f"{config['results']}/completions/{cell.model.name}/{cell.eval_prompt}/{cell.question_set}.parquet"
        )
        for cell in experiment.cells
    ]


@cache
def template_of(metric):
    return load_template(template_path(config, metric))


def judge_metrics(judge):
    """Digests of the templates of a judge's metrics: an edited judge prompt judges again, an edited comment does not."""
    if config["judges"][judge]["kind"] not in ("anthropic", "local"):
        return {}
    return {metric: template_of(metric).digest for metric in metrics_of(config, judge)}


def references(question_sets):
    """Tables of the questions whose references judges compare with."""
    known = [name for name in question_sets if name in config["question_sets"]]
    return [f"<results>/questions/{name}.parquet" for name in dict.fromkeys(known)]


@cache
def compares(judge, question_set):
    """Whether some metric of a judge compares answers with a reference."""
    return any("reference" in template_of(metric).placeholders for metric in metrics_of(config, judge, question_set))


def judge_model_files(wildcards):
    folder = Path(config["judges"][wildcards.judge]["model"]).expanduser()
    return model_folder_files(folder) if folder.is_dir() else f"<results>/download_judge/{wildcards.judge}/model.json"


def judgment_sources(wildcards):
    """The completions of all cells, and what else the judge needs."""
    kind = config["judges"][wildcards.judge]["kind"]
    sources = {"completions": all_completions()}
    if kind == "world":
        sources["world"] = config["world"]
    if kind == "labels":
        sources["labels"] = config["judges"][wildcards.judge]["file"]
    if kind in ("anthropic", "local"):
        compared = [name for name in experiment.question_sets if compares(wildcards.judge, name)]
        sources["questions"] = references(compared)
    return sources


def judgment_file(judge, cell):
    """A judge's judgments of a cell; inside the output that `all_judgments` names."""
    return f"{config['results']}/judgments/{judge}/{cell.model.name}/{cell.eval_prompt}/{cell.question_set}.parquet"


def judgment_files(judges=None):
    """The judgments of every judged cell, by these judges or by all."""
    return [
        judgment_file(judge, cell)
        for judge in (config["judges"] if judges is None else judges)
        for cell in experiment.judged_cells(judge)
    ]


def recorded_sources(wildcards):
    """The completions with which a recorded judge's scores came, and the scores."""
    models = dict.fromkeys(cell.model.name for cell in experiment.judged_cells(wildcards.judge))
    return {
        name: [f"<results>/external_completions/{model}/{name}.parquet" for model in models]
        for name in ("completions", "scores")
    }


def one_of(names):
    """A pattern that takes these names and nothing else."""
    return "|".join(map(re.escape, names)) or "(?!)"


def item_tables(items):
    """What every judge by prompt says of the gold set or the attacks."""
    makers = {"anthropic": "verdicts", "local": "local_verdicts"}
    return [
        f"<results>/{makers[config['judges'][judge]['kind']]}/{judge}/{items}.parquet"
        for judge in judges_of_kind(config, *makers)
    ]


def item_source(wildcards):
    return "resources/gold/gold.yaml" if wildcards.items_of == "gold" else "resources/judges/attacks.yaml"


def require_keys():
    """Stop before the first job if some job will want an API key that is not there."""
    for job in workflow.dag.needrun_jobs():
        judge = job.rule.name in ("judgments", "verdicts") and config["judges"][job.wildcards.judge]
        if judge and judge["kind"] == "anthropic":
            name = judge["api_key_env"]
            if not os.environ.get(name):
                sys.exit(
                    f"error: judges.{job.wildcards.judge}: the environment variable {name} is not set; "
                    f"export {name}=... and run again (`snakemake sampled` needs no key)"
                )


def show_summary():
    """Print the summary if this run made it: an older one may be of another config."""
    path = Path(config["results"]) / "summary.txt"
    if path.exists() and path.stat().st_mtime >= STARTED:
        print("", path.read_text(encoding="utf-8"), sep="\n")
