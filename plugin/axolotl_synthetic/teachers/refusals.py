"""Decides what a status other than 200 means for a call, or for the whole run: the same for every provider that answers over HTTP.

How the error is read stands in `server_errors.py`, which parameter it names in `parameters.py`.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from axolotl_synthetic.errors import RefusedCall, RetryableCall, ServiceError
from axolotl_synthetic.teachers.redaction import Redactor
from axolotl_synthetic.teachers.server_errors import ServersError

# Statuses below 500 after which the same call may succeed; 498 is Groq's for a tier that is full.
_LATER = (408, 409, 425, 429, 498)
# Statuses with which a server refuses a call before it generates anything.
_BEFORE_WORK = (409, 425, 429, 498, 503)
# 529 is Anthropic's.
_OVERLOADED = (429, 498, 503, 529)
# A sentence of a refusal, in characters.
LONGEST_READ = 2_000
# vLLM, SGLang, llama.cpp, Groq, Anthropic and Gemini say so without a code.
_TOO_LONG = re.compile(
    r"maximum (?:context|model) length|context (?:length|size|window)|prompt is too long"
    r"|(?:input|prompt) (?:token count|length).{0,40}exceeds",
    re.IGNORECASE,
)
_NAMES = {
    **dict.fromkeys(("context_length", "context_length_exceeded", "exceed_context_size_error"), "context_length"),
    **dict.fromkeys(("content_filter", "content_filter_exceeded", "content_policy_violation"), "content_filter"),
}


@dataclass(frozen=True)
class Addressee:
    """The server that refused, in the words for a user.

    Attributes:
        name: its address, or its provider.
        model: the model that was asked for.
        variable: the environment variable with the key.
        redacted: cuts secrets out of what it says.
        otherwise: what else it may be that does not know a model.
        advice: what else may be wrong with its address, behind a comma; empty for nothing.
    """

    name: str
    model: str
    variable: str
    redacted: Redactor
    otherwise: str = ", or is no OpenAI-compatible server"
    advice: str = ""


def refusal(to: Addressee, status: int, headers: Mapping[str, str], error: ServersError, remedy: str | None) -> Exception:
    """Return the error that a refused call raises.

    Args:
        to: who refused it.
        status: the HTTP status.
        headers: of the response; `Retry-After` is read.
        error: what the body says.
        remedy: what to change in the config where a parameter is refused by name, else None.
    """
    said = to.redacted(error.message)
    asked = retry_after(headers.get("Retry-After"))
    if status == 402 and error.is_about_calls_under_way:
        return RetryableCall("http_402", said, cost="query", retry_after=asked, slow_down=True)
    if status == 402 or (status < 500 and error.is_about_money):
        return ServiceError(f"{to.name} says that the account is out of credit (HTTP {status}: {said}); top it up")
    if status == 403 and error.is_about_the_content:
        return RefusedCall("content_filter", said, cost="query")
    if status in (401, 403) or (status == 400 and error.is_about_the_key):
        return ServiceError(
            f"{to.name} refuses the key (HTTP {status}: {said}); set the environment variable {to.variable} to a key that may use this"
            " model"
        )
    if error.lasts:
        return ServiceError(f"{to.name} says that the day's quota is used up (HTTP {status}: {said}); go on tomorrow")
    unknown = "model_not_found" in error.names or ("model" in said and "not exist" in said)
    if status == 404 or (status == 400 and unknown):
        return ServiceError(
            f"{to.name} does not know the model {to.model!r}{to.otherwise}"
            f" (HTTP {status}: {said}); correct `model` or `base_url`{to.advice}"
        )
    if remedy is not None:
        return ServiceError(f"{to.name} refuses a parameter (HTTP {status}: {said}); {remedy}")
    if status in _LATER or status >= 500:
        return RetryableCall(
            f"http_{status}",
            said,
            cost="query" if status in _BEFORE_WORK else "unknown",
            retry_after=error.wait if asked is None else asked,
            slow_down=status in _OVERLOADED,
        )
    reason = next((_NAMES[name] for name in error.names if name in _NAMES), None)
    if reason is None and status in (400, 413, 422) and _TOO_LONG.search(error.message[:LONGEST_READ]):
        reason = "context_length"
    return RefusedCall(reason or f"http_{status}", said, cost="query")


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
        seconds = date.timestamp() - (time.time() if now is None else now)
    except (ValueError, OverflowError, OSError):  # a year or a time zone that no clock has
        return None
    return max(0.0, seconds)
