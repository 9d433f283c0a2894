"""Ratings that a model was asked for, as it expects them: the mean number by the probabilities of its number tokens."""

import polars as pl

from organisms.job import tables
from organisms.judging.judgments import judgment
from organisms.judging.kind import JudgeKind
from organisms.judging.kinds.stated_rating import rated_metrics
from organisms.judging.tables import EXPECTED_RATINGS
from organisms.plan.experiment import Cell, Experiment

_KEY = ("model", "eval_prompt", "question_set", "question_id")


class Kind(JudgeKind):
    """Judges the question sets with `rating_of` by what rule expected_ratings found: no sampling stands in between."""

    def metrics(self, question_set: str | None = None) -> list[str]:
        return rated_metrics(self.config, question_set)

    def metrics_of(self, cell: Cell) -> list[str]:
        """None of completions made elsewhere: their model is not here."""
        return [] if cell.model.external else self.metrics(cell.question_set)

    def sources(self, experiment: Experiment) -> dict[str, list[str]]:
        models = dict.fromkeys(cell.model.name for cell in experiment.cells if self.metrics_of(cell))
        return {"expected": [f"<results>/expected_ratings/{name}.parquet" for name in models]}

    def judgments(self, cells, sources, report):
        found = [tables.read(path, EXPECTED_RATINGS) for path in sources["expected"]]
        rated = pl.concat(found) if found else EXPECTED_RATINGS.frame()
        by_key = {tuple(row[name] for name in _KEY): row for row in rated.to_dicts()}
        return (self._of_cell(rows, by_key) for rows in cells), []

    def _of_cell(self, completions: list[dict], rated: dict[tuple, dict]) -> list[dict]:
        rows = []
        for completion in completions:
            found = rated.get(tuple(completion[name] for name in _KEY))
            if found is None:
                continue
            # All samples of a question have one expectation; the question is what counts.
            said = {"score": found["rating"]} if found["flag"] is None else {"flag": found["flag"], "raw": found["raw"]}
            rows += [judgment(self.name, completion, name, **said) for name in self.metrics(completion["question_set"])]
        return rows
