"""What a judge has bought and may still buy: its ledger and its budget, behind one door for whatever makes calls."""

from collections.abc import Iterable

from organisms.judging.ledger import Ledger
from organisms.judging.prices import Budget
from organisms.judging.responses import Response


class Account:
    """Dollars are set aside before a call, and what came back is written down and paid from them."""

    def __init__(self, ledger: Ledger, budget: Budget):
        self.ledger, self._budget = ledger, budget

    @property
    def spent(self) -> float:
        """Dollars so far."""
        return self._budget.spent

    def reserve(self, prompt_bytes: int, tier: str) -> float:
        """Set aside what a call can cost at most; gives that. Raises UserError if the budget could be passed."""
        bound = self._budget.bound(prompt_bytes, tier)
        if not self._budget.reserve(bound):
            raise self._budget.exhausted
        return bound

    def release(self, reserved: float) -> None:
        """Give back what was set aside for calls that are over."""
        self._budget.release(reserved)

    def book(self, responses: Iterable[Response], batch: int | None = None) -> None:
        """Write answers down and pay for them. batch: the name of the batch that they came in."""
        responses = list(responses)
        self.ledger.add(responses, batch=batch)
        for response in responses:
            self._budget.pay(response)
