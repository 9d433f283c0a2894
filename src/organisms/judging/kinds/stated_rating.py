"""Ratings that a model was asked for, as it states them: the number that it wrote, read strictly."""

import re

from organisms.judging.judgments import judgment
from organisms.judging.kind import JudgeKind
from organisms.plan.metrics import Metric, read_metric

# Digits and nothing else but a full stop: a number in a sentence may be about anything.
_STATED = re.compile(r"\s*([0-9]{1,9})\.?\s*", flags=re.ASCII)


def stated(text: str, metric: Metric) -> dict:
    """The score or the flag in what a model wrote: `unparseable`, or `out_of_range` of the metric's bounds."""
    found = _STATED.fullmatch(text)
    if found is None:
        return {"flag": "unparseable", "raw": text}
    number, bounds = float(found[1]), metric.bounds
    if bounds and not bounds[0] <= number <= bounds[1]:
        return {"flag": "out_of_range", "raw": text}
    return {"score": number}


class Kind(JudgeKind):
    """Judges the question sets with `rating_of`, and no others."""

    def metrics(self, question_set: str | None = None) -> list[str]:
        return rated_metrics(self.config, question_set)

    def judgments(self, cells, sources, report):
        return (self._of_cell(rows) for rows in cells), []

    def _of_cell(self, completions: list[dict]) -> list[dict]:
        return [
            judgment(self.name, row, name, **stated(row["completion"], read_metric(self.config, name)))
            for row in completions
            for name in self.metrics(row["question_set"])
        ]


def rated_metrics(config: dict, question_set: str | None) -> list[str]:
    """The metric that a question set's ratings are, or those of all sets; none of a set that rates nothing."""
    found = [
        entry["rates"]
        for name, entry in config["question_sets"].items()
        if entry["rating_of"] and question_set in (None, name)
    ]
    return list(dict.fromkeys(found))
