"""The line of a call in a batch, the reading of a line of results, and a provider's refusals. No server is called."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from axolotl_synthetic.config import Generation, OpenAIModel, Settings, load_settings
from axolotl_synthetic.errors import CallFailed, ConfigError, RefusedCall, RetryableCall, ServiceError
from axolotl_synthetic.records import Reply
from axolotl_synthetic.teachers import open_batches
from axolotl_synthetic.teachers.batches import AskAgain, Result, Sent, TooMuch, Unreachable

KEY = "sk-recognisable-0123456789abcdef"
PAGE = Path(__file__).parents[2] / "plugin" / "docs" / "batch.md"
MESSAGES = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"})
PLAIN = '{"folds": false, "limit": "max_tokens"}'


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.setenv(name, KEY)


def settings(**model: Any) -> OpenAIModel:
    made = load_settings({"teacher": {"base_url": "https://example.com/v1", "model": "m", "batch": True, **model}}).teacher
    assert isinstance(made, OpenAIModel)
    return made


def using(model: OpenAIModel, work: Callable[[Any], Any]) -> Any:
    """Do something with the model's batches, which need an event loop."""

    async def inside() -> Any:
        client = open_batches(model)
        try:
            return work(client)
        finally:
            await client.close()

    return asyncio.run(inside())


def sent(**generation: Any) -> Sent:
    return Sent(MESSAGES, Generation(**generation), sample=3)


def line(model: OpenAIModel, **generation: Any) -> dict[str, Any]:
    made: dict[str, Any] = using(model, lambda client: json.loads(client.line("token-1", sent(**generation))))
    return made


def read(data: dict[str, Any], protocol: str = "openai") -> Reply:
    reply: Reply = using(settings(batch=protocol), lambda client: client.read(Result("token-1", data), sent(max_new_tokens=100), PLAIN))
    return reply


def failed(data: dict[str, Any], protocol: str = "openai") -> Exception:
    with pytest.raises((CallFailed, ServiceError, AskAgain)) as raised:
        read(data, protocol)
    return raised.value


def completion(message: dict[str, Any], finish: str = "stop", **usage: int) -> dict[str, Any]:
    body = {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}
    return {"custom_id": "token-1", "response": {"status_code": 200, "body": body}, "error": None}


def message(content: list[dict[str, Any]], reason: str = "end_turn", **usage: int) -> dict[str, Any]:
    return {"custom_id": "token-1", "result": {"type": "succeeded", "message": {"content": content, "stop_reason": reason, "usage": usage}}}


# The request


def test_a_line_of_openais_names_the_endpoint_and_has_the_body_of_a_call():
    assert line(settings(), temperature=None, max_new_tokens=9, seed=10) == {
        "custom_id": "token-1",
        "method": "POST",
        "url": "/v1/chat/completions",
        # As for a call outside batches, the sample's number is added to the seed.
        "body": {"model": "m", "messages": list(MESSAGES), "max_tokens": 9, "seed": 13},
    }


def test_a_line_of_anthropics_has_the_system_text_apart_and_its_own_names():
    params = {"model": "m", "max_tokens": 9, "system": "Be brief.", "messages": [MESSAGES[1]], "stop_sequences": ["x"], "top_p": 0.5}
    made = line(settings(batch="anthropic"), temperature=None, max_new_tokens=9, stop="x", top_p=0.5, extra_body={"top_k": 4})
    assert made == {"custom_id": "token-1", "params": params | {"top_k": 4}}


@pytest.mark.parametrize(
    ("url", "protocol"), [("https://api.anthropic.com/v1", "anthropic"), ("https://api.openai.com/v1", "openai"), (None, "openai")]
)
def test_true_goes_by_the_host(url, protocol):
    teacher = load_settings({"teacher": {"batch": True, **({"base_url": url} if url else {})}}).teacher
    assert teacher.batch.protocol == protocol


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        ({"batch": "gemini"}, "synthetic.teacher.batch.protocol: 'gemini': input should be 'openai' or 'anthropic'"),
        ({"batch": {"polls": 3}}, "synthetic.teacher.batch.polls: unknown key; did you mean `poll`?"),
        ({"batch": 3}, "synthetic.teacher.batch: 3: "),
        (
            {"batch": "anthropic", "generation": {"seed": 1}},
            "synthetic.teacher.batch: 'anthropic': `generation.seed` cannot be sent in Anthropic's batches; remove it",
        ),
        ({"batch": True, "base_url": ["http://a/v1", "http://b/v1"]}, "synthetic.teacher.batch: True: goes to one address with one key"),
        ({"provider": "embedded", "batch": True}, "synthetic.teacher.batch: unknown key; `batch` is for `provider: openai`"),
    ],
)
def test_what_cannot_be_is_refused_with_its_path(teacher, said):
    with pytest.raises(ConfigError) as raised:
        load_settings({"teacher": teacher})
    assert said in str(raised.value)


def test_no_batch_leaves_a_config_as_it_was():
    assert load_settings({"teacher": {"batch": False}}) == Settings()
    assert "batch" not in OpenAIModel().model_dump()


def test_the_pages_yamls_can_be_read_and_lead_where_it_says():
    blocks = [yaml.safe_load(text)["synthetic"] for text in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)]
    openai, groq, azure, anthropic = (load_settings(block).teacher for block in blocks)
    assert openai.charged.input == pytest.approx(0.20) and openai.charged.output == pytest.approx(0.80)
    assert (groq.batch.protocol, groq.batch.window) == ("openai", "7d")
    made = line(azure)
    assert (made["url"], made["body"]["model"]) == ("/chat/completions", "gpt-4o-batch")
    address = using(azure, lambda client: client._at("/batches"))
    assert address == "https://NAME.openai.azure.com/openai/batches?api-version=2024-10-21"
    assert anthropic.batch.protocol == "anthropic"
    assert using(anthropic, lambda client: client._at()) == "https://api.anthropic.com/v1/messages/batches"


# The results


@pytest.mark.parametrize(
    "data",
    [
        completion({"content": "4", "reasoning_content": "Two and two."}, prompt_tokens=7, completion_tokens=5),
        completion({"content": [{"type": "thinking", "thinking": "Two and two."}, {"type": "text", "text": "4"}]}, total_tokens=12),
        message([{"type": "thinking", "thinking": "Two and two."}, {"type": "text", "text": "4"}], input_tokens=7, output_tokens=5),
    ],
)
def test_thoughts_are_read_apart_from_the_answer(data):
    reply = read(data, "anthropic" if "result" in data else "openai")
    assert (reply.text, reply.thinking, reply.finish_reason in ("stop", "end_turn")) == ("4", "Two and two.", True)
    assert (reply.prompt_tokens or 0) + (reply.completion_tokens or 0) == 12


def test_tokens_that_anthropic_read_from_its_cache_count_as_the_prompts():
    reply = read(message([{"type": "text", "text": "4"}], input_tokens=3, cache_read_input_tokens=4, output_tokens=5), "anthropic")
    assert (reply.prompt_tokens, reply.completion_tokens) == (7, 5)


@pytest.mark.parametrize("data", [completion({"content": "4 and"}, "length"), message([{"type": "text", "text": "4 and"}], "max_tokens")])
def test_a_reply_that_was_cut_off_says_so(data):
    assert read(data, "anthropic" if "result" in data else "openai").cut_off


@pytest.mark.parametrize("data", [completion({"content": ""}, "content_filter"), message([], "refusal")])
def test_a_reply_that_a_filter_took_away_is_not_asked_for_again(data):
    error = failed(data, "anthropic" if "result" in data else "openai")
    assert isinstance(error, RefusedCall) and error.reason == "content_filter"


def test_a_reply_that_repeats_the_key_is_not_kept():
    error = failed(completion({"content": f"Bearer {KEY}"}, prompt_tokens=7, completion_tokens=5))
    assert isinstance(error, RefusedCall) and error.reason == "echoed_key"
    assert error.reply is not None and error.reply.raw == ""


def row(status: int, text: str) -> dict[str, Any]:
    return {"custom_id": "token-1", "response": {"status_code": status, "body": {"error": {"message": text}}}, "error": None}


def theirs(kind: str, text: str = "") -> dict[str, Any]:
    error = {"type": "error", "error": {"type": kind, "message": text}}
    return {"custom_id": "token-1", "result": {"type": "errored", "error": error}}


@pytest.mark.parametrize(
    ("data", "kind", "reason", "cost"),
    [
        (row(500, "oops"), RetryableCall, "http_500", "query"),
        (row(429, "slow down"), RetryableCall, "http_429", "query"),
        (row(400, "maximum context length is 10"), RefusedCall, "context_length", "query"),
        ({"error": {"code": "batch_expired", "message": "late"}, "response": None}, RetryableCall, "batch_expired", "none"),
        ({"error": {"code": "batch_cancelled", "message": "late"}, "response": None}, RetryableCall, "batch_cancelled", "none"),
        ({"error": {"code": "request_timeout", "message": "late"}, "response": None}, RetryableCall, "batch_error", "query"),
        (theirs("overloaded_error"), RetryableCall, "http_529", "query"),
        (theirs("invalid_request_error", "prompt is too long"), RefusedCall, "context_length", "query"),
        ({"result": {"type": "expired"}}, RetryableCall, "batch_expired", "none"),
        ({"result": {"type": "canceled"}}, RetryableCall, "batch_cancelled", "none"),
        ({"result": None}, RetryableCall, "http_500", "query"),
        ({"response": {"status_code": 200, "body": "nothing"}, "error": None}, RetryableCall, "no_choices", "unknown"),
    ],
)
def test_a_call_that_failed_says_whether_it_is_asked_again_and_what_it_cost(data, kind, reason, cost):
    error = failed(data, "anthropic" if "result" in data else "openai")
    assert isinstance(error, CallFailed) and type(error) is kind
    assert (error.reason, error.cost) == (reason, cost)
    if isinstance(error, RetryableCall):
        # It goes out with the next wave, so there is nothing to wait for.
        assert (error.retry_after, error.slow_down) == (0.0, False)


@pytest.mark.parametrize("data", [row(401, "no"), theirs("authentication_error", "no"), theirs("billing_error", "no credit")])
def test_a_row_that_speaks_of_the_key_or_the_account_ends_the_run(data):
    assert isinstance(failed(data, "anthropic" if "result" in data else "openai"), ServiceError)


def test_rows_of_a_batch_that_used_the_wrong_name_of_the_limit_all_go_out_again_and_later_ones_are_read_by_the_name_they_had():
    said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."

    def work(client: Any) -> list[Any]:
        seen: list[Any] = []
        for _ in range(3):
            with pytest.raises(AskAgain):
                client.read(Result("token-1", row(400, said)), sent(), PLAIN)
        body = json.loads(client.line("token-1", sent()))["body"]
        seen.append("max_completion_tokens" in body and "max_tokens" not in body)
        # If the new name is refused as well, the config must change.
        with pytest.raises(ServiceError):
            client.read(Result("token-1", row(400, "max_completion_tokens is not supported")), sent(), client.spelling)
        return seen

    assert using(settings(), work) == [True]


# Refusals of requests about batches


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (429, "Enqueued token limit reached for gpt-4o in organization o. Limit: 90,000 enqueued tokens.", TooMuch),
        (413, "request_too_large", TooMuch),
        (400, "File is too large.", TooMuch),
        (429, "Rate limit reached for requests", Unreachable),
        (500, "oops", Unreachable),
        (401, "bad key", ServiceError),
        (402, "pay", ServiceError),
        (400, "the model m does not do batches", ServiceError),
    ],
)
def test_a_refused_request_about_batches(status, text, kind):
    content = json.dumps({"error": {"message": f"{text} {KEY}"}}).encode()
    error = using(settings(), lambda client: client._problem(status, {}, content))
    assert type(error) is kind
    assert KEY not in str(error)


def test_only_a_refusal_that_says_so_is_taken_for_a_batch_that_was_not_made():
    problem = {
        status: using(settings(), lambda client, status=status: client._problem(status, {}, b"oops")) for status in (429, 500, 504, 408)
    }
    assert {status: error.done for status, error in problem.items()} == {429: False, 500: True, 504: True, 408: True}


@pytest.mark.parametrize("id", [f"batch-{KEY}", "", None, 7, "a b", "x" * 201, "../files"])
def test_an_id_that_is_none_or_repeats_the_key_is_not_written_down(id):
    with pytest.raises(Unreachable):
        using(settings(), lambda client: client._stand({"id": id, "status": "in_progress"}))
