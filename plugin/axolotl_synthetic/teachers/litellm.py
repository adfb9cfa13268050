"""Any provider that LiteLLM knows: Anthropic's own API, Gemini's, Bedrock, Vertex AI and others that lack an OpenAI-compatible API.

LiteLLM only translates a request and its reply here. It fetches no prices, logs nothing, reads no `.env` file and repeats no call, which
no budget would count. Its replies have OpenAI's form and are read alike (`replies.py`). Its errors are traced back to the server's status
and words (`refusals.py`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from axolotl_synthetic import extras
from axolotl_synthetic.config import Generation, LiteLLMModel
from axolotl_synthetic.errors import ConfigError, RefusedCall, RetryableCall, ServiceError
from axolotl_synthetic.records import Message, Reply
from axolotl_synthetic.teachers import network
from axolotl_synthetic.teachers.parameters import Parameters
from axolotl_synthetic.teachers.redaction import Redactor, secrets_of_the_environment
from axolotl_synthetic.teachers.refusals import Addressee, refusal
from axolotl_synthetic.teachers.replies import read_reply
from axolotl_synthetic.teachers.server_errors import ServersError

# LiteLLM reads these at import: use its own price table instead of fetching one, and read no `.env` of the working directory.
ENVIRONMENT = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "CRITICAL"}
# LiteLLM tells how a connection failed only in its message.
_NEVER_LEFT = "Cannot connect to host"
_CONNECTION = re.compile(rf"{_NEVER_LEFT}|Server disconnected|Connection (?:reset|error|aborted)|payload is not completed", re.IGNORECASE)
LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "httpx", "openai")


def check(settings: LiteLLMModel) -> LiteLLMModel:
    """Check before the run that LiteLLM and the key are there, without importing LiteLLM.

    Raises:
        MissingExtraError: if LiteLLM is not installed.
        ConfigError: if the key's variable is not set.
    """
    extras.require("litellm", "provider: litellm")
    local = settings.base_url is not None and urlsplit(settings.base_url).hostname in network.LOCAL_HOSTS
    if settings.api_key_env is not None and not os.environ.get(settings.api_key_env, "").strip() and not local:
        raise ConfigError(
            f"synthetic.teacher.api_key_env: the environment variable {settings.api_key_env} is not set; `export {settings.api_key_env}=…`"
            " (or name another variable)"
        )
    return settings


def open_teacher(settings: LiteLLMModel) -> LiteLLMTeacher:
    """Import LiteLLM, which takes seconds, and open a teacher.

    Raises:
        ConfigError: if LiteLLM knows no such provider.
    """
    return LiteLLMTeacher(settings, _library())


def _library() -> Any:
    os.environ.update(ENVIRONMENT)
    try:
        import litellm
        from litellm.llms.custom_httpx import http_handler
    except ImportError as error:
        raise ServiceError(f"LiteLLM cannot be imported: {error}; pip install 'axolotl-synthetic[litellm]'") from error
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.drop_params = False
    litellm.num_retries = 0
    for name in ("callbacks", "success_callback", "failure_callback", "input_callback", "service_callback"):
        setattr(litellm, name, [])
        setattr(litellm, f"_async_{name}", [])
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Prevent its second attempt after a broken connection: the server may have generated, and billed, the lost reply.
    http_handler.AsyncHTTPHandler.single_connection_post_request = _raise_again
    return litellm


async def _raise_again(*_: Any, **__: Any) -> Any:
    """Raise the error that is being handled, instead of LiteLLM's second attempt."""
    raise sys.exc_info()[1] or ConnectionError("the connection broke")


class LiteLLMTeacher:
    """Teacher that asks through LiteLLM; see `teachers.Teacher`."""

    def __init__(self, settings: LiteLLMModel, library: Any) -> None:
        self._settings = settings
        self._library = library
        key = os.environ.get(settings.api_key_env, "").strip() if settings.api_key_env is not None else ""
        self._redacted = Redactor([key, *secrets_of_the_environment()])
        try:
            _, provider, _, _ = library.get_llm_provider(settings.model, api_base=settings.base_url)
        except Exception as error:
            raise ConfigError(
                f"synthetic.teacher.model: LiteLLM does not know whose model {settings.model!r} is; write the provider before it, such as"
                f" anthropic/{settings.model}"
            ) from error
        where = settings.base_url or f"LiteLLM's provider {provider}"
        variable = settings.api_key_env or f"that LiteLLM reads for {provider}, or name one in `api_key_env`,"
        self._addressee = Addressee(where, settings.model, variable, self._redacted, otherwise="")
        self._parameters = Parameters("keep")
        self._fixed = {
            **settings.kwargs,
            "model": settings.model,
            "timeout": settings.timeout,
            "num_retries": 0,
            "max_retries": 0,
            "drop_params": False,
        }
        if settings.base_url is not None:
            self._fixed["api_base"] = settings.base_url
        if settings.api_key_env is not None:
            # A local server may need no key, but LiteLLM does.
            self._fixed["api_key"] = key or "none"

    async def complete(self, messages: Sequence[Message], generation: Generation, sample: int) -> Reply:
        seed = None if generation.seed is None else generation.seed + sample
        body = self._parameters.body(self._settings.model, [dict(message) for message in messages], generation, seed)
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._settings.timeout):
                response = await self._library.acompletion(**{**body, **self._fixed})
        except TimeoutError as error:
            raise RetryableCall("timeout", f"no reply within {self._settings.timeout:g} s") from error
        except Exception as error:
            raise self._failure(error, body) from error
        content = json.dumps(response.model_dump(), default=str, ensure_ascii=False).encode(errors="surrogatepass")
        self._parameters.accept(body)
        return read_reply(content, time.monotonic() - began, self._redacted, generation.max_new_tokens)

    async def close(self) -> None:
        close = getattr(self._library, "close_litellm_async_clients", None)
        if close is not None:
            await close()

    def _failure(self, error: Exception, body: Mapping[str, Any]) -> Exception:
        """Return our error for one of LiteLLM's, by its class and the server's status."""
        names = {kind.__name__ for kind in type(error).__mro__}
        said = servers_words(error)
        message = ServersError(said or json.dumps({"error": {"message": str(error)}}).encode())
        if "ContextWindowExceededError" in names:
            return RefusedCall("context_length", self._redacted(message.message), cost="query")
        if "ContentPolicyViolationError" in names:
            return RefusedCall("content_filter", self._redacted(message.message), cost="query")
        if names & {"Timeout", "APITimeoutError"}:
            return RetryableCall("timeout", f"no reply within {self._settings.timeout:g} s")
        if _CONNECTION.search(str(error)) and said is None:
            left = _NEVER_LEFT in str(error)
            return RetryableCall("connection", self._redacted(error), cost="none" if left else "unknown", slow_down=left)
        if (status := servers_status(error)) is None:
            return RetryableCall(type(error).__name__, self._redacted(error))
        return refusal(self._addressee, status, _headers(error), message, self._parameters.remedy(status, message, body))


def servers_words(error: Exception) -> bytes | None:
    """Return the server's body from a LiteLLM error, which wraps it in a message; None if there is none."""
    text = str(error)
    for start in (at for at, letter in enumerate(text) if letter in "{["):
        try:
            found, _ = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) or (isinstance(found, list) and found and isinstance(found[0], dict)):
            return json.dumps(found).encode()
    return None


def servers_status(error: BaseException | None) -> int | None:
    """Return the innermost error's status, which is the server's: LiteLLM turns unknown statuses (402, 529) into 500."""
    found = None
    while error is not None:
        status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(status, int) and 400 <= status < 600:
            found = status
        error = error.__cause__ or error.__context__
    return found


def _headers(error: Exception) -> Mapping[str, str]:
    """Return the `Retry-After` header of the server's response, if it sent one."""
    for found in (getattr(error, "litellm_response_headers", None), getattr(getattr(error, "response", None), "headers", None)):
        if found is not None and (value := found.get("retry-after")) is not None:
            return {"Retry-After": str(value)}
    return {}
