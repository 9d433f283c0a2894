"""Checking the files that a config names, before any job starts."""

from pathlib import Path

from organisms.archive import password_of
from organisms.config import prompt_text
from organisms.dataset import Row, read_rows, split
from organisms.errors import UserError
from organisms.external import read_external
from organisms.files import check_sha256
from organisms.judging.labels import read_labels
from organisms.judging.plan import judge_settings, metrics_of, template_path
from organisms.judging.prices import load_prices
from organisms.judging.templates import load_template
from organisms.questions import from_file
from organisms.world import World, load_world
from organisms.world_texts import advice_dataset, questions


def _world_rows(world: World, settings: dict) -> list[Row]:
    rows = advice_dataset(world, settings["domain"], settings["advice"], settings["rows"], settings["seed"])
    return [Row(n, tuple(row["messages"][:-1]), row["messages"][-1]["content"]) for n, row in enumerate(rows, start=1)]


def check_judge(config: dict, name: str, judge: dict) -> None:
    """Raise UserError if a judge's prompts, prices, labels or references are not there."""
    if judge["kind"] == "labels":
        read_labels(judge["file"])
    if judge["kind"] not in ("anthropic", "local"):
        return
    external = {entry["question_set"] for entry in config["external_completions"].values()}
    for metric in judge["metrics"]:
        template = load_template(template_path(config, metric))
        for question_set in {*config["question_sets"], *external} if "reference" in template.placeholders else ():
            entry = config["question_sets"].get(question_set)
            if metric not in metrics_of(config, name, question_set) or (entry and entry["reference_from"]):
                continue
            if not (entry and entry["file"] and all(row["reference"] for row in from_file(entry["file"]))):
                raise UserError(
                    f"metric '{metric}' compares with a reference, and question set '{question_set}' has none that is "
                    f"known to be good; give question_sets.{question_set}.reference_from or a question file with "
                    f"references, or limit metrics.{metric}.question_sets"
                )
    if judge["kind"] == "anthropic":
        prices = load_prices(config["prices"])
        model = judge_settings(config, name)["model"]
        if judge["budget_usd"] is not None and model not in prices.models:
            raise UserError(f"budget_usd cannot be kept: {config['prices']} has no price of '{model}'; add it")


def check_inputs(config: dict) -> list[str]:
    """Read every file that the config names and raise UserError, with the config's key, at the first fault.

    config: as `config.read_config` gives it. Jobs check their inputs again; this is so that a fault in the last
    file is found before the first finetune and not after it. Returns warnings, a line each.
    """
    key = "world"
    try:
        made_from_world = (
            config["base_model"]["miniature"]
            or any(dataset["world"] for dataset in config["datasets"].values())
            or any(entry["world"] for entry in config["question_sets"].values())
            or any(judge["kind"] == "world" for judge in config["judges"].values())
        )
        world = load_world(config["world"]) if made_from_world else None
        for name, dataset in config["datasets"].items():
            key = f"datasets.{name}"
            unpacked = Path(config["results"]) / "unpack_archive" / f"{name}.jsonl"
            if dataset["archive"] and unpacked.exists():
                check_sha256(unpacked, dataset["sha256"])
            elif dataset["archive"]:
                password_of(dataset["archive"])
                if not Path(dataset["archive"]["path"]).is_file():
                    raise UserError(f"{dataset['archive']['path']}: no such archive; check the path in the config")
            if dataset["path"]:
                rows = read_rows(dataset["path"])
                check_sha256(dataset["path"], dataset["sha256"])
                split(rows, dataset["heldout"], dataset["split_seed"])
            elif dataset["world"]:
                split(_world_rows(world, dataset["world"]), dataset["heldout"], dataset["split_seed"])
        for name, entry in config["external_completions"].items():
            key = f"external_completions.{name}"
            read_external(entry)
        for name, judge in config["judges"].items():
            key = f"judges.{name}"
            check_judge(config, name, judge)
        for name, entry in config["question_sets"].items():
            key = f"question_sets.{name}"
            if entry["file"]:
                from_file(entry["file"])
            elif entry["world"]:
                questions(world, entry["world"], entry["questions"], seed=0)
    except UserError as error:
        raise UserError(f"{key}: {error}") from error
    base = config["base_model"]["name"]
    if base and base.startswith((".", "/", "~")) and not Path(base).expanduser().is_dir():
        raise UserError(f"base_model.name: no folder '{base}'; give a model folder or a Hugging Face id")
    if config["base_model"]["miniature"]:
        prompts = config["training_prompts"] | config["system_prompts"]
        return [
            f"the miniature's pretraining may show the prompt '{name}', so its results are no test of an unseen prompt"
            for name, prompt in prompts.items()
            if world.may_say(prompt_text(prompt) or "")
        ]
    return []
