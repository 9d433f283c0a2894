"""Asking the Messages API call by call, many at once, at the pace that the server allows."""

import asyncio
import itertools
import json
import math
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import anthropic
from anthropic import AsyncAnthropic

from organisms.job.errors import UserError
from organisms.job.log import Report
from organisms.judging.account import Account
from organisms.judging.responses import Response

# The SDK's longest pause between two tries, in seconds.
_LONGEST_BACKOFF = 8.0
_FATAL = (
    anthropic.AuthenticationError,
    anthropic.PermissionDeniedError,
    anthropic.NotFoundError,
    anthropic.PaymentRequiredError,
)
# So many requests refused as malformed in a row are no accident of one text.
MOST_REJECTED_IN_A_ROW = 10


@dataclass(frozen=True)
class Connection:
    """How the server is reached; the key comes from the environment and is in no repr."""

    api_key: str
    base_url: str | None
    api_version: str | None
    concurrency: int
    timeout_seconds: float
    patience_minutes: float

    def __repr__(self) -> str:
        return f"Connection({self.base_url or 'the default server'})"

    def options(self) -> dict:
        """Arguments of the SDK's clients."""
        return {
            "api_key": self.api_key,
            "base_url": self.base_url,
            "default_headers": {"anthropic-version": self.api_version} if self.api_version else None,
            "max_retries": math.ceil(60 * self.patience_minutes / _LONGEST_BACKOFF),
            "timeout": self.timeout_seconds,
        }


def message_of(error: anthropic.APIStatusError) -> str:
    """What the server said, on one line."""
    body = error.body if isinstance(error.body, dict) else {}
    inner = body.get("error") if isinstance(body.get("error"), dict) else {}
    return " ".join(str(inner.get("message") or error.message).split())[:300]


def fatal(error: anthropic.APIStatusError) -> UserError:
    """What the user should do about an answer that no repetition mends."""
    message = message_of(error)
    if error.status_code == 404:
        mend = "check the model's id"
    elif error.status_code == 429 or error.status_code >= 500:
        mend = "run again later"
    elif error.status_code in (400, 413, 422):
        mend = "check the judge's settings"
    else:
        mend = "check the API key and the account"
    return UserError(f"the judge's server refuses ({error.status_code}): {message}; {mend}. What was bought is kept")


class Pace:
    """How many calls may be under way: at most `most`, fewer after the server says that it is too much.

    Halved at most once a second when it is refused, raised by one again for every `limit` answers. While the server's
    own limit is used up, or it says how long to wait, no call starts.
    """

    def __init__(self, most: int):
        self._most, self.limit, self._under_way, self._resume_at, self._halved_at = most, float(most), 0, 0.0, 0.0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def slot(self):
        async with self._changed:
            while self._under_way >= max(1, int(self.limit)):
                await self._changed.wait()
            self._under_way += 1
        try:
            while (pause := self._resume_at - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            yield
        finally:
            async with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    @property
    def idle(self) -> bool:
        """Whether no call is under way."""
        return self._under_way == 0

    def note(self, status: int, headers) -> None:
        """Take in an answer's status and headers."""
        now = time.monotonic()
        if status in (429, 529):
            if now - self._halved_at > 1:
                self.limit, self._halved_at = max(1.0, self.limit / 2), now
            with suppress(KeyError, ValueError):
                self._resume_at = max(self._resume_at, now + float(headers["retry-after"]))
        elif status < 400:
            self.limit = min(float(self._most), self.limit + 1 / self.limit)
        for kind in ("requests", "tokens", "input-tokens", "output-tokens"):
            if headers.get(f"anthropic-ratelimit-{kind}-remaining") == "0":
                with suppress(KeyError, ValueError):
                    reset = datetime.fromisoformat(headers[f"anthropic-ratelimit-{kind}-reset"])
                    # No clock of a server may hold a run for long.
                    self._resume_at = max(self._resume_at, now + min(60.0, reset.timestamp() - time.time()))


def _attempts_at(pace: Pace, timeout_seconds: float, stopped: Callable[[], Exception | None]):
    """Middleware of the SDK, run for every HTTP attempt inside its retries. stopped: why no more are to be made."""

    async def attempt(request, call_next):
        async with pace.slot():
            if stopped():
                raise stopped()
            try:
                # The client's own timeout is per read; a response that trickles for ever needs one for the whole.
                async with asyncio.timeout(timeout_seconds):
                    response = await call_next(request)
            except TimeoutError as error:
                raise anthropic.RetryableError(f"no whole answer within {timeout_seconds:g} s") from error
        pace.note(response.http_response.status_code, response.http_response.headers)
        if response.http_response.is_success:
            try:
                json.loads(response.http_response.content)
            except ValueError as error:
                raise anthropic.RetryableError("the answer is no JSON") from error
        return response

    return attempt


def as_response(key: str, tier: str, message: anthropic.types.Message, prompt_bytes: int) -> Response:
    """A message of the API as the ledger keeps it."""
    text = "".join(block.text for block in message.content or [] if block.type == "text")
    usage = message.usage
    # Cached tokens are counted apart by the API; prompts here are too short to be cached, a server of one's own may.
    given = usage.input_tokens + (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    return Response(
        key, tier, message.model, text, message.stop_reason, given, usage.output_tokens, prompt_bytes, message.id
    )


class LiveRound:
    """One round of calls, each made once. After it, `rejected` holds what the server refused as malformed."""

    def __init__(self, connection: Connection, account: Account, report: Report):
        self._connection, self._account, self._report = connection, account, report
        self.rejected: dict[str, str] = {}
        self._rejected_in_a_row = 0
        self._stop: Exception | None = None
        self._asked_to_end = asyncio.Event()
        self._done = 0

    def run(self, calls: Iterable[tuple[str, dict, int]], total: int) -> None:
        """Make the calls: (key, params, bytes of the prompt) each.

        When one fails for good, or the budget is used up, or the process is asked to end, no further call is made,
        those under way are waited for and written down, and then UserError is raised.
        """
        asyncio.run(self._run(iter(calls), total))

    async def _run(self, calls: Iterator[tuple[str, dict, int]], total: int) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError, NotImplementedError, RuntimeError):
                loop.add_signal_handler(number, self._asked)
        pace = Pace(self._connection.concurrency)
        middleware = [_attempts_at(pace, self._connection.timeout_seconds, lambda: self._stop)]
        async with AsyncAnthropic(**self._connection.options(), middleware=middleware) as client:
            work = asyncio.create_task(self._all(client, calls, total))
            others = [
                asyncio.create_task(self._progress(pace, total)),
                asyncio.create_task(self._interrupt(work, pace)),
            ]
            with suppress(asyncio.CancelledError):
                await work
            for task in others:
                task.cancel()
        if self._stop:
            raise self._stop

    async def _all(self, client: AsyncAnthropic, calls: Iterator[tuple[str, dict, int]], total: int) -> None:
        # The first call alone: a wrong key is refused once, not as often as there are workers.
        await self._work(client, itertools.islice(calls, 1))
        await asyncio.gather(*(self._work(client, calls) for _ in range(min(self._connection.concurrency, total))))

    def _asked(self) -> None:
        self._end(UserError("asked to end; what was bought is kept"))
        self._asked_to_end.set()

    async def _interrupt(self, work: asyncio.Task, pace: Pace) -> None:
        """Once asked to end, let what is under way arrive, and wake what only waits to try again."""
        await self._asked_to_end.wait()
        while not pace.idle:
            await asyncio.sleep(0.1)
        # An answer that has just arrived is written down by now.
        await asyncio.sleep(0.5)
        work.cancel()

    async def _progress(self, pace: Pace, total: int) -> None:
        while True:
            await asyncio.sleep(10)
            self._report(
                f"{self._done}/{total} answers, {int(pace.limit)} calls at once, {self._account.spent:.2f} dollars"
            )

    def _end(self, error: Exception) -> None:
        self._stop = self._stop or error

    async def _work(self, client: AsyncAnthropic, calls: Iterator[tuple[str, dict, int]]) -> None:
        while not self._stop:
            call = next(calls, None)
            if call is None:
                return
            try:
                await self._call(client, *call)
            except Exception as error:
                self._end(error)

    async def _call(self, client: AsyncAnthropic, key: str, params: dict, prompt_bytes: int) -> None:
        reserved = self._account.reserve(prompt_bytes, "live")
        # The SDK has no parameter for it any more; see docs/judging.md.
        extra = {"temperature": params.pop("temperature")} if "temperature" in params else None
        try:
            message = await client.messages.create(**params, extra_body=extra)
            self._account.book([as_response(key, "live", message, prompt_bytes)])
            self._rejected_in_a_row = 0
            self._done += 1
        except _FATAL as error:
            raise fatal(error) from error
        except (anthropic.BadRequestError, anthropic.ContentTooLargeError, anthropic.UnprocessableEntityError) as error:
            self.rejected[key] = message_of(error)
            self._rejected_in_a_row += 1
            if self._rejected_in_a_row >= MOST_REJECTED_IN_A_ROW:
                raise fatal(error) from error
        except anthropic.AnthropicError as error:
            if isinstance(error, anthropic.APIStatusError | anthropic.APIConnectionError | anthropic.RetryableError):
                raise UserError(
                    f"the judge's server has not answered a call within patience_minutes "
                    f"{self._connection.patience_minutes:g} ({type(error).__name__}: {str(error)[:200]}); what was "
                    "bought is kept, run again to go on"
                ) from error
            raise
        finally:
            self._account.release(reserved)
