"""A model behind the Messages API: Anthropic's, or any server that speaks it."""

import os
import re
from urllib.parse import urlsplit

from organisms.job.errors import UserError
from organisms.judging.asked import usage_rows
from organisms.judging.by_prompt import JudgeByPrompt
from organisms.judging.judgments import check_missing
from organisms.judging.kind import ledger_path
from organisms.judging.ledger import open_ledger
from organisms.judging.prices import load_prices
from organisms.judging.requests import Ask, MessagesRequests

# The post's judge.
DEFAULT_MODEL = "claude-haiku-4-5-20251001"
_CONNECTION = ("base_url", "api_version", "concurrency", "timeout_seconds", "patience_minutes")
_SENDING = ("send", "batch_from", "budget_usd", "poll_seconds")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Asking for a port that is no number raises.
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return known and not re.search(r"\s", url)


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
        if self.entry["base_url"] is not None and not _is_address(self.entry["base_url"]):
            raise UserError(
                f"base_url: '{self.entry['base_url']}' is no address of a server; write it like https://host:8000"
            )
        super().check()
        prices = load_prices(self.config["prices"])
        if self.entry["budget_usd"] is not None and self.model not in prices.models:
            raise UserError(
                f"budget_usd cannot be kept: {self.config['prices']} has no price of '{self.model}'; add it"
            )

    def api_key(self) -> str:
        """Raises UserError if there is none, or one that no header can hold."""
        name = self.entry["api_key_env"]
        key = os.environ.get(name, "")
        if not key:
            raise UserError(
                f"the environment variable {name} is not set; export {name}=... and run again "
                "(`snakemake sampled` needs no key)"
            )
        if not re.fullmatch("[!-~]+", key):
            raise UserError(
                f"the environment variable {name} holds a space, a line break or another character that no key has; "
                f"export {name}=... with the key alone"
            )
        return key

    def connection(self):
        """How its server is reached, a `live.Connection`. Raises UserError if there is no API key."""
        from organisms.judging.live import Connection

        return Connection(self.api_key(), **{name: self.entry[name] for name in _CONNECTION})

    def check_ready(self, expensive, report):
        """Raises UserError if there is no API key or, before expensive work, if the server cannot be asked."""
        self.api_key()
        if not expensive:
            return
        try:
            from organisms.judging.live import ask_for_nothing
        except ImportError:
            report("its server is not asked whether it is there: the package anthropic is missing where Snakemake runs")
            return
        requests = self.requests()
        (metric, *_) = requests.templates
        ask_for_nothing(self.connection(), requests.params(Ask(metric, "Is anyone there?", "Yes.", "Yes.", 0)), report)

    def ratings(self, requests, asked, sources, report):
        """Raises UserError if the server refuses, the budget is used up, or too many rows have no usable answer.

        What was bought is in the ledger in any case.
        """
        from organisms.judging.purchase import buy

        report(f"{asked.n_rows} judgments, {len(asked.asks)} distinct requests")
        connection = self.connection()
        for name in connection.not_followed():
            report(f"{name} is set and not followed: {connection.server} is asked, as base_url has it")
        sending = {name: self.entry[name] for name in _SENDING}
        prices = load_prices(self.config["prices"])
        with open_ledger(ledger_path(self.config, self.name), report) as ledger:
            found = buy(asked.asks, requests, ledger, prices, connection, sending, report)
            last = {key: attempts[-1] for key in asked.asks if (attempts := ledger.attempts(key))}
            usage = usage_rows(self.name, ledger, asked.asks)
        check_missing(asked.by_cell(found), self.entry["max_missing"])
        answered_by = {key: {"judge_model": model, "server": server} for key, (_, _, model, server) in last.items()}
        return asked.rating_rows(found, answered_by), usage
