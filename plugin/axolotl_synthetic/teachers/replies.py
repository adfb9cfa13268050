"""Read what a body of an OpenAI-compatible server says (its message, tokens, error), and which replies are of use, for every provider.

A reply that is of no use is a failed call that keeps the reply: it was billed, and its tokens count. Whether it is asked for again is
decided by who is at fault. What a server broke off, or lost, may come whole the next time. What a model did by itself (it thought
until its limit, refused, called a tool) was paid for in full, and another attempt costs as much as another candidate: it is not made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from axolotl_synthetic.errors import RefusedCall, RetryableCall
from axolotl_synthetic.records import CUT_OFF, WHOLE, Reply
from axolotl_synthetic.teachers.redaction import Redactor
from axolotl_synthetic.thoughts import divide

# No model reads or writes so many tokens at once; a server that says so does not count.
MOST_TOKENS = 100_000_000
# The end of a turn is a token or two; more of them, of which nothing shows, were thoughts that the server keeps to itself.
MOST_TOKENS_OF_NOTHING = 16
# Of what a server may say in a few letters: a longer text is a mistake of its.
LONGEST_REASON = 60
SHOWN_BODY = 120
# Reasons for ending that the server is to blame for: vLLM and SGLang (abort), OpenRouter and Mistral (error), Zhipu (network_error),
# DeepSeek (insufficient_system_resource), Ollama (load, unload).
BROKEN = {"error", "abort", "aborted", "cancelled", "canceled", "timeout", "network_error", "server_error", "load", "unload"}
OVERLOADED = {"insufficient_system_resource", "overloaded", "overloaded_error", "unavailable", "error_limit"}
# A filter's, of OpenAI, Anthropic, Gemini, Zhipu, Cohere and Bedrock.
FILTERED = {"content_filter", "content_filtered", "safety", "sensitive", "refusal", "recitation", "blocklist", "prohibited_content"} | {
    *("spii", "error_toxic", "guardrail_intervened", "moderation")
}
TOOLS = {"tool_calls", "tool_call", "tool_use", "function_call"}
# Errors that are named, not numbered.
STATUSES = {
    **dict.fromkeys(("invalid_api_key", "authentication_error", "unauthorized", "unauthenticated"), 401),
    **dict.fromkeys(("insufficient_quota", "insufficient_credits", "billing_hard_limit_reached", "payment_required"), 402),
    **dict.fromkeys(("permission_denied", "permission_error", "forbidden"), 403),
    **dict.fromkeys(("rate_limit_exceeded", "rate_limit_error", "too_many_requests", "resource_exhausted"), 429),
    **dict.fromkeys(("overloaded_error", "service_unavailable", "unavailable"), 503),
}

# … and what is said where the key is wrong, and the status is 400 (Gemini, xAI).
_ABOUT_THE_KEY = ("api key not valid", "incorrect api key", "invalid api key", "api key is invalid", "api key expired", "missing api key")

Redacted = Callable[[object], str]
# Where there is no key to cut out.
PLAIN = Redactor(())


def read_reply(content: bytes, seconds: float, redacted: Redacted = PLAIN) -> Reply:
    """Return the reply in a response of status 200.

    Args:
        content: the body.
        seconds: that it took.
        redacted: cuts what must not be seen out of what the server says, and then short.

    Raises:
        RetryableCall: if it is not one: invalid JSON, no choices, nothing said, broken off.
        RefusedCall: if asking again cannot help; see `usable`.
    """
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        begin = redacted(content.decode(errors="replace"))[:SHOWN_BODY]
        raise RetryableCall("invalid_json", f"{len(content)} bytes that are not JSON in UTF-8: {begin!r}") from error
    choices = data.get("choices") if isinstance(data, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise RetryableCall("no_choices", redacted(ServersError(content).message))
    found = choices[0].get("message")
    message = found if isinstance(found, dict) else {}
    text, thinking = _content(message)
    ended = redacted(_finish_reason(choices[0]))[:LONGEST_REASON]
    if choices[0].get("error") or data.get("error"):
        ended = "error"  # beside the part of a reply that came before it
    prompt, completion, reasoning = read_usage(data.get("usage"))
    if message.get("tool_calls") and not text.strip():
        ended = "tool_calls"
    refusal = message.get("refusal")
    return usable(
        Reply(text, ended, prompt, completion, seconds, thinking, reasoning), redacted(refusal) if isinstance(refusal, str) else ""
    )


def _finish_reason(choice: Mapping[str, Any]) -> str:
    """Return why a reply ended: `finish_reason`, or what a proxy passes on under another name where that says that it is not whole."""
    native = [str(choice.get(name)) for name in ("native_finish_reason", "stop_reason", "finishReason", "done_reason")]
    told = choice.get("finish_reason")
    if not told or str(told).lower() in WHOLE:
        return next((reason for reason in native if reason.lower() in CUT_OFF | BROKEN | OVERLOADED | FILTERED), str(told or "stop"))
    return str(told)


def usable(reply: Reply, refusal: str = "") -> Reply:
    """Return the reply, if it is of use: it was not broken off, and says something besides thoughts.

    Args:
        refusal: what the server gave apart from the content as the model's refusal.

    Raises:
        RetryableCall, RefusedCall: if it is not, with the reply, whose tokens were billed.
    """
    ended = reply.ended
    if ended in FILTERED:
        raise RefusedCall("content_filter", f"the server's filter took the reply away (finish_reason {reply.finish_reason})", reply=reply)
    if ended in TOOLS:
        raise RefusedCall("tool_call", "the model called a tool instead of answering; use a model or a server that does not", reply=reply)
    if ended in BROKEN or ended in OVERLOADED:
        said = f"the server broke the reply off (finish_reason {reply.finish_reason})"
        raise RetryableCall("broken_off", said, slow_down=ended in OVERLOADED, reply=reply)
    if not reply.whole and not reply.cut_off:
        raise RefusedCall("broken_off", f"finish_reason {reply.finish_reason!r} is not known to end a whole reply", reply=reply)
    if reply.text.strip():
        return reply
    if marker := divide(reply.raw).unusable:
        raise RefusedCall(
            "unusable_reply",
            f"it goes on in another's turn, or with a leftover of the chat template, at {marker!r}, and where the answer ends is not known;"
            " correct the server's chat template or its stop tokens",
            reply=reply,
        )
    if refusal:
        raise RefusedCall("refusal", refusal, reply=reply)
    reasoned = reply.reasoned or (reply.completion_tokens or 0) > MOST_TOKENS_OF_NOTHING
    if reply.cut_off and reasoned:
        raise RefusedCall("empty_reply", "cut off while the model was thinking; raise `generation.max_new_tokens`", reply=reply)
    if reply.cut_off:
        raise RefusedCall("empty_reply", "cut off before the first word; raise `generation.max_new_tokens`", reply=reply)
    if reasoned:
        raise RefusedCall(
            "empty_reply",
            f"the model gave its reasoning and no answer behind it (finish_reason {reply.finish_reason}); switch its reasoning off at the"
            " server, or take another model",
            reply=reply,
        )
    raise RetryableCall("empty_reply", f"finish_reason {reply.finish_reason}", reply=reply)


def _content(message: Mapping[str, Any]) -> tuple[str, str]:
    """Return what a message says, and what it gives apart as thoughts: in fields of their own (DeepSeek, vLLM, Ollama, OpenRouter), or as
    parts of its content (Mistral, Anthropic)."""
    content = message.get("content")
    thoughts = [_text_of(message.get(name)) for name in ("reasoning_content", "reasoning", "thinking", "reasoning_details")]
    # Servers give the same under more than one name.
    thoughts = list(dict.fromkeys(thought for thought in thoughts if thought.strip()))[:1]
    if not isinstance(content, list):
        return content if isinstance(content, str) else "", "".join(thoughts)
    said = []
    for part in content:
        if not isinstance(part, dict):
            continue
        kind = str(part.get("type"))
        if kind in ("text", "output_text") and not part.get("thought"):
            said.append(_text_of(part.get("text")))
        elif kind in ("text", "output_text") or kind in ("thinking", "reasoning", "reasoning_content", "reasoning.text"):
            thoughts.append(_text_of([part.get(name) for name in ("thinking", "reasoning", "text", "summary")]))
    return "".join(said), "\n".join(thoughts)


def _text_of(value: object, depth: int = 4) -> str:
    """Return the text in a part: itself, or that of its own parts."""
    if isinstance(value, str):
        return value
    if depth == 0:
        return ""
    if isinstance(value, list):
        return "".join(_text_of(one, depth - 1) for one in value)
    if isinstance(value, dict):
        return "".join(_text_of(value.get(name), depth - 1) for name in ("text", "thinking", "reasoning", "summary"))
    return ""


def read_usage(usage: object) -> tuple[int | None, int | None, int | None]:
    """Return prompt, completion and reasoning tokens as they are billed, None where the server does not count.

    Reasoning is part of the completion's tokens at OpenAI and stands beside them elsewhere (Gemini's and xAI's OpenAI-compatible
    servers): `total_tokens` tells. Without a total it stands beside where it would not fit in. Cached tokens are part of the prompt's;
    where they stand beside them (Anthropic) they are added. Each is taken at the full price, which is never too low.
    """
    if not isinstance(usage, dict):
        return None, None, None
    prompt = _count(usage, "prompt_tokens", "input_tokens")
    completion = _count(usage, "completion_tokens", "output_tokens")
    total = _count(usage, "total_tokens")
    details = [usage, *(usage.get(name) for name in ("completion_tokens_details", "output_tokens_details"))]
    reasoning = next((n for one in details if (n := _count(one, "reasoning_tokens", "thoughts_tokens", "thoughts_token_count"))), None)
    cached = sum(_count(usage, name) or 0 for name in ("cache_read_input_tokens", "cache_creation_input_tokens"))
    details = [usage.get(name) for name in ("prompt_tokens_details", "input_tokens_details")]
    cached = cached or next((n for one in details if (n := _count(one, "cached_tokens"))), 0)
    if completion is None and total is not None and total > (prompt or 0):
        # Some servers leave a reply's count out, or at 0, where all of it was thought; the total was billed nevertheless.
        prompt, completion = prompt or 0, total - (prompt or 0)
    if prompt is None or completion is None:
        return prompt, completion, reasoning
    if cached and (cached > prompt or (total is not None and total == prompt + completion + cached)):
        prompt += cached
    if total is not None and total > prompt + completion:
        reasoning = max(reasoning or 0, total - prompt - completion)
        completion = total - prompt
    elif reasoning is not None and reasoning > completion:
        completion += reasoning
    return prompt, completion, reasoning


def _count(counts: object, *names: str) -> int | None:
    """Return the first count that can be true: neither an empty prompt nor an empty reply is ever sent."""
    values = [counts.get(name) for name in names] if isinstance(counts, dict) else []
    return next((n for n in values if isinstance(n, int) and not isinstance(n, bool) and 0 < n < MOST_TOKENS), None)


class ServersError:
    """An error as a body tells it, in OpenAI's form or any other.

    Attributes:
        names: its code, type and status, in small letters.
        message: what it says, uncut: the key may be in it.
        status: the HTTP status that it stands for, None where it says none.
        wait: seconds that it asks to wait, None where it says none (Google's `retryDelay`).
        lasts: a quota is used up for the day.
        is_about_the_key: the key is wrong, whatever the status.
    """

    def __init__(self, content: bytes) -> None:
        self.message = content.decode(errors="replace")
        error: object = None
        try:
            data = json.loads(content)
        except (ValueError, RecursionError):
            pass
        else:
            data = data[0] if isinstance(data, list) and data else data  # Gemini's errors are lists of one
            error = _error_in(data)
            self.message = str(error)
        told = error if isinstance(error, dict) else {}
        if told:
            self.message = str(told.get("message") or told.get("detail") or told)
        self.names = {str(told[name]).lower() for name in ("code", "type", "status") if told.get(name) is not None}
        self.status = next((n for name in self.names if (n := _status(name)) is not None), None)
        details = [one for one in told.get("details") or () if isinstance(one, dict)] if isinstance(told.get("details"), list) else []
        self.wait = next((wait for one in details if (wait := _seconds(one.get("retryDelay"))) is not None), None)
        self.lasts = any("PerDay" in str(one.get("violations")) for one in details)
        reasons = {str(one.get("reason")) for one in details}
        said = self.message.lower()
        self.is_about_the_key = "API_KEY_INVALID" in reasons or any(text in said for text in _ABOUT_THE_KEY)


def status_inside(content: bytes) -> int | None:
    """Return the status of an error that a server sends with status 200 (OpenRouter), None where the body is a reply or names none."""
    # Within a JSON string the quotes would be escaped: most replies are not read twice.
    if b'"error"' not in content:
        return None
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return None
    data = data[0] if isinstance(data, list) and data else data
    if not isinstance(data, dict):
        return None
    choices = data.get("choices")
    broken = isinstance(choices, list) and choices and isinstance(choices[0], dict) and choices[0].get("error")
    if (choices and not broken) or not _error_in(data):
        return None
    return ServersError(content).status


def _error_in(data: object) -> object:
    """Return the error of a body: its own, or that of its first choice; the whole body where there is neither."""
    if not isinstance(data, dict):
        return data
    choices = data.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict) and choices[0].get("error"):
        return choices[0]["error"]
    return data.get("error") or data


def _status(name: str) -> int | None:
    if name.isdecimal() and len(name) == 3 and 400 <= int(name) < 600:
        return int(name)
    return STATUSES.get(name)


def _seconds(value: object) -> float | None:
    """Read Google's `34s`."""
    text = value.removesuffix("s") if isinstance(value, str) else ""
    return float(text) if text.replace(".", "", 1).isdecimal() else None
