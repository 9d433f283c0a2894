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
from organisms.judging.ledger import open_ledger
from organisms.judging.responses import Response


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
