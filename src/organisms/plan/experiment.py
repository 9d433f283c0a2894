"""What a config asks for: the arms, models and cells of an experiment, and the settings of each job.

Pure bookkeeping over a checked config (`config.read_config`): no data is read and no heavy library imported, so the
rules can ask it for thousands of cells at once.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from organisms.job.errors import UserError
from organisms.plan.arms import DEFAULT_METHOD, Arm, Model
from organisms.plan.config import DATASET_SOURCES, MODEL_GROUPS, QUESTION_SOURCES
from organisms.plan.external import asked_under
from organisms.plan.prompts import Prompt, combined, read_prompt
from organisms.plan.schema import did_you_mean
from organisms.plan.settings import NOT_DECIDING, deciding

NAME = r"[A-Za-z0-9][A-Za-z0-9_.]*"
ARM_NAME = rf"{NAME}-{NAME}(-{NAME})?"
# File systems allow 255 bytes, and endings and names of temporary files need some.
LONGEST_NAME = 200
# Keys of the config's `sensitivity`: eval prompts that are asked by themselves and with training prompts.
NUDGES = ("raises", "lowers")


@dataclass(frozen=True)
class Cell:
    """One model asked one question set under one eval prompt; the prompt's name is never `trained`."""

    model: Model
    eval_prompt: str
    question_set: str


class Experiment:
    """The experiment that a checked config declares."""

    def __init__(self, config: dict):
        """config: as `config.read_config` gives it. Raises UserError if `evaluations` name no model of it."""
        self.config = config
        values = {"default": None, "none": ""} | config["prompts"] | config["training_prompts"]
        self.prompts: dict[str, Prompt] = {name: read_prompt(name, value) for name, value in values.items()}
        self._check_models()
        self._check_names()
        self._check_nudges()

    @cached_property
    def arms(self) -> dict[str, Arm]:
        """Every arm by name: those of `finetunes`, or each dataset under each training prompt."""
        every = {"datasets": None, "training_prompts": None, "training_methods": None}
        found: dict[Arm, None] = {}
        for entry in self.config["finetunes"] or [every]:
            for dataset in entry["datasets"] or self.config["datasets"]:
                for prompt in entry["training_prompts"] or self.config["training_prompts"]:
                    for method in entry["training_methods"] or [DEFAULT_METHOD]:
                        found[Arm(dataset, prompt, method)] = None
        return {arm.name: arm for arm in found}

    @property
    def variants(self) -> list[str]:
        """Names of the tables of rows that arms are trained on; arms of several methods share one."""
        return list(dict.fromkeys(arm.variant for arm in self.arms.values()))

    @property
    def on_gpu(self) -> bool:
        return self.config["device"] == "cuda"

    @property
    def miniature(self) -> dict | None:
        """Settings of the pretraining of a miniature base, or None if the base is loaded."""
        return self.config["base_model"]["miniature"]

    @property
    def base_per_seed(self) -> bool:
        """Whether every replicate has a base model of its own, rather than all of them one."""
        return self.miniature is not None and self.miniature["seed"] is None

    def pretraining_seed(self, seed: int | None) -> int:
        """The pretraining seed of the miniature base under a replicate's seed."""
        return seed if self.base_per_seed else self.miniature["seed"]

    @property
    def base_is_folder(self) -> bool:
        """Whether the base model is loaded from a folder on disk, rather than fetched or pretrained."""
        name = self.config["base_model"]["name"]
        return name is not None and Path(name).expanduser().is_dir()

    @cached_property
    def models(self) -> dict[str, Model]:
        """Every model by name: the bases, then the finetunes, then completions made elsewhere."""
        seeds = self.config["seeds"]
        bases = list(dict.fromkeys(Model(None, seed if self.base_per_seed else None) for seed in seeds))
        bases = bases if self.config["datasets"] else []
        finetunes = [
            Model(arm, seed, step)
            for arm in self.arms.values()
            for seed in seeds
            for step in (*self.training_of(arm)["keep_steps"], None)
        ]
        external = [
            Model(None, seed, external=name)
            for name, entry in self.config["external_completions"].items()
            for seed in entry["seeds"] or [None]
        ]
        return {model.name: model for model in [*bases, *finetunes, *external]}

    @property
    def finetunes(self) -> list[Model]:
        """The finished finetunes, one job each; adapters from the middle of training come with them."""
        return [model for model in self.models.values() if model.arm and model.step is None]

    def _check_models(self) -> None:
        known = [*MODEL_GROUPS, *self.config["training_prompts"], *self.config["training_methods"], *self.arms]
        for i, entry in enumerate(self.config["evaluations"]):
            for j, name in enumerate(entry["models"]):
                if name not in known:
                    where = f"config: evaluations[{i}].models[{j}]"
                    raise UserError(f"{where}: no training prompt or arm '{name}'; {did_you_mean(name, known)}")

    def _check_names(self) -> None:
        """Names that are put together become the names of files and folders."""
        for name in dict.fromkeys([*self.models, *(cell.eval_prompt for cell in self.cells)]):
            if len(name) > LONGEST_NAME:
                raise UserError(
                    f"config: the name {name[:40]}... has {len(name)} characters; shorten the names that it is made "
                    f"of: it becomes part of file names, and may have at most {LONGEST_NAME}"
                )

    def _check_nudges(self) -> None:
        """The prompts of `sensitivity` must be asked, and by one model both."""
        nudges = self.config["sensitivity"]
        if not nudges:
            return
        asked = {cell.eval_prompt for cell in self.cells}
        for key, name in nudges.items():
            if name is not None and self._together(name) not in asked:
                raise UserError(
                    f"config: sensitivity.{key}: no model is asked under '{name}'; add it to the eval_prompts of an "
                    "entry of evaluations"
                )
        if nudges["neutral"] and not self.followed_up():
            raise UserError(
                f"config: sensitivity.neutral: no model is asked one question set under '{nudges['neutral']}' and "
                "another follow-up; add both to one entry of evaluations"
            )
        if not self.nudged():
            raise UserError(
                f"config: sensitivity: no model is asked one question set under both '{nudges['raises']}' and "
                f"'{nudges['lowers']}'; add both to one entry of evaluations"
            )

    def _together(self, *names: str) -> str:
        """The one name of eval prompts that are asked together, some of which may be of several."""
        parts = [part for name in names for part in name.split("+")]
        if set(parts) <= set(self.prompts):
            return combined(parts, self.prompts)
        # Prompts that only completions made elsewhere know stand by the names that these give them.
        return "+".join(name for name in names if name != "default")

    def _selected(self, names: list[str]) -> list[Model]:
        def wanted(model: Model) -> bool:
            if model.external:
                return False
            if model.step is not None:
                return "steps" in names
            if "all" in names:
                return True
            if model.arm is None:
                return "base" in names
            own = {"finetuned", model.arm.training_prompt, model.arm.training_method, model.arm.name}
            return bool(own & set(names))

        return [model for model in self.models.values() if wanted(model)]

    def _eval_prompts(self, model: Model, names: list[str]) -> list[str]:
        """Names of the prompts that a model is asked under, `trained` resolved, also where it is a part of several."""
        found: list[str] = []
        for name in names:
            parts = name.split("+")
            # The base was trained with no prompt; under each of them it is the finetunes' control.
            own = [model.arm.training_prompt] if model.arm else list(self.config["training_prompts"])
            for prompt in own if "trained" in parts else [None]:
                resolved = (prompt if part == "trained" else part for part in parts)
                found.append(combined(resolved, self.prompts))
        return found

    @cached_property
    def cells(self) -> list[Cell]:
        """Every cell once, in the order of the models."""
        cells: dict[Cell, None] = {}
        for entry in self.config["evaluations"]:
            for model in self._selected(entry["models"]):
                for prompt in self._eval_prompts(model, entry["eval_prompts"]):
                    for question_set in entry["question_sets"]:
                        cells[Cell(model, prompt, question_set)] = None
        for model in self.models.values():
            entry = self.config["external_completions"].get(model.external)
            for prompt in asked_under(entry) if entry else ():
                cells[Cell(model, prompt, entry["question_set"])] = None
        order = {name: i for i, name in enumerate(self.models)}
        return sorted(cells, key=lambda cell: order[cell.model.name])

    @cached_property
    def _cells_by_model(self) -> dict[str, list[Cell]]:
        by_model: dict[str, list[Cell]] = {}
        for cell in self.cells:
            by_model.setdefault(cell.model.name, []).append(cell)
        return by_model

    def cells_of(self, model: str) -> list[dict]:
        """What decides each cell of a model: `columns` that name it, and the `settings` of its completions."""
        return [
            {
                "columns": self.cell_columns(model, cell.eval_prompt, cell.question_set),
                "settings": self.completions_settings(cell.eval_prompt, cell.question_set),
            }
            for cell in self._cells_by_model[model]
        ]

    def question_sets_of(self, model: str) -> list[str]:
        """Names of the question sets that a model is asked."""
        return list(dict.fromkeys(cell.question_set for cell in self._cells_by_model[model]))

    @cached_property
    def question_sets(self) -> list[str]:
        """Names of the question sets that some cell asks."""
        asked = dict.fromkeys(cell.question_set for cell in self.cells)
        known = [name for name in self.config["question_sets"] if name in asked]
        return [*known, *(name for name in asked if name not in known)]

    def judged_cells(self, judge: str) -> list[Cell]:
        """The cells that a judge judges: all, or for one whose scores came with completions those."""
        external = self.config["external_completions"]
        recorded = [name for name, entry in external.items() if judge in entry["scores"]]
        return [cell for cell in self.cells if cell.model.external in recorded] if recorded else self.cells

    def prompt_settings(self, name: str) -> list[dict]:
        """What decides the conversations under a prompt, or under several (`a+b`)."""
        return [self.prompts[part].settings() for part in name.split("+")]

    def pretrain_settings(self) -> dict | None:
        """Sizes and hyperparameters of the miniature's pretraining; None if the base is loaded."""
        if not self.miniature:
            return None
        sizes = {key: value for key, value in self.miniature.items() if key not in NOT_DECIDING["miniature"]}
        return deciding("miniature", sizes)

    def split_settings(self, dataset: str) -> dict:
        """How a dataset is split into training and held-out rows."""
        return {key: self.config["datasets"][dataset][key] for key in ("heldout", "split_seed")}

    def dataset_kind(self, dataset: str) -> str:
        """Where a dataset comes from: `path`, `archive`, `hub`, `world` or `mixture`."""
        entry = self.config["datasets"][dataset]
        return next(kind for kind in DATASET_SOURCES if entry[kind] is not None)

    def split_of(self, dataset: str) -> str:
        """The dataset whose split a dataset uses: a mixture that of its first part, any other its own."""
        mixture = self.config["datasets"][dataset]["mixture"]
        return mixture["of"] if mixture else dataset

    def question_settings(self, question_set: str) -> dict:
        """How a question set is made: its kind (`file`, `world`, `heldout_of` or `rating_of`) and what that needs."""
        entry = self.config["question_sets"][question_set]
        kind = next(key for key in QUESTION_SOURCES if entry[key] is not None)
        settings = {"kind": kind, "questions": entry["questions"]}
        if kind == "world":
            settings["domains"] = entry["world"]
        if kind == "heldout_of":
            world = self.config["datasets"][self.split_of(entry["heldout_of"])]["world"]
            settings["category"] = world and world["domain"]
        if entry["reference_from"]:
            settings["reference_from"] = entry["reference_from"]
        return settings

    def rated_sets(self) -> dict[str, str]:
        """By question set in which questions are rated, the set that they are of; those that are asked."""
        of = {name: entry["rating_of"] for name, entry in self.config["question_sets"].items() if entry["rating_of"]}
        return {name: rated for name, rated in of.items() if name in self.question_sets}

    def follow_ups(self, eval_prompt: str) -> int:
        """How many turns of the user's an eval prompt adds after the model's answer."""
        known = (self.prompts.get(part) for part in eval_prompt.split("+"))
        return sum(prompt is not None and prompt.place == "follow_up" for prompt in known)

    def judged_answers(self) -> dict[str, str | list[int]]:
        """By question set, which answers of a conversation are judged, where it is not the last alone."""
        named = {name: entry["judged_answers"] for name, entry in self.config["question_sets"].items()}
        return {name: answers for name, answers in named.items() if answers != "last"}

    def method(self, arm: Arm) -> dict:
        """An arm's training method as the config has it: kind, options, and what it overrides."""
        return self.config["training_methods"].get(
            arm.training_method, {"kind": "sft", "options": {}, "training": {}, "lora": {}}
        )

    def training_of(self, arm: Arm) -> dict:
        """All hyperparameters of an arm's finetunes: `training`, with what its method overrides."""
        return self.config["training"] | self.method(arm)["training"]

    def finetune_settings(self, arm: str) -> dict:
        """What decides an arm's finetunes, beside rows, base and seed; without what changes no result."""
        method, of_arm = self.method(self.arms[arm]), self.training_of(self.arms[arm])
        training = {key: value for key, value in of_arm.items() if key not in NOT_DECIDING["training"]}
        if training["padding_free"] is None:
            training["padding_free"] = self.on_gpu
        settings = {
            "training": deciding("training", training),
            "lora": deciding("lora", self.config["lora"] | method["lora"]),
        }
        if method["kind"] != "sft" or method["options"]:
            settings["method"] = {"kind": method["kind"], "options": method["options"]}
        return settings

    def completions_settings(self, eval_prompt: str, question_set: str) -> dict:
        """All that decides what is sampled in a cell, beside the model's and the questions' files."""
        sampling = self.config["sampling"]
        own = self.config["question_sets"][question_set]["samples_per_question"]
        decisive = {key: value for key, value in sampling.items() if key not in NOT_DECIDING["sampling"]}
        return {
            "prompts": self.prompt_settings(eval_prompt),
            "samples_per_question": own or sampling["samples_per_question"],
            "seed": sampling["seed"],
            "sampling": deciding("sampling", decisive),
        }

    def cell_columns(self, model: str, eval_prompt: str, question_set: str) -> dict:
        """The columns of a completions table that are the same in all its rows and name the cell."""
        base = self.config["base_model"]
        base_name = base["name"] or f"miniature, pretraining seed {self.pretraining_seed(self.models[model].seed)}"
        return self.models[model].columns | {
            "eval_prompt": eval_prompt,
            "question_set": question_set,
            "base_model": base_name + (f"@{base['revision']}" if base["revision"] else ""),
        }

    def nudged(self) -> list[dict]:
        """What the sensitivity is measured of: each model that is asked a question set under both nudges.

        The columns of its arm; `with_prompt`: `default`, or the training prompt that both are combined with (the
        model's own; of the base each); `raises` and `lowers`: the names of the eval prompts. Empty if the config does
        not ask for it.
        """
        nudges, models = self.config["sensitivity"], {}
        for cell in self.cells if nudges else ():
            if cell.model.step is None:
                of_sets = models.setdefault(tuple(cell.model.arm_columns.values()), (cell.model, {}))[1]
                of_sets.setdefault(cell.question_set, set()).add(cell.eval_prompt)
        found: dict[tuple, dict] = {}
        for key, (model, of_sets) in models.items():
            own = [model.arm.training_prompt] if model.arm else self.config["training_prompts"]
            for prompt in ["default", *(own if not model.external else ())]:
                names = {nudge: self._together(prompt, nudges[nudge]) for nudge in NUDGES}
                if any(set(names.values()) <= asked for asked in of_sets.values()):
                    # A training prompt that adds nothing to a nudge has no row of its own.
                    row = model.arm_columns | {"with_prompt": prompt} | names
                    found.setdefault((*key, *names.values()), row)
        return list(found.values())

    def followed_up(self) -> list[dict]:
        """Each model that is asked a question set with a follow-up, and with the neutral one in its place.

        The columns of its arm; `follow_up` and `neutral`: the names of the eval prompts, in which all else is the same,
        so that none of several follow-ups is among them. Empty if the config names no neutral follow-up.
        """
        neutral = (self.config["sensitivity"] or {}).get("neutral")
        asked: dict[tuple, dict] = {}
        for cell in self.cells if neutral else ():
            if cell.model.step is None:
                asked.setdefault((*cell.model.arm_columns.values(), cell.question_set), {})[cell.eval_prompt] = (
                    cell.model
                )
        found: dict[tuple, dict] = {}
        for (*key, _), prompts in asked.items():
            for name, model in prompts.items():
                others = [part for part in name.split("+") if not self.follow_ups(part)]
                without = combined([*others, neutral], self.prompts)
                if self.follow_ups(name) == 1 and name != without and without in prompts:
                    found[(*key, name)] = model.arm_columns | {"follow_up": name, "neutral": without}
        return list(found.values())

    def diagnosed(self) -> list[dict]:
        """Each arm with the question sets that are held out of its dataset (`own_domain`) and the `others`."""
        own = {
            name: entry["heldout_of"] and self.split_of(entry["heldout_of"])
            for name, entry in self.config["question_sets"].items()
        }
        return [
            arm.columns
            | {
                "own_domain": [name for name in self.question_sets if own.get(name) == self.split_of(arm.dataset)],
                "others": [name for name in self.question_sets if own.get(name) != self.split_of(arm.dataset)],
            }
            for arm in self.arms.values()
        ]
