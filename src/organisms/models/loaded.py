"""A loaded model: opened once, it answers conversations and scores given answers as often as it is asked.

`Answerer` is the seam: what is here in this process may one day be behind a server.
"""

from collections.abc import Callable
from typing import Protocol

from organisms.job.log import Report
from organisms.models.opening import OpenedModel
from organisms.models.settings import Completion, Sampling, Scored

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
    """A model of this process as an `Answerer`; apart from `opening`, so that a finetune does not hang on sampling."""

    def __init__(self, opened: OpenedModel):
        self.opened = opened

    @property
    def at_once(self) -> int:
        return _AT_ONCE.get(self.opened.model.device.type, 64)

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
        return sample(self.opened.model, self.opened.tokenizer, conversations, keys, sampling, size, report, keep)

    def score(
        self, conversations: list[list[dict]], answers: list[str], batch_size: int | None, report: Report
    ) -> list[Scored]:
        from organisms.models.scoring import log_likelihoods

        return log_likelihoods(
            self.opened.model, self.opened.tokenizer, conversations, answers, batch_size or self.at_once, report
        )
