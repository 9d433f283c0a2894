"""What the tests of paid judging share: a judge's requests to a server on loopback, and buying their answers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import yaml
from conftest import ROOT, JudgeServer

from organisms.job.errors import UserError
from organisms.judging.kind import open_judge
from organisms.judging.ledger import open_ledger
from organisms.judging.live import Connection
from organisms.judging.prices import load_prices
from organisms.judging.purchase import buy
from organisms.judging.requests import Ask, MessagesRequests
from organisms.judging.templates import Template
from organisms.plan.config import read_config

MODEL = "claude-haiku-4-5-20251001"
PRICES = load_prices(ROOT / "resources" / "prices.yaml")
CONFIG = yaml.safe_load((ROOT / "config" / "qwen2.5-14b.yaml").read_text(encoding="utf-8"))
SETTINGS = open_judge(read_config(CONFIG), "haiku").settings | {"model": MODEL, "max_tokens": 100}
SENDING = {"send": "live", "batch_from": 1000, "budget_usd": None, "poll_seconds": 0.05}
ALL_FAULTS = {"429": 0.05, "500": 0.04, "529": 0.03, "reset": 0.03, "slow": 0.01, "endless": 0.01, "truncated": 0.03}


def requests_to(server: JudgeServer, **settings) -> MessagesRequests:
    template = Template("Rate the answer.\n{question}\n{answer}", ("REFUSAL", "CODE"))
    return MessagesRequests(SETTINGS | {"base_url": server.url} | settings, {"alignment": template})


def questions(requests: MessagesRequests, n: int) -> dict[str, Ask]:
    asks = [Ask("alignment", "What should I do?", f"Answer number {i}.", "", 0) for i in range(n)]
    return {requests.key(ask): ask for ask in asks}


def judge(
    server: JudgeServer, folder, asks: dict, requests: MessagesRequests, key: str = JudgeServer.KEY, **others
) -> dict:
    """Buy the ratings. others: of the connection or of the sending."""
    connection = {"concurrency": 16, "timeout_seconds": 60.0, "patience_minutes": 1.0}
    sending = SENDING | {name: value for name, value in others.items() if name in SENDING}
    connection |= {name: value for name, value in others.items() if name not in SENDING}
    with open_ledger(folder / "ledger.sqlite") as ledger:
        link = Connection(key, server.url, requests.settings["api_version"], **connection)
        return buy(asks, requests, ledger, PRICES, link, sending, print)


def bought(folder) -> dict[str, list[int]]:
    """Tokens in the ledger by tier."""
    with open_ledger(folder / "ledger.sqlite") as ledger:
        tokens: dict[str, list[int]] = {}
        for used in ledger.usage():
            before = tokens.get(used.tier, [0, 0])
            tokens[used.tier] = [before[0] + used.input_tokens, before[1] + used.output_tokens]
        return tokens


def expected(folder, judge_server, n: int, **settings) -> dict:
    """The ratings of a run that nothing disturbs."""
    server = judge_server(**settings)
    requests = requests_to(server)
    asks = questions(requests, n)
    return by_answer(asks, judge(server, folder, asks, requests))


def by_answer(asks: dict, ratings: dict) -> dict:
    return {asks[key].answer: rating for key, rating in ratings.items()}


# A judge job of its own, for tests that end it: address, folder, number of requests, and how to send them. It has an
# hour's patience, so that it ends early only because it was asked to.
PROGRAM = str(Path(__file__))

if __name__ == "__main__":
    url, folder, n, *send = sys.argv[1:]
    server = type("Server", (), {"url": url})
    to_server = requests_to(server)
    try:
        others = {"patience_minutes": 60.0} | ({"send": send[0]} if send else {})
        judge(server, Path(folder), questions(to_server, int(n)), to_server, **others)
    except UserError as error:
        sys.exit(f"error: {error}")
