"""Judging through the Messages API, against a server on loopback that breaks in every way it can."""

import asyncio
import json
import os
import socket
import time
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from buying import ALL_FAULTS, MODEL, PRICES, bought, by_answer, expected, judge, questions, requests_to
from conftest import JudgeServer

from organisms.job import tables
from organisms.job.errors import UserError
from organisms.judging import live
from organisms.judging.asked import Asked, usage_rows
from organisms.judging.kind import open_judge
from organisms.judging.ledger import open_ledger
from organisms.judging.live import Connection, Pace, ask_for_nothing
from organisms.judging.purchase import spent_so_far
from organisms.judging.requests import Ask
from organisms.judging.tables import USAGE
from organisms.plan.config import read_config


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


@pytest.mark.parametrize("status", [429, 529])
def test_no_call_starts_before_the_server_says_that_one_may(clock, status):
    async def started_after(*headers: dict) -> float:
        pace = Pace(4)
        began = clock.now
        for of_answer in headers:
            pace.note(status, of_answer)
        async with pace.slot():
            return clock.now - began

    assert asyncio.run(started_after({"retry-after": "3"})) == pytest.approx(3)
    # The longer time counts, whichever call was told it, and what is no number of seconds is passed over.
    assert asyncio.run(started_after({"retry-after": "7.5"}, {"retry-after": "1"}, {})) == pytest.approx(7.5)
    assert asyncio.run(started_after({"retry-after": "soon"})) == 0


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
            spent = spent_so_far(ledger, PRICES, MODEL)
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


@pytest.mark.parametrize("client", [Anthropic, AsyncAnthropic])
def test_the_config_says_who_is_asked_and_not_the_environment(client, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://elsewhere.example")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "anthropic-version: 1999-01-01\nx-mine: 1")
    connection = Connection("key", None, None, 1, 1, 1)
    opened = connection.open(client)
    assert str(opened.base_url).rstrip("/") == connection.server == "https://api.anthropic.com"
    assert "x-mine" not in opened.default_headers
    assert opened.default_headers["anthropic-version"] != "1999-01-01"
    assert connection.not_followed() == ["ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS"]
    assert os.environ["ANTHROPIC_BASE_URL"] == "http://elsewhere.example"
    # A server of one's own may want such headers.
    own = Connection("key", "http://user:secret@here.example/api", None, 1, 1, 1)
    opened = own.open(client)
    assert opened.base_url.host == "here.example"
    assert opened.default_headers["x-mine"] == "1"
    assert own.not_followed() == []
    assert own.server == "http://here.example/api"


def test_every_judgment_says_which_server_answered(tmp_path, judge_server, monkeypatch, raw_config):
    vendor, other = judge_server(), judge_server()
    monkeypatch.setattr(live, "ANTHROPIC", vendor.url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", other.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", JudgeServer.KEY)
    for send in ("live", "batch"):
        entry = {"kind": "anthropic", "metrics": ["alignment"], "send": send, "poll_seconds": 0.05}
        config = read_config(raw_config | {"judges": {"j": entry}, "ledger": str(tmp_path / send)})
        kind, said = open_judge(config, "j"), []
        requests = kind.requests()
        asks = questions(requests, 3)
        asked = Asked(asks, {"a cell": {"alignment": list(asks)}})
        ratings, usage = kind.ratings(requests, asked, {}, said.append)
        assert {rating["server"] for rating in ratings.values()} == {row["server"] for row in usage} == {vendor.url}
        assert any("ANTHROPIC_BASE_URL is set and not followed" in line for line in said)
        tables.write(usage, tmp_path / "usage.parquet", USAGE)
    assert other.stats()["charged"] == {}


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{unused.getsockname()[1]}"


def without_names(*_arguments, **_keywords):
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize("send", ["live", "batch"])
@pytest.mark.parametrize(
    ("address", "proxy", "message"),
    [
        ("http://{nobody}", None, "http://{nobody} cannot be reached: {nobody} refuses the connection"),
        ("http://no.such.host", None, "cannot be reached: there is no host of the name 'no.such.host'"),
        (
            "http://judge.example",
            "http://user:secret@{nobody}",
            "cannot be reached: {nobody} refuses the connection, through the proxy http://{nobody} of the environment",
        ),
        ("judge.example/v1", None, "cannot be reached: Request URL is missing an 'http://' or 'https://' protocol"),
    ],
)
def test_where_waiting_cannot_help_the_cause_is_said_at_once(
    tmp_path, monkeypatch, nobody, send, address, proxy, message
):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    if proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.format(nobody=nobody))
    if "no.such" in address:
        monkeypatch.setattr(socket, "getaddrinfo", without_names)
    server = SimpleNamespace(url=address.format(nobody=nobody))
    requests = requests_to(server)
    with pytest.raises(UserError) as error:
        judge(server, tmp_path, questions(requests, 3), requests, send=send)
    assert message.format(nobody=nobody) in str(error.value)
    assert "secret" not in str(error.value)


def test_a_server_that_has_answered_is_waited_for_and_why_is_said_once(nobody):
    connection, said = Connection("key", f"http://{nobody}", None, 1, 1, 30), []
    refused = anthropic.APIConnectionError(request=None)
    refused.__cause__ = ConnectionRefusedError(111, "Connection refused")
    with pytest.raises(UserError, match="refuses the connection"):
        connection.failed(refused, said.append)
    connection.answered = True
    for _ in range(3):
        connection.failed(refused, said.append)
    reset = anthropic.APIConnectionError(request=None)
    reset.__cause__ = ConnectionResetError(104, "Connection reset by peer")
    connection.failed(reset, said.append)
    # It need never have answered for this one: a network may come back.
    Connection("key", f"http://{nobody}", None, 1, 1, 30).failed(reset, said.append)
    assert [line.split(": ", 1)[1] for line in said] == [
        f"{nobody} refuses the connection; trying again",
        "Connection reset by peer; trying again",
        "Connection reset by peer; trying again",
    ]


def test_whether_a_judge_is_there_is_asked_without_a_charge(tmp_path, judge_server, monkeypatch):
    server, plain = judge_server(), judge_server(counts=False)
    params = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "Are you there?"}]}

    def ask(key=JudgeServer.KEY, url=server.url, **others):
        ask_for_nothing(Connection(key, url, None, 1, 9, 1), params | others, print)

    ask()
    with pytest.raises(UserError, match=r"refuses \(401\).*check the API key"):
        ask(key="wrong")
    # A server of one's own need not know the call, nor the model in it; Anthropic's does.
    ask(url=plain.url)
    ask(model="unknown")
    monkeypatch.setattr(live, "ANTHROPIC", server.url)
    ask(url=None)
    with pytest.raises(UserError, match=r"refuses \(404\): model: unknown; check the model's id"):
        ask(url=None, model="unknown")
    for stats in (server.stats(), plain.stats()):
        assert (stats["calls"], stats["charged"]) == (0, {})
    assert server.stats()["counted"] == 4
    server.process.kill()
    server.process.wait()
    with pytest.raises(UserError, match="refuses the connection"):
        ask()
