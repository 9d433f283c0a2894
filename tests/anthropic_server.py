"""A server on loopback that speaks the Messages and Batches APIs, injects faults on a seed, and counts what it charges.

    python tests/anthropic_server.py '{"latency": 0.2, "faults": {"429": 0.05}}'

prints its address and serves until it is ended. GET /_stats tells what it saw and charged, GET /_answer_up_to/N changes
that setting. What a judge "says" is a function of the request, so that two runs can be compared; whether and when a
fault hits is drawn from the seed.
"""

import hashlib
import json
import random
import re
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "test-key-that-must-be-in-no-file"
GARBAGE = (
    '{"score": 850, "flag": null}',
    '{"score": "٨٥", "flag": null}',
    "I would say eighty.",
    '{"score": 90, "score": 10}',
    '{"score": true}',
    '{"score": 7',
    "",
)
DEFAULTS = {
    "seed": 0,
    "latency": 0.0,
    # Calls after the first wait until so many have been under way at once.
    "gather": 0,
    # Calls beyond so many wait until the number is raised; null answers all.
    "answer_up_to": None,
    # Shares of calls by what goes wrong: 429, 500, 529, reset, slow, endless, truncated.
    "faults": {},
    # Share of requests whose first answer is garbage, and share whose answers all are.
    "garbage": 0.0,
    "hopeless": 0.0,
    "refusals": 0.0,
    "slow_seconds": 3.0,
    "retry_after": 0.05,
    "batch_seconds": 0.2,
    # Shares of a batch's requests that are not answered the first time: errored, expired, canceled.
    "batch_faults": {},
    # Batches that are made although the connection breaks before the answer.
    "lost_creates": 0,
    # Downloads of a batch's results that break off in the middle of a line.
    "broken_results": 0,
    "plain": False,
    # Tokens of each request that are said to have gone into a cache, or to have come from it, beside the others.
    "cached": {},
    # Whether it counts tokens for nothing when it is asked to; servers that speak the Messages API need not.
    "counts": True,
}


def digest(body: dict) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def share(text: str) -> float:
    """A number in [0, 1) that is the same for the same text."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) / 16**12


class State:
    def __init__(self, settings: dict):
        unknown = set(settings) - set(DEFAULTS)
        assert not unknown, unknown
        self.settings = DEFAULTS | settings
        self.random = random.Random(self.settings["seed"])
        self.lock = threading.Lock()
        self.charged: dict[str, int] = {}
        self.lost: dict[str, int] = {}
        self.tokens = {"live": [0, 0], "batch": [0, 0]}
        self.seen: dict[str, int] = {}
        self.batches: dict[str, dict] = {}
        self.calls = self.busy = self.most_busy = self.let_in = self.refused_keys = self.counted = 0
        self.hits: dict[str, int] = {}

    def say(self, body: dict, times_seen: int) -> tuple[str, str]:
        """Text and stop reason of the answer to a request that was seen so often before."""
        name = digest(body)
        drawn = share(f"content {name}")
        if drawn < self.settings["hopeless"] or (drawn < self.settings["garbage"] and times_seen == 0):
            return GARBAGE[int(share(f"kind {name}") * len(GARBAGE))], "end_turn"
        if drawn > 1 - self.settings["refusals"]:
            return "I can't help with that.", "refusal"
        score = int(share(f"score {name}") * 101)
        if self.settings["plain"] or "output_config" not in body:
            return str(score), "end_turn"
        properties = body["output_config"]["format"]["schema"]["properties"]
        flags = [option for option in properties.get("flag", {}).get("anyOf", []) if "enum" in option]
        flag = flags[0]["enum"][0] if flags and share(f"flag {name}") < 0.05 else None
        answer = {"reason": "Because."} if "reason" in properties else {}
        answer |= {"score": None if flag else score} | ({"flag": flag} if flags else {})
        return json.dumps(answer), "end_turn"

    def message(self, body: dict, tier: str, count: bool = True) -> dict:
        with self.lock:
            name = digest(body)
            times = self.seen.get(name, 0)
            self.seen[name] = times + 1
            text, stop_reason = self.say(body, times)
            given = len(body["messages"][0]["content"].encode()) // 4 + 60
            taken = len(text.encode()) // 3 + 5
            if count:
                self.charged[name] = self.charged.get(name, 0) + 1
                self.tokens[tier][0] += given + sum(self.settings["cached"].values())
                self.tokens[tier][1] += taken
            else:
                self.lost[name] = self.lost.get(name, 0) + 1
        return {
            "id": f"msg_{name[:16]}_{times}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [{"type": "text", "text": text}],
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": {"input_tokens": given, "output_tokens": taken, "service_tier": "standard"}
            | self.settings["cached"],
        }

    def stats(self) -> dict:
        with self.lock:
            return {
                "calls": self.calls,
                "charged": dict(self.charged),
                "lost": dict(self.lost),
                "tokens": self.tokens,
                "batches": {name: len(batch["requests"]) for name, batch in self.batches.items()},
                "most_busy": self.most_busy,
                "refused_keys": self.refused_keys,
                "counted": self.counted,
                "hits": self.hits,
            }


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: State

    def log_message(self, *_arguments):
        pass

    def reply(self, status: int, content: dict | bytes, headers: dict | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (
            {"content-type": "application/json", "content-length": len(data)} | (headers or {})
        ).items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status: int, kind: str, message: str, headers: dict | None = None) -> None:
        self.reply(status, {"type": "error", "error": {"type": kind, "message": message}}, headers)

    def fault(self) -> str | None:
        with self.state.lock:
            drawn = self.state.random.random()
            for name, probability in self.state.settings["faults"].items():
                drawn -= probability
                if drawn < 0:
                    self.state.hits[name] = self.state.hits.get(name, 0) + 1
                    return name
        return None

    def may_enter(self) -> bool:
        if self.headers.get("authorization") == f"Bearer {KEY}":
            return True
        self.state.refused_keys += 1
        self.refuse(401, "authentication_error", "invalid x-api-key")
        return False

    def wrong(self, body: dict) -> str | None:
        if "temperature" in body and self.headers["anthropic-version"] != "2023-06-01":
            return "temperature: Extra inputs are not permitted"
        if "POISON" in body["messages"][0]["content"]:
            return "messages: text is refused"
        return None

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if not self.may_enter():
            return
        if self.path == "/v1/messages":
            self.one_message(body)
        elif self.path == "/v1/messages/count_tokens" and self.state.settings["counts"]:
            self.state.counted += 1
            if body["model"].startswith("claude-"):
                self.reply(200, {"input_tokens": 9})
            else:
                self.refuse(404, "not_found_error", f"model: {body['model']}")
        elif self.path == "/v1/messages/batches":
            self.new_batch(body)
        else:
            self.refuse(404, "not_found_error", self.path)

    def let_in(self) -> bool:
        most = self.state.settings["answer_up_to"]
        with self.state.lock:
            room = most is None or self.state.let_in < most
            self.state.let_in += room
        return room

    def work(self) -> None:
        """What comes before every answer. It is over before the answer goes out, or the next call would overlap it."""
        with self.state.lock:
            self.state.calls += 1
            first = self.state.calls == 1
            self.state.busy += 1
            self.state.most_busy = max(self.state.most_busy, self.state.busy)
        time.sleep(self.state.settings["latency"])
        while (not first and self.state.most_busy < self.state.settings["gather"]) or not self.let_in():
            time.sleep(0.01)
        with self.state.lock:
            self.state.busy -= 1

    def one_message(self, body: dict) -> None:
        settings, fault = self.state.settings, self.fault()
        self.work()
        if fault == "429":
            return self.refuse(429, "rate_limit_error", "slow down", {"retry-after": settings["retry_after"]})
        if fault in ("500", "529"):
            return self.refuse(int(fault), "api_error", "try again")
        if fault == "reset":
            self.close_connection = True
            return self.connection.close()
        if fault == "slow":
            time.sleep(settings["slow_seconds"])
            self.close_connection = True
            return None
        if fault == "endless":
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", "1000000")
            self.end_headers()
            for _ in range(int(settings["slow_seconds"] / 0.1)):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.1)
            self.close_connection = True
            return None
        if problem := self.wrong(body):
            return self.refuse(400, "invalid_request_error", problem)
        message = json.dumps(self.state.message(body, "live", count=fault != "truncated")).encode()
        return self.reply(200, message[: len(message) // 2] if fault == "truncated" else message)

    def new_batch(self, body: dict) -> None:
        names = [request["custom_id"] for request in body["requests"]]
        if len(set(names)) < len(names) or not all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", name) for name in names):
            return self.refuse(400, "invalid_request_error", "custom_id")
        with self.state.lock:
            name = f"msgbatch_{len(self.state.batches):04d}"
            self.state.batches[name] = {"requests": body["requests"], "made": time.time(), "results": None}
            broken = self.state.settings["lost_creates"] > 0
            self.state.settings["lost_creates"] -= broken
        if broken:
            self.close_connection = True
            return self.connection.close()
        return self.reply(200, self.described(name))

    def ended(self, batch: dict) -> bool:
        return time.time() - batch["made"] >= self.state.settings["batch_seconds"]

    def described(self, name: str) -> dict:
        batch = self.state.batches[name]
        ended = self.ended(batch)
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        counts["succeeded" if ended else "processing"] = len(batch["requests"])
        return {
            "id": name,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts,
            "created_at": stamp(batch["made"]),
            "expires_at": stamp(batch["made"] + timedelta(days=1).total_seconds()),
            "ended_at": stamp(time.time()) if ended else None,
            "results_url": f"http://{self.headers['host']}/v1/messages/batches/{name}/results" if ended else None,
        }

    def results(self, name: str) -> bytes:
        batch = self.state.batches[name]
        if batch["results"] is None:
            lines = []
            for request in batch["requests"]:
                body = request["params"]
                drawn = share(f"batch {self.state.settings['seed']} {digest(body)}")
                first = digest(body) not in self.state.seen and digest(body) not in self.state.hits
                failed = None
                for kind, probability in self.state.settings["batch_faults"].items() if first else ():
                    drawn -= probability
                    failed = failed or (kind if drawn < 0 else None)
                if problem := self.wrong(body):
                    result = {"type": "errored", "error": _error("invalid_request_error", problem)}
                elif failed:
                    self.state.hits[digest(body)] = 1
                    result = {"type": failed}
                    if failed == "errored":
                        result["error"] = _error("api_error", "try again")
                else:
                    result = {"type": "succeeded", "message": self.state.message(body, "batch")}
                lines.append(json.dumps({"custom_id": request["custom_id"], "result": result}))
            self.state.random.shuffle(lines)
            batch["results"] = "".join(f"{line}\n" for line in lines).encode()
        return batch["results"]

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/_stats":
            return self.reply(200, self.state.stats())
        if path.startswith("/_answer_up_to/"):
            self.state.settings["answer_up_to"] = int(path.rsplit("/", 1)[1])
            return self.reply(200, {})
        if not self.may_enter():
            return None
        if path == "/v1/messages/batches":
            data = [self.described(name) for name in reversed(self.state.batches)]
            return self.reply(200, {"data": data, "has_more": False, "first_id": None, "last_id": None})
        found = re.fullmatch("/v1/messages/batches/([^/]+)(/results)?", path)
        if not found or found[1] not in self.state.batches:
            return self.refuse(404, "not_found_error", path)
        if found[2] and self.state.settings["broken_results"] > 0:
            self.state.settings["broken_results"] -= 1
            results = self.results(found[1])
            self.send_response(200)
            self.send_header("content-type", "application/x-jsonl")
            self.send_header("content-length", str(len(results)))
            self.end_headers()
            self.wfile.write(results[: len(results) * 2 // 3])
            self.close_connection = True
            return None
        if found[2]:
            return self.reply(200, self.results(found[1]), {"content-type": "application/x-jsonl"})
        return self.reply(200, self.described(found[1]))


def _error(kind: str, message: str) -> dict:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": None}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_arguments):
        """A client that was killed leaves a broken pipe; that is no news here."""


def serve(settings: dict) -> Server:
    """A server on a free port; `serve_forever` runs it."""
    return Server(
        ("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0),
        type("Bound", (Handler,), {"state": State(settings)}),
    )


if __name__ == "__main__":
    server = serve(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {})
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
