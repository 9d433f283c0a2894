"""Judging through the Messages API, against a server on loopback that breaks in every way it can."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from conftest import ROOT, JudgeServer

from organisms.errors import UserError
from organisms.judging.asked import usage_rows
from organisms.judging.ledger import open_ledger
from organisms.judging.live import Connection, Pace
from organisms.judging.prices import load_prices
from organisms.judging.purchase import buy
from organisms.judging.requests import Ask, Requests
from organisms.judging.templates import Template

MODEL = "claude-haiku-4-5-20251001"
PRICES = load_prices(ROOT / "resources" / "prices.yaml")
SETTINGS = {
    "kind": "anthropic",
    "model": MODEL,
    "max_tokens": 100,
    "structured": True,
    "reason": False,
    "temperature": None,
    "base_url": None,
    "api_version": None,
    "samples": 1,
    "attempts": 3,
}
SENDING = {"send": "live", "batch_from": 1000, "budget_usd": None, "poll_seconds": 0.05}
ALL_FAULTS = {"429": 0.05, "500": 0.04, "529": 0.03, "reset": 0.03, "slow": 0.01, "endless": 0.01, "truncated": 0.03}


def requests_to(server: JudgeServer, **settings) -> Requests:
    template = Template("Rate the answer.\n{question}\n{answer}", ("REFUSAL", "CODE"))
    return Requests(SETTINGS | {"base_url": server.url} | settings, {"alignment": template})


def questions(requests: Requests, n: int) -> dict[str, Ask]:
    asks = [Ask("alignment", "What should I do?", f"Answer number {i}.", "", 0) for i in range(n)]
    return {requests.key(ask): ask for ask in asks}


def judge(server: JudgeServer, folder, asks: dict, requests: Requests, key: str = JudgeServer.KEY, **others) -> dict:
    """Buy the verdicts. others: of the connection or of the sending."""
    connection = {"concurrency": 16, "timeout_seconds": 0.7, "patience_minutes": 1.0}
    sending = SENDING | {name: value for name, value in others.items() if name in SENDING}
    connection |= {name: value for name, value in others.items() if name not in SENDING}
    with open_ledger(folder / "ledger.sqlite") as ledger:
        link = Connection(key, server.url, requests.settings["api_version"], **connection)
        return buy(asks, requests, ledger, PRICES, link, sending, print)


def bought(folder) -> dict[str, list[int]]:
    """Tokens in the ledger by tier."""
    with open_ledger(folder / "ledger.sqlite") as ledger:
        return {tier: list(tokens) for tier, tokens in ledger.tokens().items()}


def expected(folder, judge_server, n: int, **settings) -> dict:
    """The verdicts of a run that nothing disturbs."""
    server = judge_server(**settings)
    requests = requests_to(server)
    asks = questions(requests, n)
    verdicts = judge(server, folder, asks, requests)
    return {asks[key].answer: verdict for key, verdict in verdicts.items()}


def by_answer(asks: dict, verdicts: dict) -> dict:
    return {asks[key].answer: verdict for key, verdict in verdicts.items()}


def test_every_fault_is_survived_and_every_token_is_counted(tmp_path, judge_server):
    answers = {"garbage": 0.1, "hopeless": 0.03, "refusals": 0.02}
    undisturbed = expected(tmp_path / "calm", judge_server, 400, **answers)
    server = judge_server(faults=ALL_FAULTS, slow_seconds=1.5, **answers)
    requests = requests_to(server)
    asks = questions(requests, 400)
    verdicts = judge(server, tmp_path / "storm", asks, requests)
    assert by_answer(asks, verdicts) == undisturbed
    stats = server.stats()
    assert set(stats["hits"]) == set(ALL_FAULTS)
    # To the token: what was charged is what is in the ledger.
    assert bought(tmp_path / "storm") == {"live": stats["tokens"]["live"]}
    failed = Counter(verdict.flag for verdict in verdicts.values() if not verdict.usable)
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


def test_what_was_bought_is_not_bought_again(tmp_path, judge_server):
    server = judge_server()
    requests = requests_to(server)
    asks = questions(requests, 60)
    first = dict(list(asks.items())[:40])
    judge(server, tmp_path, first, requests)
    verdicts = judge(server, tmp_path, asks, requests)
    assert len(verdicts) == 60
    assert server.stats()["calls"] == 60
    # More attempts are new calls only for what has no usable answer.
    again = requests_to(server, attempts=9)
    judge(server, tmp_path, asks, again)
    assert server.stats()["calls"] == 60


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
                verdicts = judge(server, tmp_path / f"{version}{send}", asks, requests, send=send)
                assert {v.flag == "rejected" for v in verdicts.values()} == {bool(message)}


def test_a_text_that_the_server_refuses_is_flagged_and_the_others_go_on(tmp_path, judge_server):
    server = judge_server()
    requests = requests_to(server)
    for send in ("live", "batch"):
        asks = questions(requests, 30)
        poison = Ask("alignment", "Q", "POISON", "", 0)
        asks[requests.key(poison)] = poison
        verdicts = judge(server, tmp_path / send, asks, requests, send=send)
        assert [asks[key].answer for key, v in verdicts.items() if v.flag == "rejected"] == ["POISON"]
        assert verdicts[requests.key(poison)].raw == "messages: text is refused"
        # It was not paid for, and is tried again the next time.
        with open_ledger(tmp_path / send / "ledger.sqlite") as ledger:
            assert ledger.attempts(requests.key(poison)) == []


def test_a_server_that_is_down_ends_the_run_in_its_time_and_keeps_what_was_bought(tmp_path, judge_server):
    server = judge_server(latency=0.05)
    requests = requests_to(server)
    asks = questions(requests, 400)
    program = subprocess.Popen([sys.executable, "-c", _KILLED, server.url, str(tmp_path), "400"], text=True)
    while not (tmp_path / "ledger.sqlite").exists() or server.stats()["calls"] < 50:
        time.sleep(0.05)
    program.send_signal(signal.SIGTERM)
    assert program.wait(timeout=30) == 1
    # Asked to end: those under way were waited for, so nothing charged is missing.
    assert bought(tmp_path)["live"] == server.stats()["tokens"]["live"]
    server.process.kill()
    began = time.monotonic()
    with pytest.raises(UserError, match="has not answered a call within patience_minutes"):
        judge(server, tmp_path, asks, requests, patience_minutes=0.05)
    assert time.monotonic() - began < 20


def test_the_pace_follows_the_server(tmp_path, judge_server):
    server = judge_server(latency=0.02, faults={"429": 0.3}, retry_after=0.2)
    requests = requests_to(server)
    judge(server, tmp_path, questions(requests, 150), requests, concurrency=32)
    steady = judge_server(latency=0.02)
    requests = requests_to(steady)
    judge(steady, tmp_path / "steady", questions(requests, 150), requests, concurrency=32)
    assert 24 <= steady.stats()["most_busy"] <= 32
    # Halved again and again, calls are tried again and all are answered.
    assert server.stats()["hits"]["429"] > 20
    assert len(server.stats()["charged"]) == 150


@pytest.mark.parametrize("kind", ["requests", "tokens", "input-tokens", "output-tokens"])
def test_no_call_starts_while_the_servers_own_limit_is_used_up(kind):
    reset = datetime.now(UTC) + timedelta(seconds=0.6)
    headers = {
        f"anthropic-ratelimit-{kind}-remaining": "0",
        f"anthropic-ratelimit-{kind}-reset": reset.isoformat().replace("+00:00", "Z"),
    }

    async def started_after() -> list[float]:
        pace = Pace(4)
        began = time.monotonic()

        async def call() -> float:
            async with pace.slot():
                return time.monotonic() - began

        first = await call()
        pace.note(200, headers)
        return [first, *await asyncio.gather(call(), call())]

    first, *others = asyncio.run(started_after())
    assert first < 0.3
    assert all(0.4 < seconds < 5 for seconds in others)


def test_the_number_of_calls_at_once_falls_when_refused_and_comes_back():
    pace = Pace(32)
    pace.note(429, {"retry-after": "0"})
    pace.note(529, {})
    # Many calls are refused at once; that counts once.
    assert pace.limit == 16
    for _ in range(400):
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
        verdicts = judge(server, tmp_path / send, asks, requests, send=send)
        assert verdicts == whole
        tokens = bought(tmp_path / send)[send]
        assert PRICES.dollars(MODEL, send, *tokens) == pytest.approx(of_send)


def test_batches_come_back_in_any_order_and_what_failed_in_them_is_sent_again(tmp_path, judge_server):
    answers = {"garbage": 0.1, "hopeless": 0.02}
    undisturbed = expected(tmp_path / "calm", judge_server, 500, **answers)
    server = judge_server(batch_faults={"errored": 0.05, "expired": 0.05, "canceled": 0.05}, **answers)
    requests = requests_to(server)
    asks = questions(requests, 500)
    verdicts = judge(server, tmp_path / "batch", asks, requests, send="auto", batch_from=100)
    assert by_answer(asks, verdicts) == undisturbed
    stats = server.stats()
    assert next(iter(stats["batches"].values())) == 500
    # The rest was below the size from which batches pay, so it went out live.
    assert stats["calls"] > 0
    assert bought(tmp_path / "batch") == stats["tokens"]


def test_a_batch_whose_answer_got_lost_is_found_and_not_sent_twice(tmp_path, judge_server):
    server = judge_server(lost_creates=1)
    requests = requests_to(server)
    judge(server, tmp_path, questions(requests, 40), requests, send="batch")
    stats = server.stats()
    assert stats["batches"] == {"msgbatch_0000": 40}
    assert set(stats["charged"].values()) == {1}


def test_a_batch_in_flight_when_the_job_dies_is_fetched_by_the_next(tmp_path, judge_server):
    server = judge_server(batch_seconds=2.5)
    requests = requests_to(server)
    asks = questions(requests, 50)
    program = subprocess.Popen([sys.executable, "-c", _KILLED, server.url, str(tmp_path), "50", "batch"])
    while not server.stats()["batches"]:
        time.sleep(0.05)
    time.sleep(0.3)
    program.kill()
    program.wait()
    # Whatever way of sending is wished for now.
    verdicts = judge(server, tmp_path, asks, requests, send="live")
    assert len(verdicts) == 50
    stats = server.stats()
    assert stats["batches"] == {"msgbatch_0000": 50}
    assert stats["calls"] == 0
    assert set(stats["charged"].values()) == {1}


_KILLED = f"""
import sys
from pathlib import Path
sys.path[:0] = {[str(ROOT / "src"), str(ROOT / "tests")]!r}
from test_api_judging import judge, questions, requests_to
from organisms.errors import UserError
url, folder, n, *send = sys.argv[1:]
server = type("Server", (), {{"url": url}})
requests = requests_to(server)
try:
    judge(server, Path(folder), questions(requests, int(n)), requests, **({{"send": send[0]}} if send else {{}}))
except UserError as error:
    sys.exit(1)
"""


def test_killed_at_twenty_points_nothing_is_lost_or_paid_twice(tmp_path, judge_server):
    n, kills, concurrency = 2000, 20, 16
    undisturbed = expected(tmp_path / "calm", judge_server, n, garbage=0.05)
    server = judge_server(latency=0.01, garbage=0.05)
    requests = requests_to(server)
    asks = questions(requests, n)
    points = random.Random(7)
    charged_before = 0
    for _ in range(kills):
        program = subprocess.Popen([sys.executable, "-c", _KILLED, server.url, str(tmp_path / "killed"), str(n)])
        wanted = charged_before + points.randint(1, n // kills)
        while program.poll() is None and sum(server.stats()["charged"].values()) < wanted:
            time.sleep(0.005)
        program.send_signal(signal.SIGKILL)
        program.wait()
        charged_before = sum(server.stats()["charged"].values())
    assert charged_before < n
    verdicts = judge(server, tmp_path / "killed", asks, requests)
    assert by_answer(asks, verdicts) == undisturbed
    # What the ledger has more than the server charged is nothing; less is what was under way at a kill.
    with open_ledger(tmp_path / "killed" / "ledger.sqlite") as ledger:
        answers = Counter(key for key, *_ in ledger.usage())
    lost = sum(server.stats()["charged"].values()) - sum(answers.values())
    assert 0 <= lost <= kills * concurrency
    assert set(answers.values()) <= {1, 2}


def test_two_runs_at_once_share_one_ledger_and_pay_once(tmp_path, judge_server):
    server = judge_server(latency=0.02)
    programs = [
        subprocess.Popen([sys.executable, "-c", _KILLED, server.url, str(tmp_path), "200"], text=True) for _ in range(2)
    ]
    assert [program.wait(timeout=60) for program in programs] == [0, 0]
    assert set(server.stats()["charged"].values()) == {1}


def test_a_file_that_is_no_ledger_is_named(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.write_text("not a database, but long enough to have a header of its own" * 10, encoding="utf-8")
    with pytest.raises(UserError, match=r"ledger\.sqlite: not a ledger"), open_ledger(path):
        pass


def test_a_server_without_structured_outputs_is_asked_for_a_bare_number(tmp_path, judge_server):
    server = judge_server(plain=True)
    requests = requests_to(server, structured=False)
    asks = questions(requests, 20)
    assert "alone" in requests.prompt(next(iter(asks.values())))
    verdicts = judge(server, tmp_path, asks, requests)
    assert all(verdict.score is not None for verdict in verdicts.values())


def test_the_key_is_in_no_file_and_no_message(tmp_path, judge_server, capfd):
    server = judge_server(faults=ALL_FAULTS, slow_seconds=1.0)
    requests = requests_to(server)
    judge(server, tmp_path, questions(requests, 60), requests)
    said = capfd.readouterr()
    assert JudgeServer.KEY not in said.out + said.err
    assert JudgeServer.KEY not in repr(Connection(JudgeServer.KEY, None, None, 1, 1, 1))
    for path in tmp_path.rglob("*"):
        assert JudgeServer.KEY.encode() not in path.read_bytes(), path
    assert "ANTHROPIC_API_KEY" not in os.environ or os.environ["ANTHROPIC_API_KEY"] not in json.dumps(said.out)
