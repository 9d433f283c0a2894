"""What was paid for: it is kept through kills, broken connections and lost batches, and not paid twice."""

import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest
from buying import PROGRAM, bought, by_answer, expected, judge, questions, requests_to
from conftest import LONGEST

from organisms.job.errors import UserError
from organisms.judging.account import Account
from organisms.judging.judgments import check_missing, judgments_by_prompt
from organisms.judging.ledger import open_ledger
from organisms.judging.prices import OVERHEAD_TOKENS, Budget, Prices
from organisms.judging.purchase import rating_so_far, spent_so_far
from organisms.judging.ratings import Rating
from organisms.judging.requests import Requests
from organisms.judging.responses import Response
from organisms.judging.templates import Template


class HangingUp:
    """Listens on a port and hangs up on whoever calls; `called` counts."""

    def __init__(self, port: int):
        self.called, self._closing = 0, False
        self._socket = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._hang_up, daemon=True)
        self._thread.start()

    def _hang_up(self) -> None:
        while not self._closing:
            call, _ = self._socket.accept()
            self.called += 1
            call.close()

    def close(self) -> None:
        self._closing = True
        # Closing a socket does not wake a thread that accepts on it; a last call does.
        socket.create_connection(self._socket.getsockname()).close()
        self._thread.join()
        self._socket.close()


def test_what_was_bought_is_not_bought_again(tmp_path, judge_server):
    server = judge_server()
    requests = requests_to(server)
    asks = questions(requests, 60)
    first = dict(list(asks.items())[:40])
    judge(server, tmp_path, first, requests)
    ratings = judge(server, tmp_path, asks, requests)
    assert len(ratings) == 60
    assert server.stats()["calls"] == 60
    # More attempts are new calls only for what has no usable answer.
    again = requests_to(server, attempts=9)
    judge(server, tmp_path, asks, again)
    assert server.stats()["calls"] == 60


def test_a_server_that_is_down_ends_the_run_in_its_time_and_keeps_what_was_bought(tmp_path, judge_server):
    # However late it is asked to end, there is work left.
    server = judge_server(latency=0.05, answer_up_to=300)
    requests = requests_to(server)
    asks = questions(requests, 400)
    program = subprocess.Popen([sys.executable, PROGRAM, server.url, str(tmp_path), "400"], text=True)
    while server.stats()["calls"] < 50:
        time.sleep(0.05)
    program.send_signal(signal.SIGTERM)
    server.answer_up_to(300 + 16)
    assert program.wait(timeout=LONGEST) == 1
    # Asked to end: those under way were waited for, so nothing charged is missing.
    assert bought(tmp_path)["live"] == server.stats()["tokens"]["live"]
    server.process.kill()
    server.process.wait()
    in_its_place = HangingUp(int(server.url.rsplit(":", 1)[1]))
    # Asked to end while nothing answers, it does not wait for the end of its patience, which is an hour.
    program = subprocess.Popen(
        [sys.executable, "-u", PROGRAM, server.url, str(tmp_path), "400"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "to send, live" in program.stdout.readline()
    while not in_its_place.called:
        time.sleep(0.05)
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=LONGEST)
    assert "error: asked to end; what was bought is kept" in said
    # Three seconds of patience are one more try, and no call follows the first that fails.
    in_its_place.called = 0
    with pytest.raises(UserError, match="has not answered a call within patience_minutes"):
        judge(server, tmp_path, asks, requests, patience_minutes=0.05)
    assert in_its_place.called == 2
    # Where nobody listens from the beginning, patience is of no use.
    in_its_place.close()
    with pytest.raises(UserError, match=r"127\.0\.0\.1:\d+ cannot be reached: 127\.0\.0\.1:\d+ refuses the connection"):
        judge(server, tmp_path, asks, requests)


def test_batches_come_back_in_any_order_and_what_failed_in_them_is_sent_again(tmp_path, judge_server):
    answers = {"garbage": 0.1, "hopeless": 0.02}
    undisturbed = expected(tmp_path / "calm", judge_server, 500, **answers)
    server = judge_server(batch_faults={"errored": 0.05, "expired": 0.05, "canceled": 0.05}, **answers)
    requests = requests_to(server)
    asks = questions(requests, 500)
    ratings = judge(server, tmp_path / "batch", asks, requests, send="auto", batch_from=100)
    assert by_answer(asks, ratings) == undisturbed
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


def test_results_that_break_off_are_read_on_and_no_answer_stands_twice(tmp_path, judge_server):
    server = judge_server(broken_results=2, lost_creates=1)
    requests = requests_to(server)
    ratings = judge(server, tmp_path, questions(requests, 300), requests, send="batch")
    assert len(ratings) == 300
    assert server.stats()["batches"] == {"msgbatch_0000": 300}
    assert bought(tmp_path) == {"batch": server.stats()["tokens"]["batch"]}


def test_a_batch_in_flight_when_the_job_dies_is_fetched_by_the_next(tmp_path, judge_server):
    server = judge_server(batch_seconds=2.5)
    requests = requests_to(server)
    asks = questions(requests, 50)
    program = subprocess.Popen([sys.executable, PROGRAM, server.url, str(tmp_path), "50", "batch"])
    while not server.stats()["batches"]:
        time.sleep(0.05)
    time.sleep(0.3)
    program.kill()
    program.wait()
    # Whatever way of sending is wished for now.
    ratings = judge(server, tmp_path, asks, requests, send="live")
    assert len(ratings) == 50
    stats = server.stats()
    assert stats["batches"] == {"msgbatch_0000": 50}
    assert stats["calls"] == 0
    assert set(stats["charged"].values()) == {1}


def test_killed_at_twenty_points_nothing_is_lost_or_paid_twice(tmp_path, judge_server):
    n, kills, concurrency = 2000, 20, 16
    undisturbed = expected(tmp_path / "calm", judge_server, n, garbage=0.05)
    server = judge_server(latency=0.01, garbage=0.05)
    requests = requests_to(server)
    asks = questions(requests, n)
    points = random.Random(7)
    charged_before = 0
    for _ in range(kills):
        program = subprocess.Popen([sys.executable, PROGRAM, server.url, str(tmp_path / "killed"), str(n)])
        wanted = charged_before + points.randint(1, n // kills)
        # However late the kill comes, most of the work is still to do.
        server.answer_up_to(wanted + concurrency)
        while program.poll() is None and sum(server.stats()["charged"].values()) < wanted:
            time.sleep(0.005)
        program.send_signal(signal.SIGKILL)
        program.wait()
        charged_before = sum(server.stats()["charged"].values())
    assert charged_before < n
    server.answer_up_to(2 * n)
    ratings = judge(server, tmp_path / "killed", asks, requests)
    assert by_answer(asks, ratings) == undisturbed
    # What the ledger has more than the server charged is nothing; less is what was under way at a kill.
    with open_ledger(tmp_path / "killed" / "ledger.sqlite") as ledger:
        answers = Counter(key for key, *_ in ledger.usage())
    lost = sum(server.stats()["charged"].values()) - sum(answers.values())
    assert 0 <= lost <= kills * concurrency
    assert set(answers.values()) <= {1, 2}


def test_two_runs_at_once_share_one_ledger_and_pay_once(tmp_path, judge_server):
    server = judge_server(latency=0.02)
    programs = [
        subprocess.Popen([sys.executable, PROGRAM, server.url, str(tmp_path), "200"], text=True) for _ in range(2)
    ]
    assert [program.wait(timeout=LONGEST) for program in programs] == [0, 0]
    assert set(server.stats()["charged"].values()) == {1}


def test_a_file_that_is_no_ledger_is_named(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.write_text("not a database, but long enough to have a header of its own" * 10, encoding="utf-8")
    with pytest.raises(UserError, match=r"ledger\.sqlite: not a file of this workflow"), open_ledger(path):
        pass


# Without a server: the ledger's rows, and dollars added up by hand.

# Two dollars a million tokens given, ten a million taken, half of it in batches.
CHEAP = Prices({"m": (2.0, 10.0)}, 0.5, "today", 1.0, 1.0)


def response(key, text="50", tier="live", given=1000, taken=100, prompt_bytes=4000, model="m"):
    return Response(key, tier, model, text, "end_turn", given, taken, prompt_bytes)


def test_the_ledger_keeps_attempts_in_their_order_and_counts_tokens(tmp_path):
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        ledger.add([response("a", "first"), response("b", "other"), response("a", "second")])
        ledger.add([response("a", "third", taken=40)])
        assert [text for text, *_ in ledger.attempts("a")] == ["first", "second", "third"]
        assert ledger.attempts("b") == [("other", "end_turn", "m", None)]
        assert ledger.attempts("c") == []
        assert sorted((used.key, used.input_tokens, used.output_tokens) for used in ledger.usage()) == [
            *(("a", 1000, 40), ("a", 1000, 100), ("a", 1000, 100), ("b", 1000, 100))
        ]
        assert ledger.mean_output_tokens() == pytest.approx(340 / 4)
        # What a byte is in tokens is known after twenty answers: all tokens by all bytes, and the most of one.
        ledger.add(response(f"n{n}", prompt_bytes=2000) for n in range(15))
        assert ledger.tokens_per_byte() is None
        ledger.add([response("long", given=9000, prompt_bytes=10_000)])
        assert ledger.tokens_per_byte() == pytest.approx(((19 * 1000 + 9000) / (4 * 4000 + 15 * 2000 + 10_000), 0.9))


def test_a_batch_is_open_until_it_is_done_and_answers_leave_its_list(tmp_path):
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        one, two = ledger.intend_batch([("a", 10), ("b", 20)]), ledger.intend_batch([("a", 10), ("c", 30)])
        ledger.batch_sent(two, "id two")
        assert [(name, sent, n) for name, sent, _, n in ledger.open_batches()] == [(one, None, 2), (two, "id two", 2)]
        assert (ledger.is_sent(one), ledger.is_sent(two), ledger.knows_batch("id two")) == (False, True, True)
        account = Account(ledger, Budget(None, CHEAP, "m", 100, 0.0))
        account.book([response("a", tier="batch")], batch=two)
        assert (ledger.batch_keys(one), ledger.batch_keys(two)) == ({"a": 10, "b": 20}, {"c": 30})
        ledger.batch_done(two, "fetched")
        assert [name for name, *_ in ledger.open_batches()] == [one]
        assert ledger.batch_keys(two) == {}
        assert ledger.batch_keys(one) == {"a": 10, "b": 20}


def test_an_account_sets_aside_what_a_call_can_cost_and_pays_what_it_did(tmp_path):
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        account = Account(ledger, Budget(0.02, CHEAP, "m", 100, 0.001))
        # A byte is at most a token: the prompt, its frame, and the longest answer.
        most = (2.0 * (3000 + OVERHEAD_TOKENS) + 10.0 * 100) / 1e6
        assert account.reserve(3000, "live") == pytest.approx(most)
        assert account.reserve(3000, "batch") == pytest.approx(most / 2)
        # 0.001 are spent and 0.0135 set aside, so that another 0.009 do not fit.
        with pytest.raises(UserError, match=r"budget_usd 0\.02 would be passed: 0\.0010 dollars are spent"):
            account.reserve(3000, "live")
        account.release(most + most / 2)
        account.book([response("a"), response("b", tier="batch")])
        assert account.spent == pytest.approx(0.001 + 0.003 + 0.0015)
        assert [text for text, *_ in ledger.attempts("a")] == ["50"]
        # Nothing is set aside any more: what is left is all there.
        account.reserve(3000, "live")
        with pytest.raises(UserError, match="would be passed"):
            account.reserve(3000, "live")
        assert spent_so_far(ledger, CHEAP, "m") == pytest.approx(0.0045)
        # A local answer costs nothing; where the answering model has no price, that of the one asked stands in.
        ledger.add([response("c", tier="local")])
        assert spent_so_far(ledger, CHEAP, "m") == pytest.approx(0.0045)
        ledger.add([response("d", model="of no price")])
        assert spent_so_far(ledger, CHEAP, "m") == pytest.approx(0.0075)
        assert spent_so_far(ledger, CHEAP, "no price either") == pytest.approx(0.0045)
        assert Account(ledger, Budget(None, CHEAP, "m", 100, 0.0)).reserve(10**9, "live") == 0


def test_the_first_usable_answer_counts_and_after_all_attempts_the_last(tmp_path):
    template = Template("{answer}", ("REFUSAL",))

    def said(*texts, attempts):
        with open_ledger(tmp_path / f"{'-'.join(texts)}{attempts}.sqlite") as ledger:
            ledger.add(response("a", text) for text in texts)
            return rating_so_far(ledger, "a", template, attempts)

    assert said("no number", "70", "80", attempts=3).score == 70
    assert said("no number", "REFUSAL", "80", attempts=3).flag == "refusal"
    assert said("no number", attempts=2) is None
    assert said("no number", "nor this", attempts=2).raw == "nor this"
    assert said("no number", "nor this", attempts=3) is None


def test_each_completion_has_its_own_samples_of_the_judge():
    cell = {"model": "m", "dataset": None, "training_prompt": None, "training_method": None, "seed": 0, "step": None}
    cell |= {"eval_prompt": "default", "question_set": "s", "category": None, "turn": 1}
    completions = [cell | {"question_id": q, "sample": 0, "completion": text} for q, text in (("a", "x"), ("b", "yy"))]
    # The first sample of both was one request.
    keys = {"alignment": ["one", "two", "one", "four"], "coherence": ["five", "six", "seven", "eight"]}
    ratings = {key: {"score": float(len(key)), "flag": None} for of in keys.values() for key in of}
    rows = judgments_by_prompt("j", completions, keys, Requests({"samples": 2}, {}), ratings)
    assert [(row["question_id"], row["metric"], row["judge_sample"], row["call"], row["copies"]) for row in rows] == [
        *(("a", "alignment", 0, "one", 2), ("a", "alignment", 1, "two", 1)),
        *(("a", "coherence", 0, "five", 1), ("a", "coherence", 1, "six", 1)),
        *(("b", "alignment", 0, "one", 2), ("b", "alignment", 1, "four", 1)),
        *(("b", "coherence", 0, "seven", 1), ("b", "coherence", 1, "eight", 1)),
    ]
    assert [row["score"] for row in rows] == [float(len(row["call"])) for row in rows]
    assert {row["length"] for row in rows if row["question_id"] == "b"} == {2}


def test_more_than_the_share_of_answers_that_may_be_missing_is_an_error():
    ratings = [Rating(50.0, None), Rating(None, "refusal"), Rating(50.0, None), Rating(None, "unparseable", raw="?")]
    check_missing({"cell": {"alignment": ratings}}, 0.25)
    with pytest.raises(UserError, match=r"cell: 1 of 4 judgments of alignment got no usable answer \(1 unparseable\)"):
        check_missing({"cell": {"alignment": ratings}}, 0.24)


def test_a_ledger_of_the_first_version_goes_on(tmp_path):
    path = tmp_path / "ledger.sqlite"
    first = sqlite3.connect(path)
    first.execute(
        "CREATE TABLE responses (key TEXT, attempt INTEGER, tier TEXT, model TEXT, text TEXT, stop_reason TEXT, "
        "input_tokens INTEGER, output_tokens INTEGER, prompt_bytes INTEGER, request_id TEXT, received_at REAL, "
        "PRIMARY KEY (key, attempt)) WITHOUT ROWID"
    )
    first.execute("INSERT INTO responses VALUES ('a', 0, 'live', 'm', '85', 'end_turn', 9, 3, 30, 'r', 0.0)")
    first.commit()
    first.close()
    for _ in range(2):
        with open_ledger(path) as ledger:
            assert ledger.attempts("a") == [("85", "end_turn", "m", None)]
            assert [tuple(used) for used in ledger.usage()] == [("a", "live", "m", None, 9, 3, 0, 0)]
    with open_ledger(path) as ledger:
        ledger.add([Response("a", "live", "m", "90", "end_turn", 9, 3, 30, "r", "https://s", 4, 2)])
        assert ledger.attempts("a")[1] == ("90", "end_turn", "m", "https://s")
        assert tuple(list(ledger.usage())[1]) == ("a", "live", "m", "https://s", 9, 3, 4, 2)
