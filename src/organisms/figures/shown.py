"""What a figure of scores is about."""

from dataclasses import dataclass

from organisms.plan.metrics import Metric
from organisms.plan.presentation import of_one_model, question_set_labels


@dataclass(frozen=True)
class Shown:
    """One metric, as one judge scored it on one question set. presentation: as `plan.presentation` gives it."""

    metric: Metric
    question_set: str
    judge: str
    presentation: dict

    @property
    def question_set_label(self) -> str:
        return question_set_labels(self.presentation)[self.question_set]

    @property
    def seeds(self) -> str:
        """How many seeds are behind it, in words."""
        n_seeds, single = self.presentation["n_seeds"], of_one_model(self.presentation)
        of_one = f" One model: {', '.join(single)}." if single else ""
        return "ONE SEED." if n_seeds == 1 else f"{n_seeds} seeds together.{of_one}"
