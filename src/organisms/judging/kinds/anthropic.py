"""A model behind the Messages API: Anthropic's, or any server that speaks it."""

import os

from organisms.job.errors import UserError
from organisms.judging.asked import usage_rows
from organisms.judging.by_prompt import JudgeByPrompt
from organisms.judging.judgments import check_missing
from organisms.judging.kind import ledger_path
from organisms.judging.ledger import open_ledger
from organisms.judging.prices import load_prices
from organisms.judging.requests import MessagesRequests

# The post's judge.
DEFAULT_MODEL = "claude-haiku-4-5-20251001"
_CONNECTION = ("base_url", "api_version", "concurrency", "timeout_seconds", "patience_minutes")
_SENDING = ("send", "batch_from", "budget_usd", "poll_seconds")


class Kind(JudgeByPrompt):
    """Asked live or in batches, through a ledger that keeps every answer."""

    paid = True
    decisive = ("base_url", "api_version", "temperature", "max_tokens", "structured", "reason", "samples", "attempts")
    requests_class = MessagesRequests

    @property
    def model(self) -> str:
        return self.entry["model"] or DEFAULT_MODEL

    @property
    def settings(self) -> dict:
        return super().settings | {"model": self.model}

    def check(self) -> None:
        if self.entry["temperature"] is not None and not (self.entry["api_version"] or self.entry["base_url"]):
            raise UserError(
                "temperature: Anthropic's server refuses it under the SDK's own API version; set "
                "api_version: '2023-06-01' too, or leave temperature out"
            )
        if self.entry["reason"] and not self.entry["structured"]:
            raise UserError("reason: needs structured: true; set one of the two")
        super().check()
        prices = load_prices(self.config["prices"])
        if self.entry["budget_usd"] is not None and self.model not in prices.models:
            raise UserError(
                f"budget_usd cannot be kept: {self.config['prices']} has no price of '{self.model}'; add it"
            )

    def ratings(self, requests, asked, sources, report):
        """Raises UserError if the server refuses, the budget is used up, or too many rows have no usable answer.

        What was bought is in the ledger in any case.
        """
        from organisms.judging.live import Connection
        from organisms.judging.purchase import buy

        report(f"{asked.n_rows} judgments, {len(asked.asks)} distinct requests")
        key = os.environ.get(self.entry["api_key_env"], "")
        connection = Connection(key, **{name: self.entry[name] for name in _CONNECTION})
        sending = {name: self.entry[name] for name in _SENDING}
        prices = load_prices(self.config["prices"])
        with open_ledger(ledger_path(self.config, self.name), report) as ledger:
            found = buy(asked.asks, requests, ledger, prices, connection, sending, report)
            models = {key: attempts[-1][2] for key in asked.asks if (attempts := ledger.attempts(key))}
            usage = usage_rows(self.name, ledger, asked.asks)
        check_missing(asked.by_cell(found), self.entry["max_missing"])
        return asked.rating_rows(found, models), usage
