"""The interface of a provider's batches, the same for OpenAI's protocol (`openai_batches.py`) and Anthropic's (`anthropic_batches.py`).

Each method makes one request and reports how it ended. `pipelines/waves.py` decides when to send a batch, how long to wait for it, and what
to record.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import urlencode

import aiohttp
import orjson

from axolotl_synthetic.config import Generation, OpenAIModel
from axolotl_synthetic.errors import CallFailed, RetryableCall, ServiceError
from axolotl_synthetic.records import Message, Reply
from axolotl_synthetic.teachers import network
from axolotl_synthetic.teachers.openai import MAX_REPLY_BYTES, MOST_REDIRECTS, OpenAITeacher
from axolotl_synthetic.teachers.parameters import Parameters
from axolotl_synthetic.teachers.refusals import retry_after
from axolotl_synthetic.teachers.replies import read_reply
from axolotl_synthetic.teachers.server_errors import ServersError

Ended = Literal["", "completed", "expired", "cancelled", "refused", "full"]
"""A batch's kind of end; empty while it has not ended.

`refused`: nothing of it was done, because it has an error. `full`: nothing was done, because the provider's queue holds too much.
"""

# Messages of providers about a full queue or a file that is too large.
_TOO_MUCH = re.compile(
    r"token_limit_exceeded|enqueued|too (?:large|many requests in|many batch)|(?:batch|file|queue)\w*\W+(?:\w+\W+){0,4}?(?:limit|quota|full"
    r"|size)|exceeds? the (?:maximum|limit)",
    re.IGNORECASE,
)


# Slowest upload in bytes per second: a batch has up to 240 MB, and `timeout` is meant for a call.
SLOWEST = 100_000
# Ids of files and batches.
_ID = re.compile(r"[\w.:=+~-]{1,200}")


class Unreachable(Exception):
    """Error of a request that may succeed later.

    Args:
        said: what went wrong.
        done: whether the provider may have carried the request out.
        wait: seconds that the provider asks to wait, None when it does not say.
    """

    def __init__(self, said: str, *, done: bool = True, wait: float | None = None) -> None:
        super().__init__(said)
        self.done = done
        self.wait = wait


class TooMuch(Exception):
    """Error: for now the provider accepts no batch, or none so large; it has created none."""


class NotThere(Exception):
    """Error: the provider does not know the file or batch."""


class AskAgain(Exception):
    """Signal that a call must go out again with changed parameters, which later calls use too. The first attempt cost nothing."""


@dataclass(frozen=True, slots=True)
class Stand:
    """State of a batch at its provider.

    Attributes:
        id: the provider's id.
        told: the provider's word for the state.
        ended: how it ended, empty while it has not.
        total, done, failed: numbers of calls; 0 where the provider does not say.
        said: the provider's error text, without secrets.
        results: where the results are: ids of files, or an address.
    """

    id: str
    told: str
    ended: Ended
    total: int = 0
    done: int = 0
    failed: int = 0
    said: str = ""
    results: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """One unread line of a batch's results."""

    custom_id: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """Request of a call, which is needed to read its result."""

    messages: Sequence[Message]
    generation: Generation
    sample: int


class Batches(Protocol):
    """Batch API of one provider."""

    most_calls: int
    most_bytes: int
    spelling: str
    """Parameter names in use, as JSON; set it to the names that an earlier run's batch was sent with."""

    def line(self, custom_id: str, sent: Sent) -> bytes:
        """Return a call as a line of a batch."""

    async def upload(self, token: str, lines: Sequence[bytes]) -> str | None:
        """Upload calls; return the file's id, None where the protocol has no upload. Uploads cost nothing."""

    async def create(self, token: str, file: str | None, lines: Sequence[bytes]) -> Stand:
        """Create a batch of the uploaded file, or of the lines.

        Raises:
            TooMuch: if the provider has no room for it.
        """

    async def find(self, token: str, file: str | None, calls: int, since: float, known: set[str]) -> Stand | None:
        """Return a batch whose id never arrived; None if there is none.

        Args:
            token: our name for the batch.
            file: its file, if one was uploaded.
            calls: number of its calls.
            since: Unix time before which it cannot have been created.
            known: the provider's ids of our other batches.

        Raises:
            Unreachable: if that cannot be decided yet.
        """

    async def forbid(self, file: str) -> bool:
        """Prevent that a batch can be made of a file any more; return whether that is certain."""

    async def look(self, id: str) -> Stand:
        """Return a batch's state.

        Raises:
            NotThere: if the provider does not know it.
        """

    def results(self, stand: Stand) -> AsyncIterator[Result]:
        """Yield the lines of an ended batch, in any order; unreadable lines are left out."""

    def read(self, result: Result, sent: Sent, spelling: str) -> Reply:
        """Return the reply in a result.

        Args:
            spelling: parameter names that the batch was sent with.

        Raises:
            AskAgain, CallFailed, ServiceError: if the result holds no usable reply.
        """

    async def close(self) -> None:
        """Close connections."""


class BatchClient(OpenAITeacher):
    """Client code that both protocols share: requests, their errors, and files of lines."""

    _root: str
    """Address to which a request's path is appended."""

    def __init__(self, settings: OpenAIModel) -> None:
        super().__init__(settings)
        assert settings.batch is not None
        self._batch = settings.batch

    @property
    def spelling(self) -> str:
        return json.dumps(self._parameters.spelling)

    @spelling.setter
    def spelling(self, told: str) -> None:
        self._parameters.spelling = json.loads(told)

    def _id(self, value: object) -> str:
        """Return a provider's id; empty where the value is no id or repeats a key."""
        told = text(value)
        return told if _ID.fullmatch(told) and self._redacted(told) == told else ""

    def _spelled(self, spelling: str) -> Parameters:
        """Return the parameters with the names that a batch was sent with, whatever was learnt since."""
        parameters = Parameters(self._settings.system_role)
        parameters.spelling = json.loads(spelling)
        return parameters

    async def _request(self, method: str, url: str, *, body: Any = None, form: aiohttp.FormData | None = None, size: int = 0) -> Any:
        """Make a request; return the JSON of its reply.

        Args:
            method, url: of the request.
            body: sent as JSON.
            form: sent instead of `body`.
            size: size of the form in bytes.
        """
        json_body = None if body is None else orjson.dumps(body)
        limit = aiohttp.ClientTimeout(total=self._settings.timeout + max(size, len(json_body or b"")) / SLOWEST)
        headers = self._secret_headers | ({} if body is None else {"Content-Type": "application/json"})
        try:
            async with self._session.request(
                method, url, data=form if form is not None else json_body, headers=headers, allow_redirects=False, timeout=limit
            ) as response:
                content = await response.read()
                status, told = response.status, response.headers
        except aiohttp.ClientConnectorError as error:
            if network.is_lasting(error):
                raise ServiceError(network.unreachable(self._settings.url, error, self._redacted(error))) from error
            raise Unreachable(f"connection: {self._redacted(error)}", done=False) from error
        except TimeoutError as error:
            raise Unreachable(f"no reply within {self._settings.timeout:g} s") from error
        except (aiohttp.ClientError, OSError, EOFError, ValueError) as error:
            raise Unreachable(f"connection: {self._redacted(error)}") from error
        if not 200 <= status < 300:
            raise self._problem(status, told, content)
        try:
            data = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise Unreachable(f"{len(content)} bytes that are not JSON in UTF-8") from error
        if not isinstance(data, dict):
            raise Unreachable("a reply that is no object")
        return data

    def _problem(self, status: int, headers: Mapping[str, str], content: bytes) -> Exception:
        """Return the error that a status other than 2xx means for a request about batches."""
        error = ServersError(content)
        said = f"HTTP {status}: {self._redacted(error.message)}"
        if 300 <= status < 400:
            return self._redirect(status, headers)
        if status in (401, 402, 403) or (status < 500 and error.is_about_money):
            refused = self._refusal(status, headers, error, {})
            if isinstance(refused, ServiceError):
                return refused
            return Unreachable(said, done=False, wait=retry_after(headers.get("Retry-After")))
        if status == 404:
            return NotThere(said)
        if status in (400, 413, 422, 429) and _TOO_MUCH.search(f"{' '.join(error.names)} {error.message}"):
            return TooMuch(said)
        if status == 413:
            return TooMuch(said)
        if status in (408, 409, 425, 429) or status >= 500:
            return Unreachable(said, done=status >= 500 or status in (408, 409), wait=retry_after(headers.get("Retry-After")))
        return ServiceError(
            f"{self._settings.url} refuses a request about batches ({said}); see whether this server and model take batches, or remove"
            " `batch`"
        )

    async def _lines(self, url: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the objects of a file of JSON lines, which may exceed the memory. Keys go only to the server that they are for."""
        begin = url
        try:
            for _ in range(MOST_REDIRECTS):
                headers = self._secret_headers if network.same_server(begin, url) else {}
                # A large file may take longer than a call, but no single read of it may.
                limit = aiohttp.ClientTimeout(total=None, sock_read=self._settings.timeout, sock_connect=self._settings.timeout)
                async with self._session.get(url, headers=headers, allow_redirects=False, timeout=limit) as response:
                    if response.status in (301, 302, 303, 307, 308) and (
                        target := network.redirected(url, response.headers.get("Location"))
                    ):
                        url = target
                        continue
                    if response.status != 200:
                        raise self._problem(response.status, response.headers, await response.read())
                    async for line in _split(response.content):
                        if (data := _object(line)) is not None:
                            yield data
                    return
        except TimeoutError as error:
            raise Unreachable(f"nothing within {self._settings.timeout:g} s") from error
        except (aiohttp.ClientError, OSError, EOFError, ValueError) as error:
            raise Unreachable(f"connection: {self._redacted(error)}") from error
        raise Unreachable(f"more than {MOST_REDIRECTS} redirects")

    def _at(self, path: str = "", query: Mapping[str, Any] | None = None) -> str:
        asked = {**self._settings.query, **(query or {})}
        return f"{self._root}{path}" + (f"?{urlencode(asked)}" if asked else "")

    def _whole(self, body: bytes, sent: Sent, body_sent: Mapping[str, Any]) -> Reply:
        """Return the reply in a result's body, which is a completion; accept the parameter names that the call was sent with."""
        try:
            reply = read_reply(body, 0.0, self._redacted, sent.generation.max_new_tokens)
        except RetryableCall as failed:
            raise without_wait(failed) from None
        except CallFailed:
            self._parameters.accept(body_sent)
            raise
        self._parameters.accept(body_sent)
        return reply

    def _refused_row(self, status: int, body: object, sent: Mapping[str, Any]) -> Exception:
        """Return the error that a failed call in a batch means. Providers do not bill a call that ended in an error."""
        error = ServersError(orjson.dumps(body))
        if self._parameters.adapts(status, error, sent):
            return AskAgain()
        refused = self._refusal(status, {}, error, sent)
        return without_wait(refused, "query") if isinstance(refused, RetryableCall) else refused


def without_wait(failed: RetryableCall, cost: Literal["none", "query", "unknown"] | None = None) -> RetryableCall:
    """Return a failure that goes out again with the next batch, without a wait or a slow-down."""
    failed.retry_after, failed.slow_down = 0.0, False
    if cost is not None and failed.reply is None:
        failed.cost = cost
    return failed


async def _split(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield lines; skip one that is longer than any reply."""
    rest = bytearray()
    async for chunk in content.iter_any():
        rest += chunk
        *lines, last = rest.split(b"\n")
        for line in lines:
            yield bytes(line)
            await asyncio.sleep(0)
        rest = last if len(last) <= MAX_REPLY_BYTES else bytearray(b"!")
    if rest:
        yield bytes(rest)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def count(counts: object, *names: str) -> int:
    """Return the sum of the named counts in an object; absent ones count 0."""
    values = [counts.get(name) for name in names] if isinstance(counts, Mapping) else []
    return sum(value for value in values if isinstance(value, int) and not isinstance(value, bool))


def text(value: object) -> str:
    return value if isinstance(value, str) else ""
