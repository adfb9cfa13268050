"""The meaning of a status other than 200 for a call or the whole run, the same for every provider over HTTP.

`server_errors.py` reads the error; `parameters.py` finds the parameter that it names.
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

# Statuses below 500 after which the same call may succeed; 498 is Groq's for a full tier.
_LATER = (408, 409, 425, 429, 498)
# Statuses with which a server refuses a call before it generates anything.
_BEFORE_WORK = (409, 425, 429, 498, 503)
# 529 is Anthropic's.
_OVERLOADED = (429, 498, 503, 529)
# Characters of a refusal that are read: about a sentence.
LONGEST_READ = 2_000
# Messages of vLLM, SGLang, llama.cpp, Groq, Anthropic and Gemini, which send no code for it.
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
    """The server that refused a call, in words for the user.

    Attributes:
        name: its address or its provider.
        model: the requested model.
        variable: the environment variable with the key.
        redacted: removes secrets from its words.
        otherwise: another explanation of an unknown model.
        advice: another possible fault of its address, after a comma; empty for none.
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
        to: the server that refused it.
        status: the HTTP status.
        headers: the response's headers; only `Retry-After` is read.
        error: the error in the body.
        remedy: what to change in the config if a parameter is refused by name, else None.
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
    """Return the seconds to wait by a `Retry-After` header in either form (RFC 9110, section 10.2.3); None without a usable value."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        date = email.utils.parsedate_to_datetime(value)
        seconds = date.timestamp() - (time.time() if now is None else now)
    except (ValueError, OverflowError, OSError):  # an impossible year or time zone
        return None
    return max(0.0, seconds)
