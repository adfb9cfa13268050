"""Reading of an OpenAI-compatible server's body (message, tokens, error), and the decision which replies are usable, for every provider.

An unusable reply is a failed call that keeps the reply: it was billed, and its tokens count. A retry depends on whose fault it was. What a
server broke off or lost may come whole next time, so it is retried. What the model itself did (thinking until its limit, a refusal, a tool
call) was paid for in full, and is not retried: that would cost as much as another candidate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from axolotl_synthetic.errors import CallFailed, RefusedCall, RetryableCall
from axolotl_synthetic.records import CUT_OFF, WHOLE, Reply, normalised
from axolotl_synthetic.teachers.redaction import Redactor
from axolotl_synthetic.teachers.server_errors import ServersError, minimax_code
from axolotl_synthetic.teachers.usage import read_usage
from axolotl_synthetic.thoughts import divide

# The end of a turn takes a token or two; a larger count without visible text was hidden reasoning.
MOST_TOKENS_OF_NOTHING = 16
# Characters of a finish reason; a longer text is the server's mistake.
LONGEST_REASON = 60
SHOWN_BODY = 120
# Finish reasons that are the server's fault: vLLM and SGLang (abort), OpenRouter and Mistral (error), Zhipu (network_error), DeepSeek
# (insufficient_system_resource), Ollama (load, unload).
BROKEN = {"error", "abort", "aborted", "cancelled", "canceled", "timeout", "network_error", "server_error", "load", "unload"} | {
    *("failed", "failure", "in_progress", "queued", "interrupted")
}
OVERLOADED = {"insufficient_system_resource", "overloaded", "overloaded_error", "unavailable", "error_limit"}
# Finish reasons of filters at OpenAI, Anthropic, Gemini, Zhipu, Cohere and Bedrock.
FILTERED = {"content_filter", "content_filtered", "safety", "sensitive", "refusal", "recitation", "blocklist", "prohibited_content"} | {
    *("spii", "error_toxic", "guardrail_intervened", "moderation", "language", "image_safety")
}
# Fields for the finish reason: OpenAI's old and new forms, OpenRouter, Anthropic, Gemini, Ollama, llama.cpp and Bedrock.
_REASONS = (
    *("native_finish_reason", "stop_reason", "finishReason", "done_reason", "finish_details", "incomplete_details", "stop_type"),
    *("stopReason", "finish_reason", "status"),
)
# Values of `status` that say nothing about the end.
_OF_A_RESPONSE = {"success", "succeeded", "ok", "200"}
TOOLS = {"tool_calls", "tool_call", "tool_use", "function_call"}
# Redactor for use without a key.
PLAIN = Redactor(())


def read_reply(content: bytes, seconds: float, redacted: Redactor = PLAIN, limit: int = 0) -> Reply:
    """Return the reply in a response of status 200; see `read_replies`.

    Raises:
            RetryableCall: if there is none: invalid JSON, no choices, no text, broken off.
            RefusedCall: if a retry cannot help; see `usable`.
    """
    first = read_replies(content, seconds, redacted, limit, most=1)[0]
    if isinstance(first, CallFailed):
        raise first
    return first


def read_replies(content: bytes, seconds: float, redacted: Redactor = PLAIN, limit: int = 0, *, most: int) -> list[Reply | CallFailed]:
    """Return the replies in a response of status 200, each with its share of the common bill.

    Args:
        content: the body.
        seconds: duration of the call.
        redacted: removes secrets from the server's words, then shortens them.
        limit: completion tokens allowed for one reply; 0 when unknown.
        most: number of replies that were asked for; further ones are dropped, but their tokens are billed.

    Returns:
        At least one outcome: a reply, or the failure of an unusable one.

    Raises:
        RetryableCall: if there is none: invalid JSON, no choices.
    """
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        begin = redacted(content.decode(errors="replace"))[:SHOWN_BODY]
        raise RetryableCall("invalid_json", f"{len(content)} bytes that are not JSON in UTF-8: {begin!r}") from error
    choices = data.get("choices") if isinstance(data, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise RetryableCall("no_choices", redacted(ServersError(content).message))
    chosen = choices if len(choices) == 1 else sorted((choice for choice in choices if isinstance(choice, dict)), key=_index)[:most]
    messages = [found if isinstance(found := choice.get("message"), dict) else {} for choice in chosen]
    said = [_content(message) for message in messages]
    usage = read_usage(data.get("usage"))
    usages = [usage]
    if len(said) > 1:
        usages = usage.split([len(text.encode(errors="replace")) + len(thinking) for text, thinking in said], limit)
    replies: list[Reply | CallFailed] = []
    for choice, message, usage, (text, thinking) in zip(chosen, messages, usages, said, strict=True):
        ended = redacted(_finish_reason(data, choice, message))[:LONGEST_REASON]
        if choice.get("error") or data.get("error") or minimax_code(data):
            ended = "error"  # the server may send the error beside a partial reply
        if not ended:
            # Trust a server that gives no finish reason, unless the reply has exactly as many tokens as were allowed.
            ended = "length" if limit and usage.completion is not None and usage.completion >= limit else "stop"
        if message.get("tool_calls") and not text.strip():
            ended = "tool_calls"
        refusal = message.get("refusal")
        counts = (usage.reasoning, usage.cached, usage.written)
        try:
            reply = without_keys(Reply(text, ended, usage.prompt, usage.completion, seconds, thinking, *counts), redacted)
            replies.append(usable(reply, redacted(refusal) if isinstance(refusal, str) else ""))
        except CallFailed as error:
            replies.append(error)
    return replies


def _index(choice: Mapping[str, Any]) -> int:
    """Return a reply's index among those to one prompt; 0 where the server gives none, which keeps their order."""
    place = choice.get("index")
    return place if isinstance(place, int) else 0


def without_keys(reply: Reply, redacted: Redactor) -> Reply:
    """Return the reply if it holds no key.

    Raises:
        RefusedCall: if it does: something echoes requests, and cutting the key out would not make it an answer. The reply's words are
            dropped, its token counts stay.
    """
    if not (redacted.holds(reply.raw) or redacted.holds(reply.thinking)):
        return reply
    said = "the reply holds the key, so something between here and the model echoes requests: its words are not kept; correct `base_url`"
    raise RefusedCall("echoed_key", said, reply=replace(reply, raw="", thinking=""))


def _finish_reason(data: Mapping[str, Any], choice: Mapping[str, Any], message: Mapping[str, Any]) -> str:
    """Return why a reply ended: `finish_reason`, or a proxy's other field where that says that the reply is not whole."""
    reasons = [text for one in (choice, message, data) for name in _REASONS if name in one and (text := _reason(one[name]))]
    if any(one.get(name) is True for one in (choice, message, data) for name in ("truncated", "stopped_limit")):
        reasons.append("length")  # llama.cpp
    if any(data.get(name) is True for name in ("input_sensitive", "output_sensitive")):
        reasons.append("sensitive")  # MiniMax
    told = choice.get("finish_reason")
    # Only None and "" mean that no reason was given; `false` and 0 do not.
    said = "" if told is None or told == "" else _reason(told) or str(told)
    if said and normalised(said) not in WHOLE:
        return said
    bad = next((reason for reason in reasons if normalised(reason) in CUT_OFF | BROKEN | OVERLOADED | FILTERED), "")
    # Beside `finish_reason`, vLLM's `stop_reason` is the text at which the reply stopped.
    return bad or said or next((reason for reason in reasons if normalised(reason) not in _OF_A_RESPONSE), "")


def _reason(value: object) -> str:
    """Return a reason as text: the value itself, or the kind inside an object (`finish_details`, `incomplete_details`)."""
    if isinstance(value, Mapping):
        return next((text for name in ("type", "reason", "name") if isinstance(text := value.get(name), str)), "")
    return value if isinstance(value, str) else ""


def usable(reply: Reply, refusal: str = "") -> Reply:
    """Return the reply if it is usable: not broken off, and with text besides thoughts.

    Args:
        refusal: the model's refusal, if the server sent it apart from the content.

    Raises:
        RetryableCall, RefusedCall: otherwise, with the reply, whose tokens were billed.
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
    """Return a message's text and its thoughts.

    Thoughts come in fields of their own (DeepSeek, vLLM, Ollama, OpenRouter) or as parts of the content (Mistral, Anthropic).
    """
    content = message.get("content")
    thoughts = [_text_of(message.get(name)) for name in ("reasoning_content", "reasoning", "thinking", "reasoning_details")]
    # Servers may repeat the same thoughts under several names.
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
    """Return the text in a part: the value itself, or the text of its own parts."""
    if isinstance(value, str):
        return value
    if depth == 0:
        return ""
    if isinstance(value, list):
        return "".join(_text_of(one, depth - 1) for one in value)
    if isinstance(value, dict):
        return "".join(_text_of(value.get(name), depth - 1) for name in ("text", "thinking", "reasoning", "summary"))
    return ""
