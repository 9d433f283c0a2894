"""Asking the Message Batches API: half the price, an answer within a day.

A batch is not idempotent and outlives the process that sent it. So the intent is written down before a batch is sent
and its id right after, and a batch that is found open in the ledger is fetched, never sent again.
"""

import time
from collections.abc import Iterable, Iterator
from datetime import datetime

import anthropic
import httpx2
from anthropic import Anthropic

from organisms.job.errors import UserError
from organisms.job.log import Report
from organisms.judging.account import Account
from organisms.judging.live import Connection, as_response, attempt_of, fatal
from organisms.judging.reaching import why_unreachable
from organisms.judging.responses import Response

# Below the API's limits of 100,000 requests and 256 MB, so that a batch being built takes little memory.
MOST_REQUESTS, MOST_BYTES = 10_000, 64_000_000
_WRITE_EVERY = 1000
_FETCHES = 5
# How much earlier than our clock says the server may have made a batch of ours, in seconds.
_CLOCKS_DIFFER = 600


def in_batches(calls: Iterable[tuple[str, dict, int]]) -> Iterator[list[tuple[str, dict, int]]]:
    """Calls in lists that fit into a batch each."""
    batch: list[tuple[str, dict, int]] = []
    size = 0
    for call in calls:
        if batch and (len(batch) >= MOST_REQUESTS or size + call[2] > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(call)
        size += call[2]
    if batch:
        yield batch


class Batches:
    """Batches of one judge. `rejected` holds what the server refused as malformed."""

    def __init__(self, connection: Connection, account: Account, report: Report, poll_seconds: float = 30.0):
        middleware = [attempt_of(connection, report)]
        self._client = connection.open(Anthropic, middleware=middleware)
        # A repeated request would make a second batch: no retries here.
        self._sending_once = connection.open(Anthropic, middleware=middleware, max_retries=0)
        self._connection = connection
        self._account, self._ledger = account, account.ledger
        self._report, self._poll_seconds = report, poll_seconds
        self.rejected: dict[str, str] = {}

    def run(self, calls: Iterable[tuple[str, dict, int]]) -> None:
        """Send the calls and wait for their answers; calls that expired or failed at the server stay unanswered.

        Raises UserError if the server refuses or if the budget could be passed, after everything sent is fetched.
        """
        stop, reserved = None, 0.0
        for batch in in_batches(calls):
            within = []
            for call in batch:
                try:
                    reserved += self._account.reserve(call[2], "batch")
                except UserError as error:
                    stop = error
                    break
                within.append(call)
            if within:
                self._send(within)
            if stop:
                break
        self.fetch_open()
        self._account.release(reserved)
        if stop:
            raise stop

    def _send(self, batch: list[tuple[str, dict, int]]) -> None:
        name = self._ledger.intend_batch([(key, size) for key, _, size in batch])
        requests = [{"custom_id": key, "params": params} for key, params, _ in batch]
        try:
            sent = self._sending_once.messages.batches.create(requests=requests)
        except anthropic.APIStatusError as error:
            if error.status_code < 500 and error.status_code != 429:
                self._ledger.batch_done(name, "abandoned")
                raise fatal(error) from error
            self._report(f"the server did not take a batch of {len(batch)} ({error.status_code}); looking for it")
            time.sleep(self._poll_seconds)
            return
        except anthropic.APIConnectionError:
            self._report(f"the connection broke while a batch of {len(batch)} was sent; looking for it")
            time.sleep(self._poll_seconds)
            return
        self._ledger.batch_sent(name, sent.id)
        self._report(f"sent batch {sent.id} of {len(batch)} requests")

    def fetch_open(self) -> None:
        """Wait for every batch that the ledger has open, whichever process sent it, and write its answers down."""
        for name, batch_id, intended_at, requests in self._ledger.open_batches():
            try:
                for candidate in [batch_id] if batch_id else self._candidates(intended_at, requests):
                    self._wait(candidate)
                    if self._fetch_patiently(name, candidate):
                        break
                else:
                    self._report("a batch that was about to be sent never reached the server")
                    self._ledger.batch_done(name, "abandoned")
            except anthropic.NotFoundError as error:
                # Results are kept for 29 days.
                self._report(f"batch {batch_id} is gone from the server ({error.status_code})")
                self._ledger.batch_done(name, "abandoned")
            except anthropic.APIStatusError as error:
                raise fatal(error) from error
            except anthropic.APIConnectionError as error:
                raise UserError(
                    f"the judge's server {self._connection.server} cannot be reached "
                    f"({why_unreachable(error, self._connection.server)}); a batch goes on there, run again to fetch it"
                ) from error

    def _candidates(self, intended_at: float, requests: int) -> Iterator[str]:
        """Ids of batches that may be the one that was intended and whose id was never read, newest first."""
        for batch in self._client.messages.batches.list(limit=100):
            if batch.created_at.timestamp() < intended_at - _CLOCKS_DIFFER:
                return
            if sum(batch.request_counts.to_dict().values()) == requests and not self._ledger.knows_batch(batch.id):
                yield batch.id

    def _wait(self, batch_id: str) -> None:
        begin = last = time.monotonic()
        while (batch := self._client.messages.batches.retrieve(batch_id)).processing_status != "ended":
            if time.monotonic() - last > 600:
                last = time.monotonic()
                self._report(
                    f"batch {batch_id}: waiting for {(last - begin) / 60:.0f} min, until {_hour(batch.expires_at)}"
                )
            time.sleep(self._poll_seconds)

    def _fetch_patiently(self, name: int, batch_id: str) -> bool:
        for left in reversed(range(_FETCHES)):
            try:
                return self._fetch(name, batch_id)
            except (httpx2.HTTPError, ValueError) as error:
                # The results are one long download; what was read of it is in the ledger.
                if not left:
                    raise UserError(
                        f"the results of batch {batch_id} break off ({type(error).__name__}); run again to go on"
                    ) from error
                self._report(f"the results of batch {batch_id} broke off ({type(error).__name__}); reading on")
                time.sleep(min(self._poll_seconds, 5))
        raise AssertionError("unreachable")

    def _fetch(self, name: int, batch_id: str) -> bool:
        """Write a batch's answers down; False if it is none of ours.

        Each answer leaves the batch's list of keys in the same transaction, so a break loses and doubles none.
        """
        sizes, ours = self._ledger.batch_keys(name), self._ledger.is_sent(name)
        unanswered: dict[str, int] = {}
        read: list[Response] = []
        answered = 0
        try:
            for line in self._client.messages.batches.results(batch_id):
                if not ours:
                    if line.custom_id not in sizes:
                        return False
                    self._ledger.batch_sent(name, batch_id)
                    ours = True
                if line.custom_id not in sizes:
                    continue
                result = line.result
                if result.type == "succeeded":
                    message = result.message
                    size = sizes[line.custom_id]
                    read.append(as_response(line.custom_id, "batch", message, size, self._connection.server))
                    answered += 1
                else:
                    unanswered[result.type] = unanswered.get(result.type, 0) + 1
                    if result.type == "errored" and result.error.error.type == "invalid_request_error":
                        self.rejected[line.custom_id] = result.error.error.message
                if len(read) >= _WRITE_EVERY:
                    self._account.book(read, batch=name)
                    read = []
        finally:
            self._account.book(read, batch=name)
        self._ledger.batch_done(name, "fetched")
        said = "".join(f", {n} {kind}" for kind, n in sorted(unanswered.items()))
        self._report(f"fetched batch {batch_id}: {answered} answers{said}")
        return True


def _hour(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
