"""People: a filled-in label sheet."""

from organisms.judging.judgments import judgment
from organisms.judging.kind import JudgeKind
from organisms.judging.label_sheet import METRICS, label_id, read_labels
from organisms.plan.experiment import Experiment


def label_judgments(judge: str, completions: list[dict], labels: dict[tuple[str, str], str]) -> list[dict]:
    """The labels as rows of the judgments table; what was not labelled is flagged `unlabelled`."""
    rows = []
    for completion in completions:
        for metric in METRICS:
            text = labels.get((label_id(completion), metric))
            if text is None:
                said = {"flag": "unlabelled"}
            elif text[0].isdigit():
                said = {"score": float(text)}
            else:
                said = {"flag": text.lower()}
            rows.append(judgment(judge, completion, metric, **said))
    return rows


class Kind(JudgeKind):
    """Labels are found by the completion's text, so a sheet outlives the run that it came from."""

    decisive = ("file",)

    def metrics(self, question_set: str | None = None) -> list[str]:
        return list(METRICS)

    def check(self) -> None:
        read_labels(self.entry["file"])

    def sources(self, experiment: Experiment) -> dict[str, list[str]]:
        return {"labels": [self.entry["file"]]}

    def judgments(self, cells, sources, report):
        (path,) = sources["labels"]
        labels = read_labels(path)
        return (label_judgments(self.name, rows, labels) for rows in cells), []
