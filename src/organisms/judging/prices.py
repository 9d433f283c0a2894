"""What judging costs, and the budget that it may not pass."""

from dataclasses import dataclass
from pathlib import Path

from organisms.job.errors import UserError
from organisms.job.yaml_files import read_yaml

# Tokens of a request beyond its text: roles, and what structured outputs add. An upper bound, ours.
OVERHEAD_TOKENS = 1000


@dataclass(frozen=True)
class Prices:
    """Dollars per million tokens: (input, output) by model; batch_share: a batch's price as a share of the live one."""

    models: dict[str, tuple[float, float]]
    batch_share: float
    date: str

    def dollars(self, model: str, tier: str, input_tokens: float, output_tokens: float) -> float | None:
        """tier: `live`, `batch` or `local` (which costs nothing here). None if the model has no price."""
        if tier == "local":
            return 0.0
        if model not in self.models:
            return None
        given, taken = self.models[model]
        share = self.batch_share if tier == "batch" else 1.0
        return share * (given * input_tokens + taken * output_tokens) / 1e6


def load_prices(path: str | Path) -> Prices:
    """Read a file of prices. Raises UserError naming the file."""
    raw = read_yaml(path, "file of prices")
    try:
        models = {name: (float(entry["input"]), float(entry["output"])) for name, entry in raw["models"].items()}
        return Prices(models, float(raw["batch_share"]), str(raw["date"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not a file of prices ({error}); compare it with resources/prices.yaml") from error


def with_dollars(usage: list[dict], prices: Prices) -> list[dict]:
    """Rows of the cost table from rows of the usage table."""
    return [
        row
        | {"usd": prices.dollars(row["model"], row["tier"], row["input_tokens"], row["output_tokens"])}
        | {"prices_of": prices.date}
        for row in usage
    ]


class Budget:
    """Keeps what was spent and what calls under way may at most cost below a limit.

    limit: dollars, or None for no limit. A call's cost is bounded before it is made: a byte of text is at most one
    token, or `tokens_per_byte` where that was measured (its largest value so far, and a tenth more).
    """

    def __init__(self, limit: float | None, prices: Prices, model: str, max_tokens: int, spent: float):
        self._limit, self._prices, self._model, self._max_tokens = limit, prices, model, max_tokens
        self.spent, self._reserved = spent, 0.0
        self.tokens_per_byte = 1.0

    def bound(self, prompt_bytes: int, tier: str) -> float:
        """The most that a call can cost, in dollars; 0 if there is no limit."""
        if self._limit is None:
            return 0.0
        tokens = prompt_bytes * self.tokens_per_byte + OVERHEAD_TOKENS
        return self._prices.dollars(self._model, tier, tokens, self._max_tokens) or 0.0

    def reserve(self, dollars: float) -> bool:
        """Set dollars aside for a call; False, and nothing set aside, if the limit could be passed."""
        if self._limit is not None and self.spent + self._reserved + dollars > self._limit:
            return False
        self._reserved += dollars
        return True

    def settle(self, reserved: float, input_tokens: int = 0, output_tokens: int = 0, tier: str = "live") -> None:
        """Put what a call really cost, which may be nothing, in the place of what was set aside for it."""
        self._reserved -= reserved
        self.spent += self._prices.dollars(self._model, tier, input_tokens, output_tokens) or 0.0

    @property
    def exhausted(self) -> UserError:
        return UserError(
            f"budget_usd {self._limit:g} would be passed: {self.spent:.4f} dollars are spent, and the next call could "
            "cost more than what is left. Everything bought so far is kept; raise budget_usd and run again to go on"
        )
