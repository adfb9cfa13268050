"""Any OpenAI-compatible server over aiohttp: one POST per call, and the meaning of each status.

Keys are read from the environment when the session is opened. They go into headers for one server, and are cut out of everything that it
says before it is shown or stored (`redaction.py`). `parameters.py` builds the body, `replies.py` reads a reply, `network.py` connects.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import aiohttp
import orjson

from axolotl_synthetic import terminal
from axolotl_synthetic.config import SECRET_KEYS, Generation, OpenAIModel
from axolotl_synthetic.errors import CallFailed, ConfigError, RefusedCall, RetryableCall, ServiceError
from axolotl_synthetic.records import Message, Reply, Role
from axolotl_synthetic.teachers import network
from axolotl_synthetic.teachers.parameters import Parameters
from axolotl_synthetic.teachers.redaction import Redactor
from axolotl_synthetic.teachers.refusals import Addressee, refusal
from axolotl_synthetic.teachers.replies import read_replies, read_reply
from axolotl_synthetic.teachers.server_errors import ServersError, status_inside

# No model writes this much; a broken server's reply must not fill the memory.
MAX_REPLY_BYTES = 8 * 1024 * 1024
PATH = "/chat/completions"
MOST_REDIRECTS = 5
# Endpoints that are checked at the same time before a run; each that hangs takes 15 seconds.
MOST_CHECKED = 32
# https://docs.claude.com/en/api/versioning
ANTHROPIC_VERSION = "2023-06-01"


class ServedModel(OpenAIModel):
    """Server of our own, which takes a `seed` so that a run can be repeated."""


class OpenAITeacher:
    """Teacher that asks an OpenAI-compatible server; see `teachers.Teacher`."""

    def __init__(self, settings: OpenAIModel) -> None:
        self._settings = settings
        self._url = _address(settings, PATH)
        self._secret_headers, self._redacted = _secret_headers(settings)
        self._parameters = Parameters(settings.system_role)
        versioned = ".azure.com" not in settings.url or settings.query
        advice = "" if versioned else ", or add `query: {api-version: …}`"
        self._addressee = Addressee(settings.url, settings.model, _key_variable(settings), self._redacted, advice=advice)
        self._session = network.session(settings.url, settings.timeout)

    async def complete(self, messages: Sequence[Message], generation: Generation, sample: int) -> Reply:
        takes_seed = generation.seed is not None or isinstance(self._settings, ServedModel)
        content, seconds, _ = await self._complete(messages, generation, (generation.seed or 0) + sample if takes_seed else None, 1)
        return read_reply(content, seconds, self._redacted, generation.max_new_tokens)

    async def complete_several(self, messages: Sequence[Message], generation: Generation, number: int) -> list[Reply | CallFailed]:
        """Ask once for several replies; see `teachers.SeveralAtOnce`."""
        content, seconds, sent = await self._complete(messages, generation, None, number)
        return read_replies(content, seconds, self._redacted, generation.max_new_tokens, most=sent)

    async def _complete(
        self, messages: Sequence[Message], generation: Generation, seed: int | None, number: int
    ) -> tuple[bytes, float, int]:
        """Return a response's body, its duration in seconds, and the number of replies that the last attempt asked for."""
        while True:
            body = self._parameters.body(self._settings.model, messages, generation, seed, number)
            began = time.monotonic()
            status, headers, content = await self._ask(body)
            if status == 200:
                break
            error = ServersError(content)
            if not self._parameters.adapts(status, error, body):
                raise self._refusal(status, headers, error, body)
        self._parameters.accept(body)
        return content, time.monotonic() - began, body.get("n", 1)

    async def _ask(self, body: Mapping[str, Any]) -> tuple[int, Mapping[str, str], bytes]:
        """Return the status (that of an error inside a 200 included), the headers and the content."""
        try:
            status, headers, content = await self._post(orjson.dumps(body))
            content = without_comments(content)
        except aiohttp.ClientConnectorError as error:
            if network.is_lasting(error):
                raise ServiceError(network.unreachable(self._settings.url, error, self._redacted(error))) from error
            raise RetryableCall("connection", self._redacted(error), cost="none", slow_down=True) from error
        except TimeoutError as error:
            raise RetryableCall("timeout", f"no reply within {self._settings.timeout:g} s") from error
        except (aiohttp.ClientError, OSError, EOFError, ValueError) as error:  # a redirect may name an invalid host
            raise RetryableCall("connection", self._redacted(error)) from error
        return ((status_inside(content) or 200) if status == 200 else status, headers, content)

    async def _post(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request, and follow redirects that preserve it (307, 308). Keys go only to the server that they are for."""
        url = self._url
        for _ in range(MOST_REDIRECTS):
            sent = {"Content-Type": "application/json"} | (self._secret_headers if network.same_server(self._url, url) else {})
            async with self._session.post(url, data=body, headers=sent, allow_redirects=False) as response:
                content = await _read(response)
                status, headers = response.status, response.headers
            if status not in (307, 308) or not (target := network.redirected(url, headers.get("Location"))):
                break
            url = target
        return status, headers, content

    async def close(self) -> None:
        await self._session.close()

    def _refusal(self, status: int, headers: Mapping[str, str], error: ServersError, body: Mapping[str, Any]) -> Exception:
        """Return the error that a status other than 200 means for this call or the run."""
        if 300 <= status < 400:
            return self._redirect(status, headers)
        return refusal(self._addressee, status, headers, error, self._parameters.remedy(status, error, body))

    def _redirect(self, status: int, headers: Mapping[str, str]) -> ServiceError:
        """Return the error for a redirect that would turn the POST into a GET (RFC 9110, section 15.4) or leads nowhere."""
        target = network.redirected(self._url, headers.get("Location"))
        if status in (307, 308) and target:
            return ServiceError(
                f"{self._settings.url} sends calls on to another address (HTTP {status}) more than {MOST_REDIRECTS} times, the last to"
                f" {self._redacted(target.partition('?')[0])}; correct `base_url`"
            )
        moved = target.partition("?")[0].removesuffix(PATH)
        remedy = f"write `base_url: {self._redacted(moved)}`" if target else "correct `base_url`"
        if target and not target.partition("?")[0].endswith(PATH):
            remedy = f"correct `base_url`: it leads to {self._redacted(moved)}"
        return ServiceError(f"{self._settings.url} sends calls on to another address (HTTP {status}); {remedy}")


def _address(settings: OpenAIModel, path: str) -> str:
    return f"{settings.url}{path}" + (f"?{urlencode(settings.query)}" if settings.query else "")


def _key_header(settings: OpenAIModel) -> str | None:
    """Return the header in `headers_env` that carries the key; None if `api_key_env` names the key."""
    if settings.key_variable != OpenAIModel.model_fields["api_key_env"].default:
        return next((name for name in settings.headers_env if name.lower() == "authorization"), None)
    return next((name for name in settings.headers_env if SECRET_KEYS.search(name)), None)


def _key_variable(settings: OpenAIModel) -> str:
    header = _key_header(settings)
    return settings.key_variable if header is None else settings.headers_env[header]


def _secret_headers(settings: OpenAIModel) -> tuple[dict[str, str], Redactor]:
    """Return the headers whose values come from the environment, and a redactor for those values.

    Raises:
        ConfigError: if a variable is not set, or its value is invalid in a header.
    """
    headers = {}
    for name, variable in settings.headers_env.items():
        headers[name] = os.environ.get(variable, "").strip()
        if not re.fullmatch(r"[ -~]+", headers[name]):
            problem = "holds what no header can" if headers[name] else "is not set"
            raise ConfigError(f"synthetic.teacher.headers_env.{name}: the environment variable {variable} {problem}; export it")
    # Redact the key alone as well as `Bearer sk-…`.
    secrets = [secret for value in headers.values() for secret in (value, value.split()[-1])]
    key = api_key(settings) if _key_header(settings) is None else None
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
        secrets.append(key)
    return headers, Redactor(secrets)


def anthropic_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with the key as Anthropic's own protocol takes it."""
    key = {"x-api-key": headers["Authorization"].removeprefix("Bearer ")} if "Authorization" in headers else {}
    return {"anthropic-version": ANTHROPIC_VERSION} | {name: value for name, value in headers.items() if name != "Authorization"} | key


def api_key(settings: OpenAIModel) -> str | None:
    """Return the key from the environment; None for a server on this machine without one.

    Raises:
        ConfigError: if a remote server's variable is not set, or its value is no key.
    """
    key = os.environ.get(settings.key_variable, "").strip()
    if not re.fullmatch(r"[!-~]*", key):
        # Check here, because the HTTP client's error would show the key.
        raise ConfigError(
            f"synthetic.teacher.api_key_env: what {settings.key_variable} holds is no key: it has spaces or other signs in it; export it"
        )
    if key:
        return key
    if urlsplit(settings.url).hostname in network.LOCAL_HOSTS:
        return None
    raise ConfigError(
        f"synthetic.teacher.api_key_env: the environment variable {settings.key_variable} is not set, and {settings.url} needs"
        f" a key; `export {settings.key_variable}=…` (or name another variable)"
    )


def check(settings: OpenAIModel, role: Role = "teacher") -> OpenAIModel:
    """Check before the run that the servers can be reached and accept the keys.

    Args:
        settings: the model.
        role: whose it is, for the messages.

    Returns:
        The settings, with `/v1` added to or removed from an address where only that address lists models.

    Raises:
        ServiceError: if no server can be reached, or one refuses its key.
        ConfigError: if a needed key is missing.
    """
    endpoints = settings.endpoints
    for one in endpoints:
        _secret_headers(one)  # check all keys before the first request
    if len(endpoints) == 1:
        return settings.model_copy(update={"base_url": _check(endpoints[0], role)})
    with ThreadPoolExecutor(MOST_CHECKED) as pool:
        checked = list(pool.map(partial(_check_or_away, role=role), endpoints))
    away = [one.error for one in checked if one.error is not None]
    if len(away) == len(checked):
        raise away[0]
    for error in away:
        terminal.notice(f"{error}; the run begins without it")
    several = isinstance(settings.base_url, list) and len(settings.base_url) > 1
    # Endpoints that differ only in their keys share one address.
    return settings.model_copy(update={"base_url": [one.url for one in checked] if several else checked[0].url})


class _Unreachable(ServiceError):
    """Error: the server cannot be reached, but other endpoints may replace it."""


class _Checked(NamedTuple):
    """One endpoint's address after the check, and why it cannot be reached, if so."""

    url: str
    error: _Unreachable | None = None


def _check_or_away(settings: OpenAIModel, role: Role) -> _Checked:
    try:
        return _Checked(_check(settings, role))
    except _Unreachable as error:
        return _Checked(settings.url, error)


def _check(settings: OpenAIModel, role: Role) -> str:
    """Return the address, with or without `/v1`, at which a server lists models; unchanged if neither does."""
    headers, redacted = _secret_headers(settings)
    if settings.batch is not None and settings.batch.protocol == "anthropic":
        headers = anthropic_headers(headers)

    async def ask(settings: OpenAIModel) -> tuple[int, str, bytes]:
        url = _address(settings, "/models")
        async with (
            network.session(settings.url, min(15, settings.timeout)) as session,
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            return response.status, network.redirected(url, response.headers.get("Location")), await _read(response)

    base = settings.url
    other = settings.model_copy(update={"base_url": base.removesuffix("/v1") if base.endswith("/v1") else f"{base}/v1"})
    try:
        status, target, content = asyncio.run(ask(settings))
        if status in (200, 404, 405) and not (status == 200 and _lists_models(content)):
            status_there, _, content_there = asyncio.run(ask(other))
            if status_there == 200 and _lists_models(content_there):
                return other.url
    except (TimeoutError, CallFailed):
        return base  # busy, or without this path: the run itself will show it
    except (aiohttp.ClientError, OSError, ValueError) as error:  # a proxy's host may be invalid
        raise _Unreachable(network.unreachable(base, error, redacted(error), role)) from error
    # Anthropic's list of models wants the key in a header of its own, while calls take it as OpenAI's do: ignore that 401.
    if status == 401 and not (b"x-api-key" in content and "x-api-key" not in map(str.lower, headers)):
        raise ServiceError(f"{base} refuses the key (HTTP 401); set the environment variable {_key_variable(settings)} to a valid key")
    if status in (301, 302, 303) and target.partition("?")[0].endswith("/models"):
        moved = redacted(target.partition("?")[0].removesuffix("/models"))
        raise ServiceError(f"{base} sends calls on to another address (HTTP {status}); write `base_url: {moved}`")
    return base


def _lists_models(content: bytes) -> bool:
    try:
        data = orjson.loads(content)
    except ValueError:
        return False
    return isinstance(data, list) or (isinstance(data, dict) and any(isinstance(data.get(name), list) for name in ("data", "models")))


def without_comments(content: bytes) -> bytes:
    """Return a body without event-stream comments, with which OpenRouter and DeepSeek keep a connection alive."""
    if not content.lstrip().startswith(b":"):
        return content
    return b"\n".join(line for line in content.split(b"\n") if not line.startswith(b":"))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_REPLY_BYTES:
            response.close()
            raise RefusedCall("reply_too_large", f"more than {MAX_REPLY_BYTES // 1024 // 1024} MB")
        chunks.append(chunk)
    return b"".join(chunks)
