"""Opening a model: the one way for finetunes, completions and local judges."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class OpenedModel:
    """A model in this process, with its tokenizer; use `open_model`.

    Its weights are loaded when they are first asked for, so that what can be said without them is said before.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", load: Callable[[], "PreTrainedModel"]):
        self.tokenizer, self._load = tokenizer, load

    @cached_property
    def model(self) -> "PreTrainedModel":
        return self._load()


def open_model(
    files: list[str], base: dict, adapter: Path | None = None, system_role: bool = True, attention: str = "sdpa"
) -> OpenedModel:
    """Open a model: a base, with an adapter merged into it if there is one, or a judge.

    files: as `loading.base_folder` takes them. base: `device`, `dtype` and `trust_remote_code`. adapter: its folder.
    system_role: whether its chat template must have one. attention: the implementation, by transformers' name. Raises
    UserError if the device is not here or a file is damaged.
    """
    from organisms.models.loading import base_folder, check_device, load_organism, load_tokenizer

    check_device(base["device"])
    folder = base_folder(files)
    tokenizer = load_tokenizer(folder, system_role, trust_remote_code=base.get("trust_remote_code", False))
    return OpenedModel(tokenizer, lambda: load_organism(folder, adapter, **base, attention=attention))
