"""Getting an answer to every request: from the ledger, or from the server in rounds until nothing is missing."""

from collections.abc import Iterator

from organisms.job.errors import UserError
from organisms.job.log import Report
from organisms.judging.account import Account
from organisms.judging.batches import Batches
from organisms.judging.ledger import Ledger
from organisms.judging.live import Connection, LiveRound
from organisms.judging.prices import Budget, Prices
from organisms.judging.ratings import Rating, read_rating
from organisms.judging.requests import Ask, MessagesRequests
from organisms.judging.templates import Template

# Rounds of a batch in which nothing was answered, before it is given up.
_EMPTY_ROUNDS = 3


def rating_so_far(ledger: Ledger, key: str, template: Template, attempts: int) -> Rating | None:
    """What the ledger says to a request; None if it is to be asked (again).

    The first usable answer counts. After `attempts` answers of which none is usable, the last one is the rating.
    """
    rating, n = None, 0
    for text, stop_reason, *_ in ledger.attempts(key):
        rating, n = read_rating(text, template.flags, stop_reason, template.bounds), n + 1
        if rating.usable:
            return rating
    return rating if n >= attempts else None


def spent_so_far(ledger: Ledger, prices: Prices, model: str) -> float:
    """Dollars for every answer in the ledger. model: the one that is asked, as `Prices.of_answer` has it."""
    return sum(prices.of_answer(used, model) for used in ledger.usage())


def buy(
    asks: dict[str, Ask],
    requests: MessagesRequests,
    ledger: Ledger,
    prices: Prices,
    connection: Connection,
    sending: dict,
    report: Report,
) -> dict[str, Rating]:
    """The rating of every request, by its key; those that the ledger does not have are asked for and paid.

    asks: what to ask, by `Requests.key`. sending: the judge's `send`, `batch_from`, `budget_usd` and
    `poll_seconds` of the config. Raises UserError when the server refuses, does not answer, or the budget is used
    up; the ledger then has all that was bought, and the next call goes on from there.
    """
    settings = requests.settings
    spent = spent_so_far(ledger, prices, settings["model"])
    budget = Budget(sending["budget_usd"], prices, settings["model"], settings["max_tokens"], spent)
    account = Account(ledger, budget)
    batches = Batches(connection, account, report, sending["poll_seconds"])
    rejected: dict[str, str] = {}
    ratings: dict[str, Rating] = {}
    # What an earlier process sent is fetched first, whatever way of sending the config now asks for.
    batches.fetch_open()
    before, empty_rounds = None, 0
    while True:
        missing = []
        for key, ask in asks.items():
            if key in ratings:
                continue
            rating = rating_so_far(ledger, key, requests.templates[ask.metric], settings["attempts"])
            if rating is None and key in rejected:
                rating = Rating(None, "rejected", raw=rejected[key])
            if rating is None:
                missing.append(key)
            else:
                ratings[key] = rating
        if not missing:
            return ratings
        empty_rounds = empty_rounds + 1 if len(missing) == before else 0
        before = len(missing)
        if empty_rounds >= _EMPTY_ROUNDS + settings["attempts"]:
            raise UserError(f"{len(missing)} requests were answered in none of the last rounds; run again later")
        rates = ledger.tokens_per_byte()
        budget.tokens_per_byte = min(1.0, 1.1 * rates[1]) if rates else 1.0
        in_batch = sending["send"] == "batch" or (sending["send"] == "auto" and len(missing) >= sending["batch_from"])
        report(f"{len(missing)} of {len(asks)} distinct requests to send, {'in batches' if in_batch else 'live'}")

        def calls(keys: list[str] = missing) -> Iterator[tuple[str, dict, int]]:
            for key in keys:
                params = requests.params(asks[key])
                yield key, params, len(params["messages"][0]["content"].encode())

        if in_batch:
            batches.run(calls())
            rejected |= batches.rejected
        else:
            live = LiveRound(connection, account, report)
            live.run(calls(), len(missing))
            rejected |= live.rejected
