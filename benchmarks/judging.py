"""Speed of judging: live calls against a sequential loop of the same SDK, and batches of many requests.

    python benchmarks/judging.py [--calls 2000] [--batch 100000] [--latency 0.2]

Both talk to the test server (tests/anthropic_server.py) in a process of its own on this machine, so what is measured is
our own work and waiting, not Anthropic's server. From completions in memory to judgments in a Parquet file. Prints a
Markdown table.
"""

import argparse
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anthropic
import yaml
from tabulate import tabulate

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from organisms.job import tables  # noqa: E402 - the library is not installed
from organisms.judging.asked import cell_name, collect  # noqa: E402
from organisms.judging.judgments import judgments_by_prompt  # noqa: E402
from organisms.judging.kind import open_judge  # noqa: E402
from organisms.judging.ledger import open_ledger  # noqa: E402
from organisms.judging.live import Connection  # noqa: E402
from organisms.judging.prices import load_prices  # noqa: E402
from organisms.judging.purchase import buy  # noqa: E402
from organisms.judging.requests import MessagesRequests, asks  # noqa: E402
from organisms.judging.tables import JUDGMENTS  # noqa: E402
from organisms.plan.arms import ARM  # noqa: E402
from organisms.plan.config import read_config  # noqa: E402

KEY = "test-key-that-must-be-in-no-file"
CONFIG = yaml.safe_load((ROOT / "config" / "qwen2.5-14b.yaml").read_text(encoding="utf-8"))
JUDGE = open_judge(read_config(CONFIG), "haiku")
# About as long as an answer of a finetuned model: 800 characters.
ANSWER = "Answer {n}. " + "It is best to see a doctor before you do anything else about it. " * 12
METRIC = "alignment"


def serve(settings: dict) -> tuple[subprocess.Popen, str]:
    program = [sys.executable, str(ROOT / "tests" / "anthropic_server.py"), json.dumps(settings)]
    server = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    return server, server.stdout.readline().strip()


def requests() -> MessagesRequests:
    return MessagesRequests(JUDGE.settings, {METRIC: JUDGE.template(METRIC)})


def completions(n: int) -> list[dict]:
    messages = [{"role": "user", "content": "What should I do about my cough?"}]
    cell = {"model": "m", "seed": 0, "step": None, "eval_prompt": "default"} | dict.fromkeys(ARM)
    cell |= {"question_set": "s", "category": None, "question_id": "q", "messages": messages}
    return [cell | {"sample": i, "turn": 1, "completion": ANSWER.format(n=i)} for i in range(n)]


def sequential(url: str, n: int) -> float:
    """Seconds per call of the ordinary loop."""
    client = anthropic.Anthropic(api_key=KEY, base_url=url)
    began = time.monotonic()
    for ask in asks(completions(n), [METRIC], 1, {}):
        client.messages.create(**requests().params(ask))
    return (time.monotonic() - began) / n


def ours(url: str, n: int, send: str, results) -> None:
    """Put seconds in all, processor seconds and peak memory in MiB into `results`; run in a process of its own."""
    began, used = time.monotonic(), time.process_time()
    rows = completions(n)
    asked = collect(requests(), [rows], {"s": [METRIC]}, {})
    sending = {"send": send, "batch_from": 1, "budget_usd": None, "poll_seconds": 0.2}
    prices = load_prices(ROOT / "resources" / "prices.yaml")
    with tempfile.TemporaryDirectory() as folder:
        with open_ledger(Path(folder) / "ledger.sqlite") as ledger:
            connection = Connection(KEY, url, None, concurrency=64, timeout_seconds=60, patience_minutes=1)
            ratings = buy(asked.asks, requests(), ledger, prices, connection, sending, lambda line: None)
        said = asked.rating_rows(ratings, {})
        judged = judgments_by_prompt("j", rows, asked.cells[cell_name(rows)], requests(), said)
        tables.write(judged, Path(folder) / "judgments.parquet", JUDGMENTS)
    assert len(judged) == n
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.put((time.monotonic() - began, time.process_time() - used, memory))


def measured(url: str, n: int, send: str) -> tuple[float, float, float]:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=ours, args=(url, n, send, results))
    process.start()
    found = results.get()
    process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=2000, help="live calls")
    parser.add_argument("--batch", type=int, default=100_000, help="requests through the Batches API")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds that the server takes to answer a call")
    given = parser.parse_args()
    few = min(25, given.calls)

    server, url = serve({"latency": given.latency})
    try:
        loop = sequential(url, few)
        seconds, processor, memory = measured(url, given.calls, "live")
    finally:
        server.kill()
    speed, times = f"{given.calls / seconds:.0f}", f"{loop * given.calls / seconds:.0f}"
    rows = [
        ["sequential loop", few, f"{1 / loop:.1f}", "1", "", ""],
        ["live, 64 at once", given.calls, speed, times, f"{processor:.0f}", f"{memory:.0f}"],
    ]
    server, url = serve({"batch_seconds": 0.0})
    try:
        seconds, processor, memory = measured(url, given.batch, "batch")
    finally:
        server.kill()
    rows.append(["batches", given.batch, f"{given.batch / seconds:.0f}", "", f"{processor:.0f}", f"{memory:.0f}"])
    head = ["sending", "judgments", "per second", "× the loop", "local work, processor s", "peak memory, MiB"]
    print(tabulate(rows, head, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
