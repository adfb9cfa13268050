"""Any OpenAI-compatible server, over aiohttp: one POST a call, and what each way of failing means.

The key is read from the environment when the session is opened and goes into one header; it is cut out of whatever a server
says before anybody sees it.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from axolotl_synthetic.config import Generation, OpenAIModel
from axolotl_synthetic.errors import ConfigError, RefusedCall, RetryableCall, ServiceError
from axolotl_synthetic.records import Message, Reply

LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
# No model writes this much; a server that does is broken, and its reply must not fill the memory.
MAX_REPLY_BYTES = 8 * 1024 * 1024
DETAIL_LENGTH = 300
# No model reads or writes so many tokens at once; a server that says so does not count.
MOST_TOKENS = 100_000_000


class ServedModel(OpenAIModel):
    """A server of our own, which takes a `seed` so that a run can be repeated."""


class OpenAITeacher:
    """See `teachers.Teacher`."""

    def __init__(self, settings: OpenAIModel) -> None:
        self._settings = settings
        self._url = f"{settings.base_url}/chat/completions"
        self._key = api_key(settings)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {})
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=settings.timeout),
            # What may be open at once is decided by the caller; idle connections cost nothing.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
        )

    async def complete(self, messages: Sequence[Message], generation: Generation, sample: int) -> Reply:
        body: dict[str, Any] = {
            "model": self._settings.model,
            "messages": messages,
            "temperature": generation.temperature,
            "max_tokens": generation.max_new_tokens,
        }
        if generation.top_p is not None:
            body["top_p"] = generation.top_p
        if isinstance(self._settings, ServedModel):
            body["seed"] = sample
        began = time.monotonic()
        try:
            async with self._session.post(self._url, data=orjson.dumps(body)) as response:
                content = await _read(response)
                status, headers = response.status, response.headers
        except aiohttp.ClientConnectorError as error:
            raise RetryableCall("connection", self._redacted(error), cost="none", slow_down=True) from error
        except TimeoutError as error:
            raise RetryableCall("timeout", f"no reply within {self._settings.timeout:g} s") from error
        except (aiohttp.ClientError, OSError, EOFError) as error:
            raise RetryableCall("connection", self._redacted(error)) from error
        if status != 200:
            raise self._refusal(status, headers, content)
        return read_reply(content, time.monotonic() - began, self._redacted)

    async def close(self) -> None:
        await self._session.close()

    def _redacted(self, text: object) -> str:
        """One line without the key, cut short only after the key was cut out."""
        shown = " ".join(str(text).split())
        return (shown.replace(self._key, "***") if self._key else shown)[:DETAIL_LENGTH]

    def _refusal(self, status: int, headers: Mapping[str, str], content: bytes) -> Exception:
        """What a status other than 200 means for this call, or for the run."""
        code, said = _error_of(content)
        said = self._redacted(said)
        settings = self._settings
        if status == 401 or status == 403:
            return ServiceError(
                f"{settings.base_url} refuses the key (HTTP {status}: {said}); set the environment variable {settings.api_key_env}"
                " to a key that may use this model"
            )
        if code in ("insufficient_quota", "billing_hard_limit_reached") or status == 402:
            return ServiceError(f"{settings.base_url} says that the account is out of credit (HTTP {status}: {said}); top it up")
        if status == 404 or (status == 400 and (code == "model_not_found" or ("model" in said and "not exist" in said))):
            return ServiceError(
                f"{settings.base_url} does not know the model {settings.model!r}, or is no OpenAI-compatible server"
                f" (HTTP {status}: {said}); correct `model` or `base_url`"
            )
        if status in (408, 409, 425, 429) or status >= 500:
            return RetryableCall(
                f"http_{status}",
                said,
                cost="query" if status in (409, 425, 429, 503) else "unknown",
                retry_after=retry_after(headers.get("Retry-After")),
                slow_down=status in (429, 503),
            )
        reason = {"context_length_exceeded": "context_length", "content_filter": "content_filter"}.get(str(code), f"http_{status}")
        return RefusedCall(reason, said, cost="query")


def api_key(settings: OpenAIModel) -> str | None:
    """The key in the environment, None for a server on this machine that goes without.

    Raises:
        ConfigError: if the server is elsewhere and the variable is not set, or what it holds is no key.
    """
    key = os.environ.get(settings.api_key_env, "").strip()
    if not re.fullmatch(r"[!-~]*", key):
        # The HTTP client would say so, and show the key.
        raise ConfigError(
            f"synthetic.teacher.api_key_env: what {settings.api_key_env} holds is no key: it has spaces or other signs in it; export it"
        )
    if key:
        return key
    if urlsplit(settings.base_url).hostname in LOCAL_HOSTS:
        return None
    raise ConfigError(
        f"synthetic.teacher.api_key_env: the environment variable {settings.api_key_env} is not set, and {settings.base_url} needs"
        f" a key; `export {settings.api_key_env}=…` (or name another variable)"
    )


def check(settings: OpenAIModel) -> None:
    """Find out before the run whether the server can be reached and takes the key.

    Raises:
        ServiceError: if it cannot be reached, or refuses the key.
        ConfigError: if a key is needed and there is none.
    """
    key = api_key(settings)

    async def ask() -> int:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = aiohttp.ClientTimeout(total=min(15, settings.timeout))
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            session.get(f"{settings.base_url}/models") as response,
        ):
            return response.status

    try:
        status = asyncio.run(ask())
    except TimeoutError:
        return  # busy, or a server without this address: the run itself will tell
    except (aiohttp.ClientError, OSError) as error:
        text = str(error).replace(key, "***") if key else str(error)
        raise ServiceError(
            f"the teacher at {settings.base_url} cannot be reached ({text}); start the server, or correct `base_url`"
        ) from error
    if status == 401:
        raise ServiceError(
            f"{settings.base_url} refuses the key (HTTP 401); set the environment variable {settings.api_key_env} to a valid key"
        )


def read_reply(content: bytes, seconds: float, redacted: Callable[[object], str] = str) -> Reply:
    """The reply in a response of status 200.

    Args:
        content: the body.
        seconds: that it took.
        redacted: cuts what must not be seen out of what the server says.

    Raises:
        RetryableCall: if it is not one: invalid JSON, no choices, nothing said.
        RefusedCall: if a content filter took it away, or the length limit left nothing of it.
    """
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise RetryableCall("invalid_json", f"{len(content)} bytes that are not JSON in UTF-8") from error
    choices = data.get("choices") if isinstance(data, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise RetryableCall("no_choices", redacted(_error_of(content)[1]))
    message = choices[0].get("message")
    text = message.get("content") if isinstance(message, dict) else None
    finish_reason = str(choices[0].get("finish_reason") or "stop")
    if finish_reason == "content_filter":
        raise RefusedCall("content_filter", "the server's filter took the reply away")
    if not isinstance(text, str) or not text.strip():
        if finish_reason == "length":
            raise RefusedCall("empty_reply", "cut off before the first word; raise `generation.max_new_tokens`")
        raise RetryableCall("empty_reply", redacted(f"finish_reason {finish_reason}"))
    usage = data.get("usage") if isinstance(data.get("usage"), dict) else {}
    return Reply(text, finish_reason, _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), seconds)


def retry_after(value: str | None, *, now: float | None = None) -> float | None:
    """Seconds to wait, of a `Retry-After` header in either of its forms (RFC 9110, section 10.2.3), None when it says nothing."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - (time.time() if now is None else now))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_REPLY_BYTES:
            response.close()
            raise RefusedCall("reply_too_large", f"more than {MAX_REPLY_BYTES // 1024 // 1024} MB")
        chunks.append(chunk)
    return b"".join(chunks)


def _error_of(content: bytes) -> tuple[str | None, str]:
    """The code and the message of an error's body, in OpenAI's form or any other."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return None, content[:DETAIL_LENGTH].decode(errors="replace")
    error = data.get("error", data) if isinstance(data, dict) else data
    if isinstance(error, dict):
        return error.get("code"), str(error.get("message") or error.get("detail") or error)
    return None, str(error)


def _count(value: object) -> int | None:
    """A count that can be true: neither an empty prompt nor an empty reply is ever sent."""
    return value if isinstance(value, int) and 0 < value < MOST_TOKENS else None
