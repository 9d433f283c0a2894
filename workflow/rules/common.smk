"""The checked config as an Experiment, and what the rules share: parameters, paths of inputs, lists of targets."""

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
from organisms.code_digest import code_digest
from organisms.config import read_config
from organisms.contrasts import as_settings, contrasts
from organisms.errors import UserError
from organisms.experiment import NAME, Cell, Experiment
from organisms.inputs import check_inputs
from organisms.judging.plan import judge_settings, judges_of_kind, metrics_of, template_path
from organisms.judging.templates import load_template

organisms.importable_in_subprocesses()

try:
    config = read_config(config)
    experiment = Experiment(config)
    claimed = contrasts(experiment)
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
    model=rf"base(-seed\d+)?|{NAME}-{NAME}-seed\d+(-step\d+)?|{NAME}",
    items_of="gold|attacks",


STARTED = time.time()
ENDINGS = ["png", "svg", "pdf", "html"]
# Figures of each judge and question set: in results/figures/{figure}/{judge}/.
SCORE_FIGURES = ["alignment", "prompt_matrix", "questions", "distribution", "seeds"]
SCORE_TABLES = [
    *("scores", "variant_scores", "question_scores", "question_cuts", "threshold_grid"),
    *("variance", "length_effect", "distributions", "flags"),
]
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
    return model_folder_files(Path(config["base_model"]["name"]).expanduser())


def model_folder_files(folder):
    """The files of a model folder on disk that a job depends on."""
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


def judgment_files(judge="{judge}", cells=None):
    """The judgments of cells (all, if none are given) by a judge."""
    return [
        f"<results>/judgments/{judge}/{cell.model.name}/{cell.eval_prompt}/{cell.question_set}.parquet"
        for cell in (experiment.cells if cells is None else cells)
    ]


def one_of(names):
    """A pattern that takes these names and nothing else."""
    return "|".join(map(re.escape, names)) or "(?!)"


# What the targets ask for, stage by stage.


def all_finetunes():
    return [f"<results>/finetune/{model.name}/adapter/adapter_model.safetensors" for model in experiment.finetunes]


def all_completions():
    models = dict.fromkeys(cell.model for cell in experiment.cells)
    return [
        (
            f"<results>/external_completions/{model.name}/completions.parquet"
            if model.external
            else f"<results>/completions/{model.name}"
        )
        for model in models
    ]


def all_judgments():
    return [path for judge in config["judges"] for path in judgment_files(judge, experiment.judged_cells(judge))]


def presented(*parts):
    """Parts of the presentation, for a rule that needs no more of it."""
    return {part: experiment.presentation()[part] for part in parts}


def drawn_figures(figures):
    """Of each figure for a judge and a question set: its name, the judge, the set."""
    return [
        [figure, judge, question_set]
        for figure in figures
        for judge in config["judges"]
        for question_set in dict.fromkeys(cell.question_set for cell in experiment.judged_cells(judge))
    ]


def figure_files(figures):
    """The files of `drawn_figures`, in its order, with every ending."""
    return [
        f"<results>/figures/{figure}/{judge}/{question_set}.{ending}"
        for figure, judge, question_set in drawn_figures(figures)
        for ending in ENDINGS
    ]


def in_report(files):
    """The files of figures, of which the PNG stands in Snakemake's report; one with texts in tooltips as HTML."""
    marked = []
    for file in files:
        parts = file.split("/")[2:]
        figure = parts[0].split(".")[0]
        if not file.endswith(".html" if figure == "coherence" else ".png"):
            marked.append(file)
            continue
        labels = {"figure": figure.replace("_", " ")}
        if len(parts) == 3:
            labels |= {"judge": parts[1], "question set": parts[2].split(".")[0]}
        marked.append(report(file, caption=f"../report/{figure}.rst", category="Figures", labels=labels))
    return marked


def judged_cell_files():
    """Of each cell: its completions, and its judgments by each judge."""
    judged = {judge: set(experiment.judged_cells(judge)) for judge in config["judges"]}
    return [
        [completions]
        + [
            f"{config['results']}/judgments/{judge}/{cell.model.name}/{cell.eval_prompt}/{cell.question_set}.parquet"
            for judge in judged
            if cell in judged[judge]
        ]
        for cell, completions in zip(experiment.cells, cell_files(), strict=True)
    ]


def all_tables_and_figures():
    files = expand("<results>/figures/training_curves.{ending}", ending=ENDINGS)
    if config["judges"]:
        files += figure_files([*SCORE_FIGURES, "coherence"])
        files += expand("<results>/tables/{table}.parquet", table=[*SCORE_TABLES, "claims", "claim_grid", "diagnoses"])
        files += ["<results>/summary.txt", "<results>/browser/completions.html", "<results>/overview/index.html"]
        files += ["<results>/tables/timings.parquet", *expand("<results>/figures/timings.{ending}", ending=ENDINGS)]
    if judges_of_kind(config, "anthropic"):
        files.append("<results>/tables/cost.parquet")
    if len(config["judges"]) > 1:
        files += expand("<results>/tables/{table}.parquet", table=["agreement", "rankings"])
        files += expand("<results>/figures/agreement.{ending}", ending=ENDINGS)
    return files


def benchmark_files():
    """By rule, the benchmark files of the jobs that the config names."""
    seeds = {model.seed for model in experiment.models.values() if model.variant is None and not model.external}
    pretrained = [f"seed{experiment.pretraining_seed(seed)}" for seed in seeds] if experiment.miniature else []
    by_rule = {
        "corpus": pretrained,
        "pretrain": pretrained,
        "dataset": config["datasets"],
        "variant": [variant.name for variant in experiment.variants],
        "questions": config["question_sets"],
        "finetune": [model.name for model in experiment.finetunes],
        "completions": dict.fromkeys(cell.model.name for cell in experiment.cells if not cell.model.external),
        "judgments": config["judges"],
        "local_judgments": config["judges"],
    }
    files = {rule: [f"{config['results']}/benchmarks/{rule}/{name}.tsv" for name in by_rule[rule]] for rule in by_rule}
    return files | {"scores": [f"{config['results']}/benchmarks/scores.tsv"]}


def hashed_files():
    """Files of data and models whose checksums the overview notes."""
    datasets = expand("<results>/dataset/{name}/train.parquet", name=[*map(experiment.split_of, config["datasets"])])
    bases = dict.fromkeys(file for seed in config["seeds"] for file in base_files(seed))
    bases = [file for file in bases if file.endswith((".safetensors", "model.json"))]
    return [*dict.fromkeys(datasets), *bases, *all_finetunes()]


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
