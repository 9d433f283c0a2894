"""What judging costs, and the budget that it may not pass."""

from dataclasses import dataclass
from pathlib import Path

from organisms.job.errors import UserError
from organisms.job.yaml_files import read_yaml
from organisms.judging.responses import Response, Used

# Tokens of a request beyond its text: roles, and what structured outputs add. An upper bound, ours.
OVERHEAD_TOKENS = 1000
# Anthropic's, for files of prices that do not say what cached tokens cost.
_CACHE_SHARES = {"write": 1.25, "read": 0.1}
_TOKENS = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")


@dataclass(frozen=True)
class Prices:
    """Dollars per million tokens: (input, output) by model; batch_share: a batch's price as a share of the live one.

    cache_write_share, cache_read_share: price of an input token that goes into a cache, or comes from it, as a share.
    """

    models: dict[str, tuple[float, float]]
    batch_share: float
    date: str
    cache_write_share: float
    cache_read_share: float

    def dollars(
        self,
        model: str,
        tier: str,
        input_tokens: float,
        output_tokens: float,
        cache_write_tokens: int = 0,
        cache_read_tokens: int = 0,
    ) -> float | None:
        """tier: `live`, `batch` or `local` (which costs nothing here). None if the model has no price.

        cache_write_tokens, cache_read_tokens: those of the input tokens that have another price.
        """
        if tier == "local":
            return 0.0
        if model not in self.models:
            return None
        given, taken = self.models[model]
        share = self.batch_share if tier == "batch" else 1.0
        plain = input_tokens - cache_write_tokens - cache_read_tokens
        as_plain = plain + self.cache_write_share * cache_write_tokens + self.cache_read_share * cache_read_tokens
        return share * (given * as_plain + taken * output_tokens) / 1e6

    def of_answer(self, answer: Response | Used, asked: str) -> float:
        """Dollars of an answer; asked: the model whose price stands in if the one that answered has none. 0 without."""
        model = answer.model if answer.model in self.models else asked
        return self.dollars(model, answer.tier, *(getattr(answer, name) for name in _TOKENS)) or 0.0


def load_prices(path: str | Path) -> Prices:
    """Read a file of prices. Raises UserError naming the file."""
    raw = read_yaml(path, "file of prices")
    try:
        models = {name: (float(entry["input"]), float(entry["output"])) for name, entry in raw["models"].items()}
        cached = (float(raw.get(f"cache_{what}_share", share)) for what, share in _CACHE_SHARES.items())
        return Prices(models, float(raw["batch_share"]), str(raw["date"]), *cached)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not a file of prices ({error}); compare it with resources/prices.yaml") from error


def with_dollars(usage: list[dict], prices: Prices) -> list[dict]:
    """Rows of the cost table from rows of the usage table."""
    return [
        row
        | {"usd": prices.dollars(row["model"], row["tier"], *(row[name] for name in _TOKENS))}
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
        # The server may put all of it into a cache, which may cost more.
        tokens *= max(1.0, self._prices.cache_write_share)
        return self._prices.dollars(self._model, tier, tokens, self._max_tokens) or 0.0

    def reserve(self, dollars: float) -> bool:
        """Set dollars aside for a call; False, and nothing set aside, if the limit could be passed."""
        if self._limit is not None and self.spent + self._reserved + dollars > self._limit:
            return False
        self._reserved += dollars
        return True

    def release(self, reserved: float) -> None:
        """Give back what was set aside for calls that are over."""
        self._reserved -= reserved

    def pay(self, answer: Response) -> None:
        """Count what an answer really cost."""
        self.spent += self._prices.of_answer(answer, self._model)

    @property
    def exhausted(self) -> UserError:
        return UserError(
            f"budget_usd {self._limit:g} would be passed: {self.spent:.4f} dollars are spent, and the next call could "
            "cost more than what is left. Everything bought so far is kept; raise budget_usd and run again to go on"
        )
