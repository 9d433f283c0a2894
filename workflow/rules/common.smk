"""The checked config as an Experiment, and what the rules of all stages share."""

import json
import os
import re
import sys
import time
from pathlib import Path

from snakemake.logging import logger

# Not workflow.basedir: used as a module, that is the folder of the workflow that uses it.
sys.path.insert(0, str(Path(workflow.current_basedir.get_path_or_uri(secret_free=False)).parents[1] / "src"))

import organisms
from organisms import ROOT
from organisms.figures.files import ENDINGS
from organisms.inputs import check_inputs
from organisms.job.code import code_digest, deciding_packages
from organisms.job.dag import decide_by_manifests, require_compared
from organisms.job.equivalent import canonical, read_equivalent
from organisms.job.errors import UserError
from organisms.job.log import visible
from organisms.job.packages import installed_otherwise, pinned
from organisms.judging.kind import open_judges, scored_metrics
from organisms.miniature.world import world_files
from organisms.plan import metrics as declared
from organisms.plan.config import check_written, read_config
from organisms.plan.contrasts import as_settings, contrasts, default_margin, default_threshold
from organisms.plan.experiment import ARM_NAME, NAME, Experiment
from organisms.plan.model_files import model_folder_files
from organisms.plan.presentation import presentation

organisms.importable_in_subprocesses()

SCRIPTS = ROOT / "workflow" / "scripts"
PINS = pinned(*(ROOT / name for name in ("requirements.lock", "requirements-inspect.txt")))


def package_warnings():
    """A line if what is installed is not what is pinned: jobs run again for the pins, not for what is installed."""
    if workflow.deployment_settings.deployment_method:
        return []
    names = {name for script in SCRIPTS.glob("*.py") for name in deciding_packages(script)}
    others = installed_otherwise(PINS, sorted(names))
    said = "; results of both count as the same, and results/manifests says which made which"
    return [f"not as requirements.lock has it: {', '.join(others)}{said}"] if others else []


def require_comparison():
    """Stop before the first job if the manifests did not decide what runs."""
    try:
        require_compared(RESULTS)
    except UserError as error:
        sys.exit(f"error: {visible(str(error))}")


try:
    if set("{}") & set(str(ROOT)):
        raise UserError(
            f"{ROOT}: Snakemake takes braces in a path for wildcards; move the workflow to a folder without"
        )
    if workflow.is_main_process:
        for file in workflow.configfiles:
            check_written(file)
    config = read_config(config)
    config["results"] = os.path.normpath(config["results"])
except UserError as error:
    sys.exit(f"error: {visible(str(error))}")


pathvars:
    results=config["results"],
    logs=f"{config['results']}/logs",
    benchmarks=f"{config['results']}/benchmarks",


# As parameters and scripts have it, whose paths Snakemake does not change: with the prefix of a module.
RESULTS = str(workflow.modifier.path_modifier.replace_prefix(config["results"]))
config["results"] = RESULTS
try:
    experiment = Experiment(config)
    claimed = contrasts(experiment)
    judges = open_judges(config)
    EQUIVALENT = read_equivalent(ROOT / "workflow" / "equivalent_code.yaml")
    if workflow.is_main_process:
        decide_by_manifests(RESULTS)
        for warning in (*check_inputs(config), *package_warnings()):
            logger.warning(f"Warning: {visible(warning)}")
except UserError as error:
    sys.exit(f"error: {visible(str(error))}")


wildcard_constraints:
    dataset=NAME,
    training_prompt=NAME,
    arm=ARM_NAME,
    question_set=NAME,
    judge=NAME,
    seed=r"\d+",
    model=rf"base(-seed\d+)?|{ARM_NAME}-seed\d+(-step\d+)?|{NAME}(-seed\d+)?",
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
# Jobs that need the internet run where Snakemake does, unless the config has them submitted to a partition that has it.
ONLINE_HERE = config["online_jobs"] == "here"


def as_json(value):
    """A parameter in one canonical form; the order of a dict's keys alone would make Snakemake run a job again.

    Snakemake takes `{name}` in it for a wildcard, so a brace in a text is escaped; one of JSON's own is followed by a
    quotation mark or by its partner.
    """
    return re.sub(r'\{(?!["}])', r"\\u007b", json.dumps(value, sort_keys=True, ensure_ascii=False))


def more_each_time(amount):
    """A resource of which a job asks for so much, and on its second attempt for twice as much."""
    return lambda wildcards, attempt: amount * attempt


def code(script, *also):
    """The parameter that makes a rule run again when its code changes in meaning or its packages are pinned anew.

    also: modules that the script finds by name at run time. See organisms/job/code.py.
    """
    return canonical(script, code_digest(SCRIPTS / f"{script}.py", PINS, also), EQUIVALENT)


def own(path):
    """An input of the user's, which lies where the config says, also where outputs get a module's prefix."""
    return local(path)


def world_inputs():
    """The miniature world's file, and those that it is based on."""
    return [own(path) for path in world_files(config["world"])]


def shipped(path):
    """An input that comes with the workflow; its path does not depend on where the workflow lies, if it is run there."""
    return path if Path(path).exists() and (ROOT / path).samefile(path) else str(ROOT / path)


def base_files(seed):
    """The files that stand for the base model of a replicate among a job's inputs."""
    if experiment.miniature:
        names = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]
        return [f"<results>/pretrain/seed{experiment.pretraining_seed(seed)}/{name}" for name in names]
    if not experiment.base_is_folder:
        return ["<results>/download_model/model.json"]
    return [own(file) for file in model_folder_files(Path(config["base_model"]["name"]).expanduser())]


def base_params():
    trusted = {"trust_remote_code": config["base_model"]["trust_remote_code"]}
    return as_json({key: config[key] for key in ("device", "dtype")} | trusted)


def presented(*parts):
    """What figures and pages call things; of it these parts, or all."""
    found = presentation(experiment)
    return as_json({part: found[part] for part in parts} if parts else found)


def shown_threshold():
    """What the figures of shares misaligned go by: the name and the entry of `thresholds`; null if there is none."""
    return as_json(SHOWN_THRESHOLD and [SHOWN_THRESHOLD, config["thresholds"][SHOWN_THRESHOLD]])


def metric_declarations():
    """The declarations of all metrics that judges score."""
    return as_json(declared.as_settings(scored_metrics(config)))


def in_report(files):
    """The files of figures, of which the SVG stands in Snakemake's report (a PNG is ten times as large)."""
    marked = []
    for file in files:
        parts = file.split("/")[2:]
        figure = parts[0].split(".")[0]
        if not file.endswith(".svg"):
            marked.append(file)
            continue
        labels = {"figure": figure.replace("_", " ")}
        if len(parts) == 4:
            labels |= {"metric": parts[1], "judge": parts[2], "question set": parts[3].split(".")[0]}
        marked.append(report(file, caption=f"../report/{figure}.rst", category="Figures", labels=labels))
    return marked


# Metrics that have figures of their own and stand in the summary.
SHOWN_METRICS = config["figure_metrics"] or [config["main_metric"]]
# By which of `thresholds` figures go; none if the config has none.
SHOWN_THRESHOLD = default_threshold(config)
TITLES = config["figures"]["titles"]
# The prompts between which the sensitivity of a model is measured; none if the config does not ask for it.
NUDGES = config["sensitivity"]
# Which metrics say that a completion is misaligned, and that it is coherent.
DEFINITION = [config["main_metric"], config["coherence_metric"]]
