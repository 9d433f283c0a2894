"""What is asked of a loaded model and what it gives back; no heavy library is imported here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sampling:
    """How to sample; documented key by key in config/README.md. Repetition penalty is always 1."""

    temperature: float
    top_p: float
    top_k: int
    max_new_tokens: int


@dataclass(frozen=True)
class Completion:
    """What a model answered; the fields are columns of the completions table.

    finish_reason: `stop` if the model ended its turn, `length` if it was cut at max_new_tokens.
    n_tokens: tokens generated, the end of turn included.
    """

    completion: str
    finish_reason: str
    n_tokens: int


@dataclass(frozen=True)
class Scored:
    """How likely an answer was: its token ids, the end of turn included, and the log-likelihood of each in nats."""

    tokens: list[int]
    log_likelihoods: list[float]
