"""Metrics: what judges score, each declared once in a file of its own.

A metric's file (`resources/metrics/NAME.yaml`, or the `template` of an entry of `metrics` in the config) holds what it
is called, its bounds and direction, and the prompt of judges that are asked by one. Every table, claim, figure and
page goes by the declaration and knows no metric by its name.
"""

import math
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from organisms import ROOT
from organisms.job.errors import UserError
from organisms.job.yaml_files import read_yaml

FOLDER = ROOT / "resources" / "metrics"
_DECLARED = ("title", "unit", "bounds", "good")


def digits_of(step: float) -> int:
    """How many decimals show a step that counts, such as a tenth of a scale or the margin of a claim."""
    return next((digits for digits, least in enumerate((2, 0.2, 0.02)) if step >= least), 3)


def in_digits(value: float, digits: int) -> str:
    """A number with so many decimals."""
    # Plus nothing, so that no number is written -0.
    return f"{round(value, digits) + 0.0:.{digits}f}"


@dataclass(frozen=True)
class Metric:
    """A metric's declaration.

    title: its name in figures and sentences. unit: what a point of it is called. low, high: the least and greatest
    possible score; None has no bound. good: which end is good, `high` or `low`, or None if neither is.
    """

    name: str
    title: str
    unit: str = "points"
    low: float | None = 0.0
    high: float | None = 100.0
    good: str | None = "high"

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The least and greatest possible score, or None if one of them has no bound."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def digits(self) -> int:
        """How many decimals a page writes it with: two on a scale from 0 to 1, none on one from 0 to 100."""
        return 0 if self.bounds is None else digits_of((self.bounds[1] - self.bounds[0]) / 10)

    @property
    def sign(self) -> int:
        """1 if a higher score is better, -1 if it is worse; 1 if neither is."""
        return -1 if self.good == "low" else 1

    def at(self, percent: float) -> float:
        """The score so many percent of the way from the least to the greatest; without bounds that of 0 to 100."""
        least, most = self.bounds or (0.0, 100.0)
        return least + percent * (most - least) / 100


# The number of characters of a completion, which no judge gives.
LENGTH = Metric("length", "Length", "characters", 0.0, None, None)


def shipped_metrics() -> list[str]:
    """Names of the metrics that the workflow ships: one for each file in `resources/metrics`."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def metric_file(config: dict, name: str) -> str:
    """The file of a metric, which need not be there."""
    own = config["metrics"].get(name, {}).get("template")
    shipped = Path("resources") / "metrics" / f"{name}.yaml"
    return own or str(shipped if shipped.exists() else ROOT / shipped)


@cache
def _declared(path: str) -> dict:
    raw = read_yaml(path, "metric")
    return {key: raw[key] for key in _DECLARED if key in raw} if isinstance(raw, dict) else {}


def read_metric(config: dict, name: str) -> Metric:
    """A metric's declaration: from its file, with what the config says of it; 0 to 100, high is good, where none does.

    Raises UserError, naming file and key, if bounds are not two numbers in order or `good` is neither high, low nor
    null.
    """
    path, entry = metric_file(config, name), config["metrics"].get(name, {})
    found = dict(_declared(path)) if Path(path).exists() else {}
    found |= {key: entry[key] for key in _DECLARED if entry.get(key) is not None}
    bounds = found.get("bounds", [0, 100])
    numbers = isinstance(bounds, list) and len(bounds) == 2 and all(isinstance(n, int | float) for n in bounds)
    if not numbers or not -math.inf < bounds[0] < bounds[1] < math.inf:
        raise UserError(f"{path}: bounds of metric '{name}' must be [least, greatest], two finite numbers")
    good = found.get("good", "high")
    if good not in ("high", "low", None):
        raise UserError(f"{path}: `good` of metric '{name}' must be high, low or null")
    title = found.get("title") or name.replace("_", " ").capitalize()
    return Metric(name, title, found.get("unit", "points"), float(bounds[0]), float(bounds[1]), good)


def as_settings(metrics: list[Metric]) -> list[dict]:
    """Metrics as plain values, for a rule's parameters."""
    return [asdict(metric) for metric in metrics]


def from_settings(settings: list[dict]) -> dict[str, Metric]:
    """Metrics by name, as `as_settings` gave them; the length of a completion is always among them."""
    return {entry["name"]: Metric(**entry) for entry in settings} | {LENGTH.name: LENGTH}
