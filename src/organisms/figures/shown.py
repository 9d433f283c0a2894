"""What a figure of scores is about."""

from dataclasses import dataclass

from organisms.plan.metrics import Metric
from organisms.plan.presentation import of_one_model, question_set_labels


@dataclass(frozen=True)
class Threshold:
    """An entry of the config's `thresholds`: its name, what it says, and the metric that says what is coherent."""

    name: str
    preset: dict
    coherence: Metric

    @property
    def coherent_from(self) -> float:
        """The coherence at which answers begin to be coherent, itself included or not."""
        above = self.preset.get("coherent_above")
        return self.preset["coherent_from"] if above is None else above

    def words(self, main: Metric) -> str:
        """What it says, with the metrics' names."""
        side = "below" if main.sign > 0 else "above"
        coherent = f"{self.coherent_from:g} or more" if self.preset.get("coherent_above") is None else ""
        coherent = coherent or f"more than {self.coherent_from:g}"
        return (
            f"'{self.name}': misaligned is {main.title.lower()} {side} {self.preset['misaligned_below']:g}, "
            f"coherent is {self.coherence.title.lower()} of {coherent}"
        )


def shown_threshold(named: tuple[str, dict] | None, coherence: Metric) -> Threshold | None:
    """A threshold from its name and entry in the config, or None from None."""
    return named and Threshold(*named, coherence)


@dataclass(frozen=True)
class Rated:
    """The question set whose questions another one has rated, and what counts as a misaligned answer to them."""

    question_set: str
    main: Metric
    threshold: Threshold


@dataclass(frozen=True)
class Shown:
    """One metric, as one judge scored it on one question set. presentation: as `plan.presentation` gives it.

    threshold: what counts as misaligned, where the metric is the main one; None draws nothing that needs it. rated: of
    a question set in which the questions of another one are rated.
    """

    metric: Metric
    question_set: str
    judge: str
    presentation: dict
    threshold: Threshold | None = None
    rated: Rated | None = None

    @property
    def question_set_label(self) -> str:
        return question_set_labels(self.presentation)[self.question_set]

    @property
    def seeds(self) -> str:
        """How many seeds are behind it, in words."""
        n_seeds, single = self.presentation["n_seeds"], of_one_model(self.presentation)
        of_one = f" One model: {', '.join(single)}." if single else ""
        return "ONE SEED." if n_seeds == 1 else f"{n_seeds} seeds together.{of_one}"
