"""Scores that came with completions of another tool."""

from organisms.completions.external import read_external, recorded_scores
from organisms.completions.tables import RECORDED_SCORES
from organisms.job import tables
from organisms.job.errors import UserError
from organisms.judging.judgments import recorded_judgments
from organisms.judging.kind import JudgeKind
from organisms.plan.experiment import Experiment
from organisms.plan.metrics import read_metric


class Kind(JudgeKind):
    """Judges the completions whose entry in `external_completions` has scores of it, and no others."""

    def _entries(self) -> dict[str, dict]:
        external = self.config["external_completions"]
        return {name: entry for name, entry in external.items() if self.name in entry["scores"]}

    def metrics(self, question_set: str | None = None) -> list[str]:
        found = [
            metric
            for entry in self._entries().values()
            if question_set in (None, entry["question_set"])
            for metric in entry["scores"][self.name]
        ]
        return list(dict.fromkeys(found))

    def check(self) -> None:
        if not self._entries():
            raise UserError("no entry of external_completions has scores of this judge; name it there, or take it out")
        for entry in self._entries().values():
            self._check_scores(entry)

    def _check_scores(self, entry: dict) -> None:
        """Raise UserError, with file and row, if a score cannot be read or lies outside of its metric's bounds."""
        columns = entry["scores"][self.name]
        declared = {metric: read_metric(self.config, metric) for metric in columns}
        rows = recorded_scores(entry | {"scores": {self.name: columns}})
        for place, row in enumerate(rows):
            metric = declared[row["metric"]]
            if row["score"] is not None and not metric.low <= row["score"] <= metric.high:
                # A completion has a score of each metric, in the file's order.
                number = read_external(entry)[place // len(columns)]["row"]
                raise UserError(
                    f"{entry['path']}, row {number}, column '{columns[metric.name]}': {row['score']:g} is no "
                    f"{metric.name} score, which go from {metric.low:g} to {metric.high:g}; mend it, or the metric's "
                    "bounds"
                )

    def sources(self, experiment: Experiment) -> dict[str, list[str]]:
        return {"scores": [f"<results>/external_completions/{name}/scores.parquet" for name in self._entries()]}

    def judgments(self, cells, sources, report):
        scores = dict(zip(self._entries(), sources["scores"], strict=True))
        of_cell = lambda rows: tables.read(scores[rows[0]["model"]], RECORDED_SCORES).to_dicts()  # noqa: E731
        return (recorded_judgments(self.name, rows, of_cell(rows)) for rows in cells), []
