"""Whole providers: each one's address, key, reply, usage, and occasional errors.

Sources are their public documentation and users' reports. fake_profiles.py has single refusals in their words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fake_profiles import Reply, math, newest_claude, o_series, only_below, refused

KEY = "sk-recognisable-0123456789abcdef"
# Billed tokens of a call: of the prompt and its cached part, of the answer, and of thoughts.
PROMPT, CACHED, SAID, THOUGHT = 64, 32, 20, 30
THINKING = "Let me think of it in my own words first: Recognisable thoughts."


@dataclass(frozen=True)
class Profile:
    """One provider.

    Attributes:
        path: of its base URL.
        reply, admit: see `FakeServer`.
        thinks: whether its replies contain readable thoughts.
        billed: tokens of the prompt and of the completion.
        failed: candidates that fail because of its one-time error; an error that is retried is no failure.
        repeated: calls that are retried once.
    """

    path: str
    reply: Reply
    admit: Callable[[str, dict[str, str]], Any]
    thinks: bool = False
    billed: tuple[int, int] = (PROMPT, SAID + THOUGHT)
    failed: int = 0
    repeated: int = 0


class Once:
    """Answers its second call differently, and all others with `reply`. The first call gets an answer, so the run begins."""

    def __init__(self, reply: Reply, second: Any) -> None:
        self.reply = reply
        self.second = second
        self.calls = 0

    def __call__(self, body: dict[str, Any]) -> Any:
        self.calls += 1
        return self.second if self.calls == 2 else self.reply(body)


def said(
    text: str, usage: dict[str, Any], *, message: dict[str, Any] | None = None, choice: dict[str, Any] | None = None, **more: Any
) -> Any:
    """Return a completion in OpenAI's form with further fields in its message, its choice and its top level."""
    answer = {"role": "assistant", "content": text, **(message or {})}
    one = {"index": 0, "message": answer, "logprobs": None, "finish_reason": "stop", **(choice or {})}
    return 200, {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_760_000_000, "choices": [one], "usage": usage, **more}


def counts(completion: int = SAID + THOUGHT, **details: Any) -> dict[str, Any]:
    return {"prompt_tokens": PROMPT, "completion_tokens": completion, "total_tokens": PROMPT + completion, **details}


def below(
    path: str, *, key: str | None = "authorization", refuse: Callable[[str], Any] | None = None
) -> Callable[[str, dict[str, str]], Any]:
    """Serve addresses below a path, with a key in a header of this name."""

    def admit(address: str, fields: dict[str, str]) -> Any:
        if not address.partition("?")[0].startswith(f"{path}/"):
            return 404, {
                "error": {"message": f"Invalid URL (POST {address})", "type": "invalid_request_error", "param": None, "code": None}
            }
        if key is not None and fields.get(key, "").removeprefix("Bearer ") != KEY:
            shown = f"Incorrect API key provided: {fields.get(key, '')[:8]}***"
            return 401, {"error": {"message": shown, "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}}
        return None if refuse is None else refuse(address)

    return admit


_KNOWN = {"model", "messages", "temperature", "max_tokens", "max_completion_tokens", "top_p", "stop", "seed", "reasoning_effort"}


def unknown(body: dict[str, Any], *more: str, without: Sequence[str] = ()) -> str | None:
    """Return the first parameter that a strict server does not know."""
    return next((name for name in body if name not in _KNOWN | set(more) or name in without), None)


def _openai() -> Profile:
    def reply(body: dict[str, Any]) -> Any:
        if name := unknown(body, "service_tier", "prompt_cache_key"):
            return refused(f"Unrecognized request argument supplied: {name}")
        usage = counts(SAID, prompt_tokens_details={"cached_tokens": CACHED}, completion_tokens_details={"reasoning_tokens": 0})
        return said(math(body), usage, message={"refusal": None, "annotations": []}, service_tier="default")

    limit = "Rate limit reached for gpt-4.1-mini in organization org-1 on requests per min (RPM): Limit 500, Used 500. Try again in 120ms."
    busy = 429, {"error": {"message": limit, "type": "requests", "param": None, "code": "rate_limit_exceeded"}}, {"Retry-After": "1"}
    return Profile("/v1", Once(reply, busy), below("/v1"), billed=(PROMPT, SAID), repeated=1)


def _openai_reasoning() -> Profile:
    def reply(body: dict[str, Any]) -> Any:
        if "max_tokens" in body or body.get("temperature", 1) != 1:
            return o_series(body)
        if name := unknown(body, "service_tier", without=["stop", "top_p"]):
            return refused(f"Unsupported parameter: '{name}' is not supported with this model.", name, "unsupported_parameter")
        details = {"reasoning_tokens": THOUGHT, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
        usage = counts(prompt_tokens_details={"cached_tokens": CACHED, "audio_tokens": 0}, completion_tokens_details=details)
        return said(math(body), usage, message={"refusal": None, "annotations": []})

    return Profile("/v1", reply, below("/v1"))


def _azure() -> Profile:
    path = "/openai/deployments/gpt-4o"

    def admit(address: str, fields: dict[str, str]) -> Any:
        if fields.get("api-key") != KEY or "authorization" in fields:
            return 401, {"error": {"code": "401", "message": "Access denied due to invalid subscription key or wrong API endpoint."}}
        if address.partition("?") != (f"{path}/chat/completions", "?", "api-version=2024-10-21"):
            return 404, {"error": {"code": "404", "message": "Resource not found"}}
        return None

    def reply(body: dict[str, Any]) -> Any:
        safe = {"hate": {"filtered": False, "severity": "safe"}}
        prompt = [{"prompt_index": 0, "content_filter_results": safe}]
        return said(
            math(body), counts(SAID), choice={"content_filter_results": safe}, prompt_filter_results=prompt, model="gpt-4o-2024-11-20"
        )

    flagged = {"ResponsibleAIPolicyViolation": {"hate": {"filtered": True, "severity": "medium"}}}
    message = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt."
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": flagged}
    filtered = (
        400,
        {"error": {"message": message, "type": None, "param": "prompt", "code": "content_filter", "status": 400, "innererror": inner}},
    )
    return Profile(path, Once(reply, filtered), admit, billed=(PROMPT, SAID), failed=1)


def _anthropic() -> Profile:
    """Return Anthropic's OpenAI-compatible endpoint, whose list of models comes from its own API."""

    def admit(address: str, fields: dict[str, str]) -> Any:
        if address == "/v1/models" and "x-api-key" not in fields:
            return 401, {"type": "error", "error": {"type": "authentication_error", "message": "x-api-key header is required"}}
        return below("/v1")(address, fields)

    def reply(body: dict[str, Any]) -> Any:
        if "temperature" in body:
            return newest_claude(body)
        return said(math(body), counts(SAID), message={"refusal": None}, system_fingerprint=None)

    overloaded = (
        529,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"},
        {"Retry-After": "1"},
    )
    return Profile("/v1", Once(reply, overloaded), admit, billed=(PROMPT, SAID), repeated=1)


def _anthropic_native() -> Profile:
    """Return Anthropic's Messages API: thoughts are blocks, and cached tokens are counted beside the prompt's."""

    def admit(address: str, fields: dict[str, str]) -> Any:
        if fields.get("x-api-key") != KEY or fields.get("anthropic-version") != "2023-06-01":
            return 401, {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
        return None if address == "/v1/messages" else (404, {"type": "error", "error": {"type": "not_found_error", "message": "Not Found"}})

    def reply(body: dict[str, Any]) -> Any:
        if "max_tokens" not in body or any(turn["role"] == "system" for turn in body["messages"]):
            return 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "max_tokens: Field required"}}
        turns = [{"role": turn["role"], "content": _plain(turn["content"])} for turn in body["messages"]]
        asked = {**body, "messages": [{"role": "system", "content": _plain(body.get("system", ""))}, *turns]}
        blocks = [{"type": "text", "text": math(asked)}]
        if body.get("thinking", {}).get("type") == "enabled":
            blocks.insert(0, {"type": "thinking", "thinking": THINKING, "signature": "EqoBCkgIARABGAIiQL2UoU0b1OHYi"})
        usage = {
            "input_tokens": PROMPT - CACHED - 8,
            "cache_creation_input_tokens": 8,
            "cache_read_input_tokens": CACHED,
            "cache_creation": {"ephemeral_5m_input_tokens": 8, "ephemeral_1h_input_tokens": 0},
            "output_tokens": SAID + THOUGHT,
            "service_tier": "standard",
        }
        return 200, {
            **{"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": blocks},
            **{"stop_reason": "end_turn", "stop_sequence": None, "usage": usage},
        }

    overloaded = 529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, {"Retry-After": "1"}
    return Profile("", Once(reply, overloaded), admit, thinks=True, repeated=1)


def _plain(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _gemini() -> Profile:
    """Return Gemini's OpenAI-compatible endpoint: errors are lists, and thoughts are counted only in the total."""

    def reply(body: dict[str, Any]) -> Any:
        if name := unknown(body, "extra_body", without=["seed"]):
            message = f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
            return 400, [{"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}]
        return said(math(body), {**counts(SAID), "total_tokens": PROMPT + SAID + THOUGHT}, model=body["model"])

    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}]
    message = "You exceeded your current quota, please check your plan and billing details. Please retry in 1s."
    busy = 429, [{"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}}]
    return Profile("/v1beta/openai", Once(reply, busy), below("/v1beta/openai"), repeated=1)


def _gemini_native() -> Profile:
    """Return Gemini's own API: thoughts are parts of the content, and are counted beside the answer's tokens."""

    def admit(address: str, fields: dict[str, str]) -> Any:
        if fields.get("x-goog-api-key") != KEY:
            reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
            message = "API key not valid. Please pass a valid API key."
            return 400, {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT", "details": [reason]}}
        return (
            None
            if address.startswith("/models/gemini-2.5-flash:generateContent")
            else (404, {"error": {"code": 404, "status": "NOT_FOUND"}})
        )

    def reply(body: dict[str, Any]) -> Any:
        parts: list[dict[str, Any]] = [{"text": math(body)}]
        if body["generationConfig"].get("thinkingConfig", {}).get("includeThoughts"):
            parts.insert(0, {"text": THINKING, "thought": True})
        total = PROMPT + SAID + THOUGHT
        tokens = {"promptTokenCount": PROMPT, "candidatesTokenCount": SAID, "thoughtsTokenCount": THOUGHT, "totalTokenCount": total}
        candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
        return 200, {
            "candidates": [candidate],
            "usageMetadata": {**tokens, "cachedContentTokenCount": CACHED},
            "modelVersion": body["model"],
        }

    blocked = 200, {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": PROMPT, "totalTokenCount": PROMPT}}
    return Profile("", Once(reply, blocked), admit, thinks=True, failed=1)


def _deepseek() -> Profile:
    """Return DeepSeek: empty lines keep a waiting connection alive; it may end a reply for lack of resources."""

    def reply(body: dict[str, Any], finish_reason: str = "stop") -> Any:
        details = {"completion_tokens_details": {"reasoning_tokens": THOUGHT}, "prompt_tokens_details": {"cached_tokens": CACHED}}
        usage = counts(prompt_cache_hit_tokens=CACHED, prompt_cache_miss_tokens=PROMPT - CACHED, **details)
        status, content = said(math(body), usage, message={"reasoning_content": THINKING}, choice={"finish_reason": finish_reason})
        return status, b"\n\n\n" + json.dumps(content).encode()

    class Ended(Once):
        def __call__(self, body: dict[str, Any]) -> Any:
            self.second = reply(body, "insufficient_system_resource")
            return super().__call__(body)

    def admit(address: str, fields: dict[str, str]) -> Any:
        return below("" if not address.startswith("/v1/") else "/v1")(address, fields)

    return Profile("", Ended(reply, None), admit, thinks=True, repeated=1)


def _openrouter() -> Profile:
    """Return OpenRouter: comments keep a waiting connection alive; an error of the model's own provider has status 200."""

    def reply(body: dict[str, Any]) -> Any:
        if body.get("reasoning") != {"effort": "low"} or body.get("provider") != {"order": ["deepinfra"], "allow_fallbacks": False}:
            return 400, {"error": {"code": 400, "message": "this test wants the page's own parameters"}, "user_id": "user_1"}
        details = [{"type": "reasoning.text", "text": THINKING, "format": "unknown", "index": 0}]
        usage = counts(cost=0.0001, is_byok=False, completion_tokens_details={"reasoning_tokens": THOUGHT})
        message = {"refusal": None, "reasoning": THINKING, "reasoning_details": details}
        status, content = said(math(body), usage, message=message, choice={"native_finish_reason": "stop"}, provider="DeepInfra")
        return status, b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n" + json.dumps(content).encode()

    metadata = {"provider_name": "DeepInfra", "raw": "upstream connect error"}
    down = 200, {"error": {"code": 502, "message": "Provider returned error", "metadata": metadata}, "user_id": "user_1"}
    return Profile("/api/v1", Once(reply, down), below("/api/v1"), thinks=True, repeated=1)


def _groq() -> Profile:
    def reply(body: dict[str, Any]) -> Any:
        if name := unknown(body, "reasoning_format", "include_reasoning", "service_tier"):
            return refused(f"property '{name}' is unsupported")
        times = {"queue_time": 0.02, "prompt_time": 0.01, "completion_time": 0.2, "total_time": 0.21}
        usage = counts(**times, completion_tokens_details={"reasoning_tokens": THOUGHT})
        return said(math(body), usage, message={"reasoning": THINKING}, x_groq={"id": "req_1"}, service_tier="on_demand")

    full = (
        498,
        {"error": {"message": "Flex tier capacity exceeded", "type": "server_error", "code": "capacity_exceeded"}},
        {"Retry-After": "1"},
    )
    return Profile("/openai/v1", Once(reply, full), below("/openai/v1"), thinks=True, repeated=1)


def _vllm() -> Profile:
    def reply(body: dict[str, Any]) -> Any:
        thinks = body.get("chat_template_kwargs", {}).get("enable_thinking")
        message = {"refusal": None, "tool_calls": [], "reasoning": THINKING if thinks else None, "reasoning_content": None}
        more = {"prompt_logprobs": None, "kv_transfer_params": None, "service_tier": None}
        return said(
            math(body), counts(prompt_tokens_details=None), message=message, choice={"stop_reason": None, "token_ids": None}, **more
        )

    message = "This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens. Please reduce the length."
    long = 400, {"error": {"message": message, "type": "BadRequestError", "param": "input_tokens", "code": 400}}
    return Profile("/v1", Once(reply, long), below("/v1", key=None), thinks=True, failed=1)


def _sglang() -> Profile:
    def reply(body: dict[str, Any], finish_reason: str = "stop") -> Any:
        choice = {"matched_stop": 151645, "finish_reason": finish_reason}
        message = {"reasoning_content": THINKING, "tool_calls": None}
        return said(math(body), counts(prompt_tokens_details=None, reasoning_tokens=THOUGHT), message=message, choice=choice, metadata={})

    class Aborted(Once):
        def __call__(self, body: dict[str, Any]) -> Any:
            self.second = reply(body, "abort")
            return super().__call__(body)

    return Profile("/v1", Aborted(reply, None), below("/v1", key=None), thinks=True, repeated=1)


def _ollama() -> Profile:
    def reply(body: dict[str, Any]) -> Any:
        if body["model"] != "qwen3:8b":
            message = f'model "{body["model"]}" not found, try pulling it first'
            return 404, {"error": {"message": message, "type": "not_found_error", "param": None, "code": None}}
        return said(math(body), counts(), message={"reasoning": THINKING}, system_fingerprint="fp_ollama", model=body["model"])

    return Profile("/v1", reply, below("/v1", key=None), thinks=True)


def _llama_cpp() -> Profile:
    def reply(body: dict[str, Any]) -> Any:
        timings = {"prompt_n": PROMPT - CACHED, "cache_n": CACHED, "predicted_n": SAID + THOUGHT, "predicted_per_second": 40.0}
        return said(math(body), counts(), message={"reasoning_content": THINKING}, timings=timings, model="qwen3-8b.gguf")

    loading = 503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
    return Profile("/v1", Once(reply, loading), below("/v1", key=None), thinks=True, repeated=1)


def _lm_studio() -> Profile:
    def reply(body: dict[str, Any]) -> Any:
        details = {"completion_tokens_details": {"reasoning_tokens": THOUGHT}}
        return said(math(body), counts(**details), message={"reasoning_content": THINKING, "tool_calls": []}, stats={}, model=body["model"])

    return Profile("/v1", reply, only_below("/v1", lm_studio=True), thinks=True)


PROVIDERS: dict[str, Callable[[], Profile]] = {
    "OpenAI": _openai,
    "OpenAI's reasoning models": _openai_reasoning,
    "Azure OpenAI": _azure,
    "Anthropic, OpenAI-compatible": _anthropic,
    "Anthropic": _anthropic_native,
    "Gemini": _gemini,
    "Gemini's own API": _gemini_native,
    "DeepSeek": _deepseek,
    "OpenRouter": _openrouter,
    "Groq": _groq,
    "vLLM": _vllm,
    "SGLang": _sglang,
    "Ollama": _ollama,
    "llama.cpp": _llama_cpp,
    "LM Studio": _lm_studio,
}
