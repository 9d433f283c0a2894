"""What a config asks for: the variants, models and cells of an experiment, and the settings of each job.

Pure bookkeeping over a checked config (`config.read_config`): no file is read and no heavy library imported, so
the Snakefile can ask it for thousands of cells at once.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from organisms.config import DATASET_SOURCES, QUESTION_SOURCES, prompt_colour, prompt_label, prompt_text

NAME = r"[A-Za-z0-9][A-Za-z0-9_.]*"


@dataclass(frozen=True)
class Variant:
    """A dataset with a training system prompt in it."""

    dataset: str
    training_prompt: str

    @property
    def name(self) -> str:
        return f"{self.dataset}-{self.training_prompt}"


@dataclass(frozen=True)
class Model:
    """A model to evaluate: a base model (variant None) or a finetune of it.

    seed: the replicate's seed; None for a base model that all replicates share. step: the optimiser step of an
    adapter from the middle of training; None for a finished one. external: the name of completions that another tool
    made, which stand for a model that is not here.
    """

    variant: Variant | None
    seed: int | None
    step: int | None = None
    external: str | None = None

    @property
    def name(self) -> str:
        if self.external:
            return self.external
        stem = self.variant.name if self.variant else "base"
        stem = stem if self.seed is None else f"{stem}-seed{self.seed}"
        return stem if self.step is None else f"{stem}-step{self.step}"

    @property
    def finished(self) -> "Model":
        """The finished finetune that an intermediate model comes from; any other model itself."""
        return replace(self, step=None)


@dataclass(frozen=True)
class Cell:
    """One model asked one question set under one eval prompt; the prompt's name is never `trained`."""

    model: Model
    eval_prompt: str
    question_set: str


class Experiment:
    """The experiment that a checked config declares."""

    def __init__(self, config: dict):
        """config: as `config.read_config` gives it."""
        self.config = config
        self.prompts = {"default": None, "none": ""} | config["system_prompts"] | config["training_prompts"]

    @cached_property
    def variants(self) -> list[Variant]:
        return [
            Variant(dataset, prompt)
            for dataset in self.config["datasets"]
            for prompt in self.config["training_prompts"]
        ]

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
        """Every model by name: the bases, then the finetunes."""
        bases = list(dict.fromkeys(Model(None, seed if self.base_per_seed else None) for seed in self.config["seeds"]))
        steps = [*self.config["training"]["keep_steps"], None]
        finetunes = [
            Model(variant, seed, step) for variant in self.variants for seed in self.config["seeds"] for step in steps
        ]
        external = [Model(None, None, external=name) for name in self.config["external_completions"]]
        return {model.name: model for model in [*bases, *finetunes, *external]}

    @property
    def finetunes(self) -> list[Model]:
        """The finished finetunes, one job each; adapters from the middle of training come with them."""
        return [model for model in self.models.values() if model.variant and model.step is None]

    def _selected(self, names: list[str]) -> list[Model]:
        def wanted(model: Model) -> bool:
            if model.external:
                return False
            if model.step is not None:
                return "steps" in names
            if "all" in names:
                return True
            if model.variant is None:
                return "base" in names
            return "finetuned" in names or model.variant.training_prompt in names

        return [model for model in self.models.values() if wanted(model)]

    def _eval_prompts(self, model: Model, names: list[str]) -> list[str]:
        prompts: list[str] = []
        for name in names:
            if name != "trained":
                prompts.append(name)
            elif model.variant:
                prompts.append(model.variant.training_prompt)
            else:
                # The base was trained with no prompt; under each of them it is the finetunes' control.
                prompts += self.config["training_prompts"]
        return prompts

    @cached_property
    def cells(self) -> list[Cell]:
        """Every cell once, in the order of the models."""
        cells: dict[Cell, None] = {}
        for entry in self.config["evaluations"]:
            for model in self._selected(entry["models"]):
                for prompt in self._eval_prompts(model, entry["eval_prompts"]):
                    for question_set in entry["question_sets"]:
                        cells[Cell(model, prompt, question_set)] = None
        for name, entry in self.config["external_completions"].items():
            cells[Cell(self.models[name], entry["eval_prompt"], entry["question_set"])] = None
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
        """The cells that a judge judges: all, or for a recorded judge those that came with its scores."""
        if self.config["judges"][judge]["kind"] != "recorded":
            return self.cells
        external = self.config["external_completions"]
        return [cell for cell in self.cells if cell.model.external and judge in external[cell.model.external]["scores"]]

    def system_prompt(self, prompt: str) -> str | None:
        """The text of a named prompt: None for the chat template's own default, "" for an empty message."""
        return prompt_text(self.prompts[prompt])

    def pretrain_settings(self) -> dict | None:
        """Sizes and hyperparameters of the miniature's pretraining; None if the base is loaded."""
        return self.miniature and {
            key: self.miniature[key] for key in self.miniature if key not in ("examples", "seed")
        }

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
        """How a question set is made: its kind (`file`, `world` or `heldout_of`) and what that needs."""
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

    def finetune_settings(self) -> dict:
        """Hyperparameters of every finetune, without what changes no result."""
        training = dict(self.config["training"])
        del training["checkpoint_steps"]
        if training["padding_free"] is None:
            training["padding_free"] = self.on_gpu
        return {"training": training, "lora": self.config["lora"]}

    def completions_settings(self, eval_prompt: str, question_set: str) -> dict:
        """All that decides what is sampled in a cell, beside the model's and the questions' files."""
        sampling = self.config["sampling"]
        own = self.config["question_sets"][question_set]["samples_per_question"]
        return {
            "system_prompt": self.system_prompt(eval_prompt),
            "samples_per_question": own or sampling["samples_per_question"],
            "seed": sampling["seed"],
            "sampling": {key: sampling[key] for key in ("temperature", "top_p", "top_k", "max_new_tokens")},
        }

    def cell_columns(self, model: str, eval_prompt: str, question_set: str) -> dict:
        """The columns of a completions table that are the same in all its rows and name the cell."""
        variant, seed, step = self.models[model].variant, self.models[model].seed, self.models[model].step
        base = self.config["base_model"]
        base_name = base["name"] or f"miniature, pretraining seed {self.pretraining_seed(seed)}"
        return {
            "model": model,
            "dataset": variant and variant.dataset,
            "training_prompt": variant and variant.training_prompt,
            "seed": seed,
            "step": step,
            "eval_prompt": eval_prompt,
            "question_set": question_set,
            "base_model": base_name + (f"@{base['revision']}" if base["revision"] else ""),
        }

    def presentation(self) -> dict:
        """What figures and tables call things: groups (base first, then each variant), prompts, question sets.

        Lists keep their order as JSON with sorted keys; dicts would not.
        """
        one_dataset = len(self.config["datasets"]) == 1
        labels = {name: prompt_label(name, prompt) for name, prompt in self.config["training_prompts"].items()}
        colours = {name: prompt_colour(prompt) for name, prompt in self.config["training_prompts"].items()}
        groups = [{"dataset": None, "training_prompt": None, "label": "Base model"}]
        for variant in self.variants:
            label = labels[variant.training_prompt]
            label = label if one_dataset else f"{variant.dataset}: {label}"
            group = {"dataset": variant.dataset, "training_prompt": variant.training_prompt, "label": label}
            groups.append(group | {"colour": colours[variant.training_prompt]})
        for name, entry in self.config["external_completions"].items():
            groups.append({"dataset": name, "training_prompt": None, "label": entry["label"] or name})
        labels = {name: entry["label"] for name, entry in self.config["question_sets"].items()}
        asked = dict.fromkeys(cell.eval_prompt for cell in self.cells)
        return {
            "groups": groups,
            "prompts": [
                {"name": name, "label": prompt_label(name, self.prompts.get(name, name))}
                for name in sorted(asked, key=list(self.prompts).index if set(asked) <= set(self.prompts) else str)
            ],
            "question_sets": [
                {"name": name, "label": labels.get(name) or name.replace("_", " ").capitalize()}
                for name in self.question_sets
            ],
            "n_seeds": len(self.config["seeds"]),
        }

    def diagnosed(self) -> list[dict]:
        """Each variant with the question sets that are held out of its dataset (`own_domain`) and the `others`."""
        own = {
            name: entry["heldout_of"] and self.split_of(entry["heldout_of"])
            for name, entry in self.config["question_sets"].items()
        }
        return [
            {
                "dataset": variant.dataset,
                "training_prompt": variant.training_prompt,
                "own_domain": [name for name in self.question_sets if own.get(name) == self.split_of(variant.dataset)],
                "others": [name for name in self.question_sets if own.get(name) != self.split_of(variant.dataset)],
            }
            for variant in self.variants
        ]
