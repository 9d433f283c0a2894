"""Verdicts on everything that is asked: from the Messages API, through the ledger."""

import os

from organisms.job_log import Report
from organisms.judging.asked import Asked, usage_rows
from organisms.judging.judgments import check_missing
from organisms.judging.ledger import open_ledger
from organisms.judging.live import Connection
from organisms.judging.plan import ledger_path, sending
from organisms.judging.prices import load_prices
from organisms.judging.purchase import buy
from organisms.judging.requests import Requests


def api_verdicts(
    config: dict, judge: str, requests: Requests, asked: Asked, report: Report
) -> tuple[dict[str, dict], list[dict]]:
    """What was said to each request, by its key (`Asked.verdict_rows`), and rows of the usage table.

    judge: of kind `anthropic`. Raises UserError if the server refuses, the budget is used up, or more than max_missing
    of a cell's rows have no usable answer. What was bought is in the ledger in any case.
    """
    entry = config["judges"][judge]
    report(f"{asked.n_rows} judgments, {len(asked.asks)} distinct requests")
    keys = ("base_url", "api_version", "concurrency", "timeout_seconds", "patience_minutes")
    connection = Connection(os.environ.get(entry["api_key_env"], ""), **{key: entry[key] for key in keys})
    with open_ledger(ledger_path(config, judge), report) as ledger:
        verdicts = buy(
            asked.asks, requests, ledger, load_prices(config["prices"]), connection, sending(config, judge), report
        )
        models = {key: attempts[-1][2] for key in asked.asks if (attempts := ledger.attempts(key))}
        usage = usage_rows(judge, ledger, asked.asks)
    check_missing(asked.by_cell(verdicts), entry["max_missing"])
    return asked.verdict_rows(verdicts, models), usage
