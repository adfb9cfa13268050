"""Refusals of named providers in their known words: a `FakeServer`'s `reply` and `admit`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from fake_replies import MathReplies, request_key
from fake_wire import counted

Reply = Callable[[dict[str, Any]], Any]
_MATH = MathReplies()


def refused(message: str, param: str | None = None, code: str | None = None, status: int = 400) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def math(body: dict[str, Any]) -> str:
    return _MATH(body, request_key(body))


def o_series(body: dict[str, Any]) -> Any:
    """Refuse like OpenAI's o-series and GPT-5."""
    if "max_tokens" in body:
        said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        return refused(said, "max_tokens", "unsupported_parameter")
    if body.get("temperature", 1) != 1:
        said = f"Unsupported value: 'temperature' does not support {body['temperature']} with this model. Only the default (1) value is"
        return refused(f"{said} supported.", "temperature", "unsupported_value")
    return math(body)


def newest_claude(body: dict[str, Any]) -> Any:
    if "temperature" in body:
        return 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "`temperature` is deprecated for this model."}}
    return math(body)


def gemma(body: dict[str, Any]) -> Any:
    """Refuse like a chat template without a system role, behind vLLM."""
    if any(message["role"] == "system" for message in body["messages"]):
        return 400, {"object": "error", "message": "System role not supported", "type": "BadRequestError", "param": None, "code": 400}
    return math(body)


def qwen3(body: dict[str, Any]) -> Any:
    """Refuse like Qwen3 on DashScope."""
    if body.get("enable_thinking") is not False:
        said = "parameter.enable_thinking must be set to false for non-streaming calls"
        return 400, {"error": {"code": "invalid_parameter_error", "param": None, "message": said, "type": "invalid_request_error"}}
    return math(body)


def azure(path: str, fields: dict[str, str], *, key: str) -> Any:
    """Refuse like a deployment on Azure."""
    address, _, query = path.partition("?")
    if fields.get("api-key") != key:
        return 401, {"error": {"code": "401", "message": "Access denied due to invalid subscription key or wrong API endpoint."}}
    if query != "api-version=2024-10-21" or address != "/openai/deployments/gpt/chat/completions":
        return 404, {"error": {"code": "404", "message": "Resource not found"}}
    return None


def only_below(prefix: str, *, lm_studio: bool = False) -> Callable[[str, dict[str, str]], Any]:
    """Serve nothing else: with 404, or with 200 and an error as LM Studio does."""

    def admit(path: str, fields: dict[str, str]) -> Any:
        if path in (f"{prefix}/models", f"{prefix}/chat/completions"):
            return None
        return (200, {"error": f"Unexpected endpoint or method. ({path}). Returning 200 anyway"}) if lm_studio else (404, b"Not Found")

    return admit


class Several:
    """A server with or without `n`. The k-th reply to a prompt is the same however many are requested at once; each of them counts.

    Args:
        most: replies that it gives at once; more are left out.
        refuses: the answer to a call for more than one, None if it refuses none.
        text: the reply to a request, whose `seed` is the reply's number.
    """

    def __init__(self, most: int = 128, refuses: Any = None, text: Callable[[dict[str, Any]], str | None] = math) -> None:
        self.most, self.refuses, self.text = most, refuses, text
        self.given: Counter[int] = Counter()
        self.asked: list[int] = []

    def __call__(self, body: dict[str, Any]) -> Any:
        number = body.get("n", 1)
        self.asked.append(number)
        if number > 1 and self.refuses is not None:
            return self.refuses
        key = request_key({**body, "seed": None})
        texts = []
        for _ in range(min(number, self.most)):
            texts.append(self.text({**body, "seed": self.given[key]}))
            self.given[key] += 1
        return choices(texts, prompt_tokens(body))


def prompt_tokens(body: dict[str, Any]) -> int:
    """Count a token per four characters, as everywhere on the fake server."""
    return sum(len(str(turn["content"])) for turn in body["messages"]) // 4 + 1


def choices(texts: Sequence[str | None], prompt: int, **details: Any) -> tuple[int, dict[str, Any]]:
    """Return a response with a reply for each text, whose tokens are counted together."""
    completion = sum(len(text or "") // 4 + 1 for text in texts)
    found = [{"index": at, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} for at, text in enumerate(texts)]
    return 200, {"choices": found, "usage": counted(prompt, completion, **details)}
