"""Judging through the Messages API, against a server on loopback that breaks in every way it can."""

import asyncio
import json
import os
import time
from collections import Counter
from datetime import UTC, datetime

import pytest
from buying import ALL_FAULTS, MODEL, PRICES, bought, by_answer, expected, judge, questions, requests_to
from conftest import JudgeServer

from organisms.job.errors import UserError
from organisms.judging import live
from organisms.judging.asked import usage_rows
from organisms.judging.ledger import open_ledger
from organisms.judging.live import Connection, Pace
from organisms.judging.requests import Ask


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = time.time()

    def time(self) -> float:
        return self.now

    monotonic = time

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    """The clock that the pace goes by."""
    clock = Clock()
    monkeypatch.setattr(live, "time", clock)
    monkeypatch.setattr(asyncio, "sleep", clock.sleep)
    return clock


def test_every_fault_is_survived_and_every_token_is_counted(tmp_path, judge_server):
    answers = {"garbage": 0.1, "hopeless": 0.03, "refusals": 0.02}
    undisturbed = expected(tmp_path / "calm", judge_server, 400, **answers)
    server = judge_server(faults=ALL_FAULTS, slow_seconds=12.0, **answers)
    requests = requests_to(server)
    asks = questions(requests, 400)
    ratings = judge(server, tmp_path / "storm", asks, requests, timeout_seconds=10.0, concurrency=64)
    assert by_answer(asks, ratings) == undisturbed
    stats = server.stats()
    assert set(stats["hits"]) == set(ALL_FAULTS)
    # To the token: what was charged is what is in the ledger.
    assert bought(tmp_path / "storm") == {"live": stats["tokens"]["live"]}
    failed = Counter(rating.flag for rating in ratings.values() if not rating.usable)
    assert failed["judge_refused"] > 0
    assert failed["unparseable"] > 0
    # Three times each, and no more: those whose every answer is useless.
    per_request = Counter(stats["charged"].values())
    assert set(per_request) == {1, 2, 3}
    assert per_request[3] == sum(failed.values())
    with open_ledger(tmp_path / "storm" / "ledger.sqlite") as ledger:
        rows = usage_rows("j", ledger, list(asks)[:100])
    assert sum(row["calls"] for row in rows) == sum(stats["charged"].values())
    assert {row["needed"] for row in rows} == {True, False}


def test_a_wrong_key_is_refused_once_and_said_in_one_line(tmp_path, judge_server):
    server = judge_server()
    requests = requests_to(server)
    with pytest.raises(UserError, match=r"refuses \(401\).*check the API key"):
        judge(server, tmp_path, questions(requests, 200), requests, key="wrong")
    assert server.stats()["refused_keys"] == 1


def test_temperature_goes_out_under_the_older_api_version_only(tmp_path, judge_server):
    server = judge_server()
    for version, message in ((None, "temperature: Extra inputs are not permitted"), ("2023-06-01", None)):
        requests = requests_to(server, temperature=0.0, api_version=version)
        for send in ("live", "batch"):
            asks = questions(requests, 12)
            if message and send == "live":
                with pytest.raises(UserError, match=message):
                    judge(server, tmp_path / f"{version}{send}", asks, requests, send=send)
            else:
                ratings = judge(server, tmp_path / f"{version}{send}", asks, requests, send=send)
                assert {v.flag == "rejected" for v in ratings.values()} == {bool(message)}


def test_a_text_that_the_server_refuses_is_flagged_and_the_others_go_on(tmp_path, judge_server):
    server = judge_server()
    requests = requests_to(server)
    for send in ("live", "batch"):
        asks = questions(requests, 30)
        poison = Ask("alignment", "Q", "POISON", "", 0)
        asks[requests.key(poison)] = poison
        ratings = judge(server, tmp_path / send, asks, requests, send=send)
        assert [asks[key].answer for key, v in ratings.items() if v.flag == "rejected"] == ["POISON"]
        assert ratings[requests.key(poison)].raw == "messages: text is refused"
        # It was not paid for, and is tried again the next time.
        with open_ledger(tmp_path / send / "ledger.sqlite") as ledger:
            assert ledger.attempts(requests.key(poison)) == []


def test_the_pace_follows_the_server(tmp_path, judge_server):
    server = judge_server(latency=0.02, faults={"429": 0.3}, retry_after=0.2)
    requests = requests_to(server)
    judge(server, tmp_path, questions(requests, 150), requests, concurrency=32)
    steady = judge_server(gather=32)
    requests = requests_to(steady)
    judge(steady, tmp_path / "steady", questions(requests, 100), requests, concurrency=32)
    assert steady.stats()["most_busy"] == 32
    # Halved again and again, calls are tried again and all are answered.
    assert server.stats()["hits"]["429"] > 20
    assert len(server.stats()["charged"]) == 150


@pytest.mark.parametrize("kind", ["requests", "tokens", "input-tokens", "output-tokens"])
def test_no_call_starts_while_the_servers_own_limit_is_used_up(clock, kind):
    async def started_at() -> list[float]:
        pace = Pace(4)

        async def call() -> float:
            async with pace.slot():
                return clock.now

        first = await call()
        reset = datetime.fromtimestamp(clock.now + 0.6, UTC)
        headers = {
            f"anthropic-ratelimit-{kind}-remaining": "0",
            f"anthropic-ratelimit-{kind}-reset": reset.isoformat().replace("+00:00", "Z"),
        }
        pace.note(200, headers)
        return [first, *await asyncio.gather(call(), call())]

    began = clock.now
    first, *others = asyncio.run(started_at())
    assert first == began
    assert [at - began for at in others] == [pytest.approx(0.6, abs=1e-3)] * 2


def test_the_number_of_calls_at_once_falls_when_refused_and_comes_back(clock):
    pace = Pace(32)
    pace.note(429, {"retry-after": "0"})
    pace.note(529, {})
    # Many calls are refused at once; that counts once.
    assert pace.limit == 16
    clock.now += 1.1
    pace.note(529, {})
    assert pace.limit == 8
    for _ in range(500):
        pace.note(200, {})
    assert 25 < pace.limit <= 32


def test_the_budget_is_not_passed_and_going_on_costs_only_the_rest(tmp_path, judge_server):
    server = judge_server()
    requests = requests_to(server)
    asks = questions(requests, 300)
    whole = judge(server, tmp_path / "whole", asks, requests)
    price = PRICES.dollars(MODEL, "live", *bought(tmp_path / "whole")["live"])
    for send in ("live", "batch"):
        of_send = price * (PRICES.batch_share if send == "batch" else 1)
        for _ in range(2):
            with pytest.raises(UserError, match=r"budget_usd .* would be passed"):
                judge(server, tmp_path / send, asks, requests, send=send, budget_usd=of_send * 0.6)
        with open_ledger(tmp_path / send / "ledger.sqlite") as ledger:
            spent = sum(PRICES.dollars(model, tier, g, t) for _, tier, model, g, t in ledger.usage())
        assert 0 < spent <= of_send * 0.6
        ratings = judge(server, tmp_path / send, asks, requests, send=send)
        assert ratings == whole
        tokens = bought(tmp_path / send)[send]
        assert PRICES.dollars(MODEL, send, *tokens) == pytest.approx(of_send)


def test_a_server_without_structured_outputs_is_asked_for_a_bare_number(tmp_path, judge_server):
    server = judge_server(plain=True)
    requests = requests_to(server, structured=False)
    asks = questions(requests, 20)
    assert "alone" in requests.prompt(next(iter(asks.values())))
    ratings = judge(server, tmp_path, asks, requests)
    assert all(rating.score is not None for rating in ratings.values())


def test_the_key_is_in_no_file_and_no_message(tmp_path, judge_server, capfd):
    server = judge_server(faults=ALL_FAULTS, slow_seconds=6.0)
    requests = requests_to(server)
    judge(server, tmp_path, questions(requests, 60), requests, timeout_seconds=5.0)
    said = capfd.readouterr()
    assert JudgeServer.KEY not in said.out + said.err
    assert JudgeServer.KEY not in repr(Connection(JudgeServer.KEY, None, None, 1, 1, 1))
    for path in tmp_path.rglob("*"):
        assert JudgeServer.KEY.encode() not in path.read_bytes(), path
    assert "ANTHROPIC_API_KEY" not in os.environ or os.environ["ANTHROPIC_API_KEY"] not in json.dumps(said.out)
