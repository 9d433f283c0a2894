"""Scores that came with completions of another tool."""

from pathlib import Path

from organisms.completions.tables import RECORDED_SCORES
from organisms.job import tables
from organisms.job.errors import UserError
from organisms.judging.judgments import recorded_judgments
from organisms.judging.kind import JudgeKind
from organisms.plan.experiment import Cell, Experiment


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

    def metrics_of(self, cell: Cell) -> list[str]:
        entry = self._entries().get(cell.model.external)
        return list(entry["scores"][self.name]) if entry else []

    def check(self) -> None:
        if not self._entries():
            raise UserError("no entry of external_completions has scores of this judge; name it there, or take it out")

    def sources(self, experiment: Experiment) -> dict[str, list[str]]:
        models = [model.name for model in experiment.models.values() if model.external in self._entries()]
        return {"scores": [f"<results>/external_completions/{name}" for name in models]}

    def judgments(self, cells, sources, report):
        folders = {Path(folder).name: Path(folder) for folder in sources["scores"]}
        of_cell = lambda rows: tables.read(folders[rows[0]["model"]] / "scores.parquet", RECORDED_SCORES).to_dicts()  # noqa: E731
        return (recorded_judgments(self.name, rows, of_cell(rows)) for rows in cells), []
