"""Asking the Messages API call by call, many at once, at the pace that the server allows."""

import asyncio
import itertools
import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import anthropic
from anthropic import Anthropic, AsyncAnthropic

from organisms.job.errors import UserError
from organisms.job.log import Report
from organisms.judging.account import Account
from organisms.judging.reaching import waiting_is_useless, why_unreachable, without_password
from organisms.judging.responses import Response

# Anthropic's own address. The SDK would take another one out of the environment.
ANTHROPIC = "https://api.anthropic.com"
# What the SDK follows beside its arguments: with it the config would not say who answers, and to what.
_NOT_FOLLOWED = ("ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS")
# The SDK's longest pause between two tries, in seconds.
_LONGEST_BACKOFF = 8.0
_FATAL = (
    anthropic.AuthenticationError,
    anthropic.PermissionDeniedError,
    anthropic.NotFoundError,
    anthropic.PaymentRequiredError,
)
Client = TypeVar("Client", Anthropic, AsyncAnthropic)
# So many requests refused as malformed in a row are no accident of one text.
MOST_REJECTED_IN_A_ROW = 10


@dataclass
class Connection:
    """How the server is reached; the key comes from the environment and is in no repr.

    answered: whether it ever did, whatever it said.
    """

    api_key: str
    base_url: str | None
    api_version: str | None
    concurrency: int
    timeout_seconds: float
    patience_minutes: float
    answered: bool = field(default=False, init=False)
    _said: set[str] = field(default_factory=set, init=False)

    def __repr__(self) -> str:
        return f"Connection({self.server})"

    @property
    def server(self) -> str:
        """The address that is asked, without a name and a password that may stand in it."""
        return without_password(self.base_url or ANTHROPIC)

    def not_followed(self) -> list[str]:
        """Variables that are set in the environment and say nothing here: who asks Anthropic asks Anthropic."""
        return [] if self.base_url else [name for name in _NOT_FOLLOWED if os.environ.get(name)]

    def open(self, client: type[Client], **others) -> Client:
        """A client of the SDK. others: arguments beside those that the connection has."""
        options = {
            "api_key": self.api_key,
            "base_url": self.base_url or ANTHROPIC,
            "default_headers": {"anthropic-version": self.api_version} if self.api_version else None,
            "max_retries": math.ceil(60 * self.patience_minutes / _LONGEST_BACKOFF),
            "timeout": self.timeout_seconds,
        }
        # The SDK has no argument against the headers. A server of one's own may need them.
        unseen = {name: os.environ.pop(name) for name in self.not_followed()}
        try:
            return client(**options | others)
        finally:
            os.environ.update(unseen)

    def failed(self, error: anthropic.APIConnectionError, report: Report) -> None:
        """Say why a call did not come through, once for each cause. Raises UserError if waiting cannot help."""
        why = why_unreachable(error, self.server)
        if not self.answered and waiting_is_useless(error):
            # Not `from error`: the SDK repeats what comes from an error of a connection.
            raise self.unreachable(error) from None
        if why not in self._said:
            self._said.add(why)
            report(f"{self.server} does not answer: {why}; trying again")

    def unreachable(self, error: anthropic.APIConnectionError) -> UserError:
        """What the user should do about a server that cannot be reached."""
        return UserError(
            f"the judge's server {self.server} cannot be reached: {why_unreachable(error, self.server)}; "
            "check base_url and the network. What was bought is kept"
        )


def message_of(error: anthropic.APIStatusError) -> str:
    """What the server said, on one line."""
    body = error.body if isinstance(error.body, dict) else {}
    inner = body.get("error") if isinstance(body.get("error"), dict) else {}
    return " ".join(str(inner.get("message") or error.message).split())[:300]


def fatal(error: anthropic.APIStatusError) -> UserError:
    """What the user should do about an answer that no repetition mends."""
    message = message_of(error)
    if error.status_code == 404:
        mend = "check the model's id, and base_url if one is set"
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


def _attempts_at(pace: Pace, connection: Connection, stopped: Callable[[], Exception | None], report: Report):
    """Middleware of the SDK, run for every HTTP attempt inside its retries. stopped: why no more are to be made."""
    timeout_seconds = connection.timeout_seconds

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
            except anthropic.APIConnectionError as error:
                connection.failed(error, report)
                raise
        connection.answered = True
        pace.note(response.http_response.status_code, response.http_response.headers)
        if response.http_response.is_success:
            try:
                json.loads(response.http_response.content)
            except ValueError as error:
                raise anthropic.RetryableError("the answer is no JSON") from error
        return response

    return attempt


def as_response(key: str, tier: str, message: anthropic.types.Message, prompt_bytes: int, server: str) -> Response:
    """A message of the API as the ledger keeps it."""
    text = "".join(block.text for block in message.content or [] if block.type == "text")
    usage = message.usage
    # The API counts cached tokens apart. Nothing here asks for a cache; a server of one's own may have one.
    written, read = usage.cache_creation_input_tokens or 0, usage.cache_read_input_tokens or 0
    return Response(
        *(key, tier, message.model, text, message.stop_reason),
        *(usage.input_tokens + written + read, usage.output_tokens, prompt_bytes, message.id, server, written, read),
    )


def attempt_of(connection: Connection, report: Report):
    """Middleware of the SDK's other client, for calls one by one."""

    def attempt(request, call_next):
        try:
            response = call_next(request)
        except anthropic.APIConnectionError as error:
            connection.failed(error, report)
            raise
        connection.answered = True
        return response

    return attempt


def ask_for_nothing(connection: Connection, params: dict, report: Report) -> None:
    """Ask the server how many tokens a request has, which costs nothing, to see that it is there and takes the key.

    params: of a request. Raises UserError if it cannot be reached or refuses. What speaks of the call alone passes: a
    server of one's own need not know it.
    """
    client = connection.open(Anthropic, max_retries=2, middleware=[attempt_of(connection, report)])
    try:
        client.messages.count_tokens(model=params["model"], messages=params["messages"])
    except anthropic.APIConnectionError as error:
        raise connection.unreachable(error) from error
    except anthropic.APIStatusError as error:
        refusals = (401,) if connection.base_url else (400, 401, 402, 403, 404, 422)
        if error.status_code in refusals:
            raise fatal(error) from error


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
        middleware = [_attempts_at(pace, self._connection, lambda: self._stop, self._report)]
        async with self._connection.open(AsyncAnthropic, middleware=middleware) as client:
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
            self._account.book([as_response(key, "live", message, prompt_bytes, self._connection.server)])
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
            if isinstance(error, anthropic.APIConnectionError):
                why = why_unreachable(error, self._connection.server)
            elif isinstance(error, anthropic.APIStatusError):
                why = f"{error.status_code}: {message_of(error)}"
            elif isinstance(error, anthropic.RetryableError):
                why = str(error)
            else:
                raise
            raise UserError(
                f"the judge's server {self._connection.server} has not answered a call within patience_minutes "
                f"{self._connection.patience_minutes:g} ({why}); what was bought is kept, run again to go on"
            ) from error
        finally:
            self._account.release(reserved)
