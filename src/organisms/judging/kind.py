"""Judge kinds: what a kind has to say of itself, and how the judges of a config are found."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path

from organisms.job.log import Report
from organisms.plan.experiment import Cell, Experiment
from organisms.plan.metrics import Metric, read_metric
from organisms.plan.settings import deciding

_KINDS = Path(__file__).parent / "kinds"


class JudgeKind:
    """One judge of a config. A kind is a subclass named `Kind` in a file of its own under `kinds`.

    The file imports what is heavy where it judges, since every plan of Snakemake asks it for inputs and settings. Its
    keys in the config stand in the schema, under `kinds` of `judges`.
    """

    # The rule that runs it: `judgments`, or `local_judgments`, whose jobs have a GPU.
    rule = "judgments"
    # Whether judging costs money, so that it has prices, a key and an estimate.
    paid = False
    # Whether it is asked by the prompts of metrics, so that the gold set and the attacks can be put to it.
    by_prompt = False
    # Keys of the config that decide what it says of a text, beside the prompts; the others change how it is asked.
    decisive: tuple[str, ...] = ()

    def __init__(self, config: dict, name: str):
        """config: checked. name: the judge's."""
        self.config, self.name, self.entry = config, name, config["judges"][name]

    @property
    def settings(self) -> dict:
        """All that decides what it says of a text, beside the prompts."""
        return {"kind": self.entry["kind"]} | {key: self.entry[key] for key in self.decisive}

    def parameters(self) -> dict:
        """What makes its judgments again when it changes: settings other than their first defaults, and prompts."""
        return deciding(f"judges.{self.entry['kind']}", self.settings)

    def metrics(self, question_set: str | None = None) -> list[str]:
        """Names of the metrics that it scores on a question set, or on any if none is named."""
        applies = {name: metric["question_sets"] for name, metric in self.config["metrics"].items()}
        # Where a model is asked for a number, no metric is meant unless it says so.
        asks_rating = self.config["question_sets"].get(question_set, {}).get("rating_of")
        return [
            metric
            for metric in self.entry.get("metrics", [])
            if question_set is None
            or (not asks_rating if applies.get(metric) is None else question_set in applies[metric])
        ]

    def metrics_of(self, cell: Cell) -> list[str]:
        """Names of the metrics that it scores in one of its cells."""
        return self.metrics(cell.question_set)

    def check(self) -> None:
        """Raise UserError if what it needs is not there; called before the first job of a run."""

    def check_ready(self, expensive: bool, report: Report) -> None:
        """Raise UserError if it cannot be asked now; called at the start of a run that has a job of it.

        expensive: whether the run first does work that would be lost time if it could not be asked after it.
        """

    def sources(self, experiment: Experiment) -> dict[str, list[str]]:
        """The files that it needs beside the completions, by name, as rules write them (`<results>/...`)."""
        return {}

    def judgments(
        self, cells: list[list[dict]], sources: Mapping[str, list[str]], report: Report
    ) -> tuple[Iterable[list[dict]], list[dict]]:
        """Rows of the judgments table, cell by cell, and rows of the usage table.

        cells: rows of the completions table each, those that are to be judged. sources: as `sources` named them.
        """
        raise NotImplementedError


def kind_names() -> list[str]:
    """The kinds, by their files' names; imports none of them."""
    return sorted(path.stem for path in _KINDS.glob("*.py") if path.stem != "__init__")


def module_of(kind: str) -> str:
    """The module of a kind, for the digest of the code that runs."""
    return f"organisms.judging.kinds.{kind}"


def decisive(kind: str) -> tuple[str, ...]:
    """Keys of the config that decide what a judge of a kind says."""
    return import_module(module_of(kind)).Kind.decisive


def open_judge(config: dict, name: str) -> JudgeKind:
    """A judge of a checked config."""
    return import_module(module_of(config["judges"][name]["kind"])).Kind(config, name)


def open_judges(config: dict) -> dict[str, JudgeKind]:
    """Every judge of a checked config, by name."""
    return {name: open_judge(config, name) for name in config["judges"]}


def scored_metrics(config: dict) -> list[Metric]:
    """The declarations of all metrics that some judge scores."""
    names = dict.fromkeys(metric for judge in open_judges(config).values() for metric in judge.metrics())
    named = dict.fromkeys([*names, config["main_metric"], config["coherence_metric"]])
    return [read_metric(config, name) for name in named]


def ledger_path(config: dict, judge: str) -> Path:
    """The file of every answer that a judge ever gave."""
    return Path(config["ledger"]) / f"{judge}.sqlite"
