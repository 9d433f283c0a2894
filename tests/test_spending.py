"""What an answer costs, and a budget that is kept whatever becomes of a call."""

import pytest
from anthropic.types import Message
from buying import MODEL, PRICES, bought, judge, questions, requests_to

from organisms.job.errors import UserError
from organisms.judging.account import Account
from organisms.judging.asked import usage_rows
from organisms.judging.ledger import open_ledger
from organisms.judging.live import as_response
from organisms.judging.prices import Budget, load_prices, with_dollars
from organisms.judging.purchase import spent_so_far
from organisms.judging.requests import Ask
from organisms.judging.responses import Response

CACHED = {"cache_creation_input_tokens": 200, "cache_read_input_tokens": 3000}


def message(**usage) -> Message:
    """An answer as the server sends it."""
    content = [{"type": "text", "text": "85"}]
    usage = {"input_tokens": 40, "output_tokens": 10} | usage
    return Message.model_validate(
        {"id": "m", "type": "message", "role": "assistant", "model": MODEL, "content": content, "usage": usage}
        | {"stop_reason": "end_turn", "stop_sequence": None}
    )


def budget(limit: float | None, model: str = MODEL) -> Budget:
    return Budget(limit, PRICES, model, 100, 0.0)


@pytest.mark.parametrize("tier", ["live", "batch"])
def test_cached_tokens_are_counted_and_cost_what_they_cost_wherever_dollars_are_counted(tmp_path, tier):
    given, taken = PRICES.models[MODEL]
    dollars = (given * (40 + 1.25 * 200 + 0.1 * 3000) + taken * 10) / 1e6
    dollars *= PRICES.batch_share if tier == "batch" else 1
    response = as_response("k", tier, message(**CACHED), 100, "https://s")
    assert (response.input_tokens, response.cache_write_tokens, response.cache_read_tokens) == (3240, 200, 3000)
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        account = Account(ledger, budget(1.0))
        account.book([response])
        assert account.spent == pytest.approx(dollars)
        # The next run begins with what is in the ledger, and the table of costs is made from it.
        assert spent_so_far(ledger, PRICES, MODEL) == pytest.approx(dollars)
        (row,) = with_dollars(usage_rows("j", ledger, ["k"]), PRICES)
    assert row["usd"] == pytest.approx(dollars)
    assert (row["input_tokens"], row["cache_write_tokens"], row["cache_read_tokens"]) == (3240, 200, 3000)
    plain = as_response("k", "live", message(), 100, "https://s")
    assert (plain.input_tokens, plain.cache_write_tokens, plain.cache_read_tokens) == (40, 0, 0)


def test_a_budget_is_kept_where_all_goes_into_a_cache():
    dear = message(input_tokens=0, output_tokens=100, cache_creation_input_tokens=2000)
    # As many bytes as tokens, but for what every request has beside its text.
    assert budget(1.0).bound(1000, "live") >= PRICES.of_answer(as_response("k", "live", dear, 1000, ""), MODEL)


def test_prices_without_cached_ones_have_those_of_anthropic(tmp_path):
    path = tmp_path / "prices.yaml"
    path.write_text(f"date: 2026-01-01\nbatch_share: 0.5\nmodels: {{{MODEL}: {{input: 1.0, output: 5.0}}}}\n")
    assert load_prices(path).dollars(MODEL, "live", 1000, 0, 200, 300) == pytest.approx((500 + 250 + 30) / 1e6)
    path.write_text(path.read_text() + "cache_write_share: 2\ncache_read_share: 0\n")
    assert load_prices(path).dollars(MODEL, "live", 1000, 0, 200, 300) == pytest.approx((500 + 400) / 1e6)


def test_an_answer_of_a_model_without_a_price_costs_what_the_model_that_was_asked_costs(tmp_path):
    """A server may name its model otherwise; the budget would count nothing and never be used up."""
    answer = Response("k", "live", "as-the-server-calls-it", "85", "end_turn", 1000, 10, 100)
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        account = Account(ledger, budget(1.0))
        account.book([answer])
        assert account.spent == spent_so_far(ledger, PRICES, MODEL) == PRICES.dollars(MODEL, "live", 1000, 10)
        assert spent_so_far(ledger, PRICES, "without-a-price") == 0
        # The table says of whom no price is known.
        assert with_dollars(usage_rows("j", ledger, []), PRICES)[0]["usd"] is None


def test_what_was_set_aside_is_given_back_whatever_the_call_cost(tmp_path):
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        bound = budget(1.0).bound(1000, "live")
        account = Account(ledger, budget(1.5 * bound))
        for _ in range(20):
            reserved = account.reserve(1000, "live")
            # There is room for one call at a time.
            with pytest.raises(UserError, match="would be passed"):
                account.reserve(1000, "live")
            account.release(reserved)
        assert account.spent == 0
        # A call that cost less than it could.
        reserved = account.reserve(1000, "live")
        account.book([Response("k", "live", MODEL, "85", "end_turn", 10, 1, 1000)])
        account.release(reserved)
        assert 0 < account.spent < bound / 10
        account.reserve(1000, "live")


def bound_and_cost(folder, judge_server, n: int) -> tuple[float, float]:
    """The most that one of n calls can cost, and what all cost."""
    server = judge_server()
    requests = requests_to(server)
    asks = questions(requests, n)
    judge(server, folder, asks, requests)
    longest = max(len(requests.prompt(ask).encode()) for ask in asks.values())
    return budget(1.0).bound(longest, "live"), PRICES.dollars(MODEL, "live", *bought(folder)["live"])


def test_calls_that_fail_are_cached_or_cost_less_leave_the_budget_whole(tmp_path, judge_server):
    bound, cost = bound_and_cost(tmp_path / "undisturbed", judge_server, 40)
    limit = cost + 1.5 * bound
    # Enough for what is bought and one call under way; whatever is not given back would end the run.
    assert 10 * bound > limit
    server = judge_server(faults={"500": 0.1})
    requests = requests_to(server)
    asks = questions(requests, 40)
    poison = [Ask("alignment", "Q", f"POISON {n}", "", 0) for n in range(8)]
    asks |= {requests.key(ask): ask for ask in poison}
    for _ in range(2):
        # The second time all answers are in the ledger, and only what the server refuses is asked again.
        ratings = judge(server, tmp_path / "live", asks, requests, concurrency=1, budget_usd=limit)
        assert len(ratings) == 48
        assert sum(rating.flag == "rejected" for rating in ratings.values()) == 8
    assert len(server.stats()["charged"]) == 40


def test_what_a_batch_had_set_aside_is_there_for_the_next(tmp_path, judge_server):
    bound, cost = bound_and_cost(tmp_path / "undisturbed", judge_server, 40)
    server = judge_server(batch_faults={"expired": 0.3})
    requests = requests_to(server)
    asks = questions(requests, 40)
    limit = PRICES.batch_share * (cost + 41 * bound)
    assert len(judge(server, tmp_path / "batch", asks, requests, send="batch", budget_usd=limit)) == 40
    assert len(server.stats()["batches"]) > 1


def test_cached_tokens_from_a_server_are_in_ledger_and_budget(tmp_path, judge_server):
    server = judge_server(cached=CACHED)
    requests = requests_to(server)
    asks = questions(requests, 10)
    judge(server, tmp_path, asks, requests)
    stats = server.stats()
    assert bought(tmp_path) == {"live": stats["tokens"]["live"]}
    given, taken = stats["tokens"]["live"]
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        spent = spent_so_far(ledger, PRICES, MODEL)
    assert spent == pytest.approx(PRICES.dollars(MODEL, "live", given, taken, 10 * 200, 10 * 3000))
    # All of it is there: another dollar's fraction of a limit lets nothing through.
    with pytest.raises(UserError, match="would be passed"):
        judge(server, tmp_path, questions(requests, 11), requests, budget_usd=spent * 1.01)
