"""A loaded model: opened once, it answers conversations and scores given answers as often as it is asked.

`Answerer` is the seam: what is here in this process may one day be behind a server.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from organisms.job.log import Report
from organisms.models.settings import Completion, Sampling, Scored

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Takes completions as they end, by the places of their conversations.
Keep = Callable[[list[int], list[Completion]], None]
# Conversations at once where nobody says: on a GPU fewer if its memory has no room for them.
_AT_ONCE = {"cpu": 64, "cuda": 512}


class Answerer(Protocol):
    """Whatever answers conversations and scores answers to them."""

    def answers(
        self,
        conversations: list[list[dict]],
        keys: list[str],
        sampling: Sampling,
        batch_size: int | None,
        report: Report,
        keep: Keep | None = None,
    ) -> list[Completion]:
        """One completion for each conversation; see `models.sampling.sample`. batch_size: None chooses one."""

    def score(
        self, conversations: list[list[dict]], answers: list[str], batch_size: int | None, report: Report
    ) -> list[Scored]:
        """The log-likelihood of each token of given answers; see `models.scoring.log_likelihoods`."""


class LoadedModel:
    """A model in this process, with its tokenizer; use `open_model`.

    Its weights are loaded when they are first asked for, so that what can be said without them is said before.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", load: Callable[[], "PreTrainedModel"]):
        self.tokenizer, self._load = tokenizer, load

    @cached_property
    def model(self) -> "PreTrainedModel":
        return self._load()

    @property
    def at_once(self) -> int:
        return _AT_ONCE.get(self.model.device.type, 64)

    def answers(
        self,
        conversations: list[list[dict]],
        keys: list[str],
        sampling: Sampling,
        batch_size: int | None,
        report: Report,
        keep: Keep | None = None,
    ) -> list[Completion]:
        from organisms.models.sampling import sample

        size = batch_size or self.at_once
        return sample(self.model, self.tokenizer, conversations, keys, sampling, size, report, keep)

    def score(
        self, conversations: list[list[dict]], answers: list[str], batch_size: int | None, report: Report
    ) -> list[Scored]:
        from organisms.models.scoring import log_likelihoods

        return log_likelihoods(self.model, self.tokenizer, conversations, answers, batch_size or self.at_once, report)


def open_model(
    files: list[str], base: dict, adapter: Path | None = None, system_role: bool = True, attention: str = "sdpa"
) -> LoadedModel:
    """Open a model: a base, with an adapter merged into it if there is one, or a judge.

    files: as `loading.base_folder` takes them. base: `device`, `dtype` and `trust_remote_code`. adapter: its folder.
    system_role: whether its chat template must have one. attention: the implementation, by transformers' name. Raises
    UserError if the device is not here or a file is damaged.
    """
    from organisms.models.loading import base_folder, check_device, load_organism, load_tokenizer

    check_device(base["device"])
    folder = base_folder(files)
    tokenizer = load_tokenizer(folder, system_role, trust_remote_code=base.get("trust_remote_code", False))
    return LoadedModel(tokenizer, lambda: load_organism(folder, adapter, **base, attention=attention))
