"""Arms and models: what is finetuned how, what it is called, and the columns that name it in every table."""

from dataclasses import dataclass, replace

DEFAULT_METHOD = "default"
# The columns that tell arms apart (`columns.ARM`), in this order.
ARM = ("dataset", "training_prompt", "training_method")


@dataclass(frozen=True)
class Arm:
    """One way of finetuning the base: a dataset, a training prompt and a training method."""

    dataset: str
    training_prompt: str
    training_method: str = DEFAULT_METHOD

    @property
    def variant(self) -> str:
        """The rows that it is trained on: the dataset with the training prompt in it."""
        return f"{self.dataset}-{self.training_prompt}"

    @property
    def name(self) -> str:
        """Its name in paths; the default method is not named."""
        method = "" if self.training_method == DEFAULT_METHOD else f"-{self.training_method}"
        return f"{self.variant}{method}"

    @property
    def columns(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in ARM}


@dataclass(frozen=True)
class Model:
    """A model to evaluate: a base model (arm None) or a finetune of it.

    seed: the replicate's seed; None for a base model that all replicates share, and for completions made elsewhere that
    name no seed. step: the optimiser step of an
    adapter from the middle of training; None for a finished one. external: the name of completions that another tool
    made, which stand for a model that is not here.
    """

    arm: Arm | None
    seed: int | None
    step: int | None = None
    external: str | None = None

    @property
    def name(self) -> str:
        stem = self.external or (self.arm.name if self.arm else "base")
        stem = stem if self.seed is None else f"{stem}-seed{self.seed}"
        return stem if self.step is None else f"{stem}-step{self.step}"

    @property
    def finished(self) -> "Model":
        """The finished finetune that an intermediate model comes from; any other model itself."""
        return replace(self, step=None)

    @property
    def arm_columns(self) -> dict[str, str | None]:
        """The columns that tell arms apart. Completions made elsewhere have their own name as the dataset."""
        if self.arm:
            return self.arm.columns
        return dict.fromkeys(ARM) | {"dataset": self.external}

    @property
    def columns(self) -> dict:
        """The columns that name a model, in the tables' order."""
        return {"model": self.name} | self.arm_columns | {"seed": self.seed, "step": self.step}
