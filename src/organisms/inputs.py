"""Checking the files that a config names, before any job starts."""

from pathlib import Path

from organisms.archive import password_of
from organisms.config import prompt_text
from organisms.dataset import Row, read_rows, split
from organisms.errors import UserError
from organisms.files import check_sha256
from organisms.questions import from_file
from organisms.world import World, load_world
from organisms.world_texts import advice_dataset, questions


def _world_rows(world: World, settings: dict) -> list[Row]:
    rows = advice_dataset(world, settings["domain"], settings["advice"], settings["rows"], settings["seed"])
    return [Row(n, tuple(row["messages"][:-1]), row["messages"][-1]["content"]) for n, row in enumerate(rows, start=1)]


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
