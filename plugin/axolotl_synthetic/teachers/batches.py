"""What a provider of batches can do, the same for OpenAI's protocol (`openai_batches.py`) and Anthropic's (`anthropic_batches.py`).

Everything here makes one request and says how it ended. When to send a batch, how long to wait for it and what to write down of it is
decided in `pipelines/waves.py`.
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
"""How a batch ended; empty while it has not. `refused`: nothing of it was done, for it has an error. `full`: nothing was done, for there is
too much in the provider's queue."""

# What providers say where too much is queued, or a file is too large.
_TOO_MUCH = re.compile(
    r"token_limit_exceeded|enqueued|too (?:large|many requests in|many batch)|(?:batch|file|queue)\w*\W+(?:\w+\W+){0,4}?(?:limit|quota|full"
    r"|size)|exceeds? the (?:maximum|limit)",
    re.IGNORECASE,
)


# Bytes in a second that an upload makes at least: a batch has up to 240 MB, and `timeout` is that of a call.
SLOWEST = 100_000
# An id of a file or a batch.
_ID = re.compile(r"[\w.:=+~-]{1,200}")


class Unreachable(Exception):
    """A request that may succeed later.

    Args:
        said: what went wrong.
        done: the provider may have done what it was asked for.
        wait: seconds that it asks to wait, None when it did not say.
    """

    def __init__(self, said: str, *, done: bool = True, wait: float | None = None) -> None:
        super().__init__(said)
        self.done = done
        self.wait = wait


class TooMuch(Exception):
    """The provider takes no batch, or none so large, for now; it has made none."""


class NotThere(Exception):
    """The provider does not know what was asked for."""


class AskAgain(Exception):
    """A call is to go out once more in other words, which are used from now on. It has cost nothing."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a batch stands.

    Attributes:
        id: the provider's.
        told: the provider's word.
        ended: how it ended, empty while it has not.
        total, done, failed: calls; 0 where the provider does not say.
        said: what it says of an error, as it may be shown.
        results: where they are: ids of files, or an address.
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
    """One line of a batch's results, not read yet."""

    custom_id: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """What a call is read by: how it was sent."""

    messages: Sequence[Message]
    generation: Generation
    sample: int


class Batches(Protocol):
    """One provider."""

    most_calls: int
    most_bytes: int
    spelling: str
    """Names that parameters are sent under, as JSON; set, for what an earlier run sent."""

    def line(self, custom_id: str, sent: Sent) -> bytes:
        """Return a call as it stands in a batch."""

    async def upload(self, token: str, lines: Sequence[bytes]) -> str | None:
        """Upload calls; the id of the file, None where there is no such step. Costs nothing."""

    async def create(self, token: str, file: str | None, lines: Sequence[bytes]) -> Stand:
        """Make a batch of what was uploaded, or of the lines.

        Raises:
            TooMuch: if there is no room for it.
        """

    async def find(self, token: str, file: str | None, calls: int, since: float, known: set[str]) -> Stand | None:
        """Look for a batch whose id never arrived; None if there is none.

        Args:
            token: our name for it.
            file: its file, if one was uploaded.
            calls: how many are in it.
            since: Unix time before which it cannot have been made.
            known: the provider's ids of our other batches.

        Raises:
            Unreachable: if it cannot be told yet.
        """

    async def forbid(self, file: str) -> bool:
        """See to it that no batch can be made of a file any more; returns whether that is sure."""

    async def look(self, id: str) -> Stand:
        """Return where a batch stands.

        Raises:
            NotThere: if the provider does not know it.
        """

    def results(self, stand: Stand) -> AsyncIterator[Result]:
        """Yield the lines of a batch that ended, in any order; lines that cannot be read are left out."""

    def read(self, result: Result, sent: Sent, spelling: str) -> Reply:
        """Return the reply in a result.

        Args:
            spelling: the names that the batch was sent under.

        Raises:
            AskAgain, CallFailed, ServiceError: what the call ended with instead.
        """

    async def close(self) -> None:
        """Let go of connections."""


class BatchClient(OpenAITeacher):
    """The part that the protocols share: requests, their errors, and files of lines."""

    _root: str
    """The address that the paths of a request stand behind."""

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
        """Return a provider's id as it may be written down; empty where it is none, or repeats a key."""
        told = text(value)
        return told if _ID.fullmatch(told) and self._redacted(told) == told else ""

    def _spelled(self, spelling: str) -> Parameters:
        """Return parameters as a batch was sent with them, whatever was learnt since."""
        parameters = Parameters(self._settings.system_role)
        parameters.spelling = json.loads(spelling)
        return parameters

    async def _request(self, method: str, url: str, *, body: Any = None, form: aiohttp.FormData | None = None, size: int = 0) -> Any:
        """Make a request; the JSON of its reply.

        Args:
            method, url: of the request.
            body: sent as JSON.
            form: sent instead.
            size: of the form, in bytes.
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
        """Return what a status other than 2xx means for a request about batches."""
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
        """Yield the objects of a file of JSON lines, which may be larger than the memory. Keys go to the server that they are for."""
        begin = url
        try:
            for _ in range(MOST_REDIRECTS):
                headers = self._secret_headers if network.same_server(begin, url) else {}
                # A large file may take longer than a call, but no piece of it.
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
        """Return the reply in a result's body, in the form of a completion; the names that the call was sent under have served."""
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
        """Return what an error of one call in a batch means. A provider bills no call that ended in one."""
        error = ServersError(orjson.dumps(body))
        if self._parameters.adapts(status, error, sent):
            return AskAgain()
        refused = self._refusal(status, {}, error, sent)
        return without_wait(refused, "query") if isinstance(refused, RetryableCall) else refused


def without_wait(failed: RetryableCall, cost: Literal["none", "query", "unknown"] | None = None) -> RetryableCall:
    """Return a failure that is asked again with the next batch: there is nothing to wait for, and nothing to slow down."""
    failed.retry_after, failed.slow_down = 0.0, False
    if cost is not None and failed.reply is None:
        failed.cost = cost
    return failed


async def _split(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield lines; of one that is longer than any reply, nothing."""
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
    """Return the sum of some counts in an object, as far as they are there."""
    values = [counts.get(name) for name in names] if isinstance(counts, Mapping) else []
    return sum(value for value in values if isinstance(value, int) and not isinstance(value, bool))


def text(value: object) -> str:
    return value if isinstance(value, str) else ""
