"""Requests to servers that refuse parameters, roles and addresses in their own ways, and the result of a refused call."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from axolotl_synthetic.config import Generation, OpenAIModel
from axolotl_synthetic.errors import ConfigError, RefusedCall, ServiceError
from axolotl_synthetic.records import Reply
from axolotl_synthetic.teachers.openai import OpenAITeacher, ServedModel, check
from axolotl_synthetic.teachers.parameters import fold

from fake_faults import Fault
from fake_profiles import azure, gemma, newest_claude, o_series, only_below, qwen3, refused
from fake_server import FakeServer

KEY = "sk-recognisable-0123456789abcdef"
QUESTION = "Ada has 6 jars with 10 cards each. How many cards are there?"
USER = ({"role": "user", "content": QUESTION},)
CHAT = ({"role": "system", "content": "You solve problems."}, *USER)
# With the default 0.7 and 512: the same bytes as the previous version sent.
DEFAULT = b'{"model":"fake-model","messages":[{"role":"user","content":"%s"}],"temperature":0.7,"max_tokens":512}' % QUESTION.encode()


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def ask(
    base_url: str,
    *,
    messages: Any = USER,
    times: int = 1,
    model: type[OpenAIModel] = OpenAIModel,
    settings: dict[str, Any] | None = None,
    **generation: Any,
) -> list[Reply | BaseException]:
    """Return the replies to concurrent calls for samples 0, 1, …; a single call's error is raised."""

    async def all_at_once() -> list[Reply | BaseException]:
        teacher = OpenAITeacher(model(base_url=base_url, model="fake-model", timeout=5, **(settings or {})))
        try:
            calls = [teacher.complete(messages, Generation(**generation), sample) for sample in range(times)]
            return await asyncio.gather(*calls, return_exceptions=times > 1)
        finally:
            await teacher.close()

    return asyncio.run(all_at_once())


def in_turn(base_url: str, *chats: Any, **settings: Any) -> list[Any]:
    """Return the results of one run's calls, made one after another."""

    async def one_by_one() -> list[Any]:
        teacher = OpenAITeacher(OpenAIModel(base_url=base_url, model="fake-model", timeout=5, **settings))
        try:
            return [(await asyncio.gather(teacher.complete(chat, Generation(), 0), return_exceptions=True))[0] for chat in chats]
        finally:
            await teacher.close()

    return asyncio.run(one_by_one())


def test_the_defaults_send_the_same_bytes_as_before(monkeypatch):
    seen = []
    arrived = FakeServer.arrived
    monkeypatch.setattr(FakeServer, "arrived", lambda self, at, raw, *rest: (seen.append(raw), arrived(self, at, raw, *rest))[1])
    with FakeServer() as server:
        ask(server.base_url)
    assert seen == [DEFAULT]
    assert server.calls[0].path == "/v1/chat/completions"


def test_every_parameter_that_is_set_is_sent_and_a_temperature_of_null_is_not():
    extra = {"top_k": 20, "chat_template_kwargs": {"enable_thinking": False}}
    with FakeServer() as server:
        ask(server.base_url, temperature=None, top_p=0.9, stop="###", seed=7, reasoning_effort="low", extra_body=extra)
    sent = {"top_p": 0.9, "stop": ["###"], "reasoning_effort": "low", "seed": 7, **extra}
    assert server.calls[0].body == {"model": "fake-model", "messages": list(USER), "max_tokens": 512, **sent}


@pytest.mark.parametrize(
    ("model", "seed", "sent"), [(OpenAIModel, 7, [7, 8, 9]), (ServedModel, None, [0, 1, 2]), (ServedModel, 7, [7, 8, 9])]
)
def test_a_seed_is_another_for_each_sample_or_answers_would_be_the_same(model, seed, sent):
    with FakeServer() as server:
        ask(server.base_url, times=3, model=model, seed=seed)
    assert sorted(call.body["seed"] for call in server.calls) == sent


# The limit's two names


def test_a_limit_that_goes_by_its_other_name_is_asked_for_once_more_and_remembered():
    with FakeServer(reply=o_series) as server:
        replies = ask(server.base_url, times=4, temperature=None, max_new_tokens=99)
        assert all(isinstance(reply, Reply) for reply in replies)
        # All four left before the first was refused; each is asked again once, and none a third time.
        assert [("max_tokens" in call.body, call.body.get("max_completion_tokens")) for call in server.calls].count((False, 99)) == 4
        assert server.count == 8


def test_a_limit_that_is_refused_twice_ends_the_run_with_its_key():
    with FakeServer(
        reply=lambda body: refused("'max_tokens' is not supported. Use 'max_completion_tokens' instead.", "max_tokens")
    ) as server:
        with pytest.raises(ServiceError, match=r"set `generation\.max_new_tokens` to what it takes"):
            ask(server.base_url)
    assert server.count == 2


def test_a_prompt_that_is_too_long_fails_its_call_alone_although_both_names_of_the_limit_are_told():
    said = "'max_tokens' or 'max_completion_tokens' is too large: 512. This model's maximum context length is 1024 tokens."
    with FakeServer(reply=lambda body: refused(said)) as server:
        with pytest.raises(RefusedCall):
            ask(server.base_url)
    assert server.count == 1


# Parameters that are refused by name


@pytest.mark.parametrize(
    ("reply", "generation", "remedy"),
    [
        (o_series, {}, "write `generation: {temperature: null}`, or a value that it takes"),
        (newest_claude, {}, "write `generation: {temperature: null}`, or a value that it takes"),
        (qwen3, {}, "write `generation: {extra_body: {enable_thinking: …}}` with the value that it takes"),
        (qwen3, {"extra_body": {"enable_thinking": True}}, "correct or remove `enable_thinking` in `generation.extra_body`"),
    ],
)
def test_what_a_provider_refuses_ends_the_run_with_the_key_to_change(reply, generation, remedy):
    with FakeServer(reply=reply) as server:
        with pytest.raises(ServiceError, match=r"refuses a parameter \(HTTP 400: ") as caught:
            ask(server.base_url, **generation)
    assert str(caught.value).endswith(f"; {remedy}")
    assert server.count == (2 if reply is o_series else 1)


@pytest.mark.parametrize(
    ("reply", "generation"),
    [
        (o_series, {"temperature": None}),
        (o_series, {"temperature": 1}),
        (newest_claude, {"temperature": None}),
        (qwen3, {"extra_body": {"enable_thinking": False}}),
    ],
)
def test_the_key_that_the_message_names_helps(reply, generation):
    with FakeServer(reply=reply) as server:
        assert isinstance(ask(server.base_url, **generation)[0], Reply)


WORDS = {
    "OpenAI, unknown": ({"error": {"message": "Unrecognized request argument supplied: top_k", "param": None}}, "top_k"),
    "OpenAI, stop": ({"error": {"message": "Unsupported parameter: 'stop' is not supported with this model.", "param": "stop"}}, "stop"),
    "OpenAI, responses": ({"error": {"message": "Unsupported value", "param": "reasoning.effort"}}, "reasoning_effort"),
    "Groq": ({"error": {"message": "property 'top_k' is unsupported", "type": "invalid_request_error"}}, "top_k"),
    "Gemini": ([{"error": {"code": 400, "message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'}}], "seed"),
    "Mistral": ({"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}, "seed"),
    "vLLM": ({"object": "error", "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'top_k'), 'input': 5}]", "code": 400}, "top_k"),
    "a body that is echoed": ({"detail": [{"type": "missing", "loc": ["body", "x"], "input": {"temperature": 0.7}}]}, "extra_body: {x: …}"),
    "a query": ({"error": {"message": "Missing required query parameter: api-version"}}, "query: {api-version: …}"),
    "xAI": ({"code": "400", "error": "Argument not supported on this model: stop"}, "stop"),
    "LiteLLM": ({"error": {"message": "UnsupportedParamsError: gpt-5 models don't support temperature=0.7."}}, "temperature"),
    "DeepSeek": ({"error": {"message": "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"}}, "max_new_tokens"),
    "Anthropic": ({"error": {"message": "`temperature` and `top_p` cannot both be specified for this model."}}, "temperature"),
}


@pytest.mark.parametrize(("body", "name"), WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("status", [400, 422])
def test_the_words_of_each_server_lead_to_the_key(status, body, name):
    generation = {"top_p": 0.9, "stop": "#", "seed": 1, "reasoning_effort": "low", "extra_body": {"top_k": 5}}
    with FakeServer(reply=lambda _: (status, body)) as server:
        with pytest.raises(ServiceError) as caught:
            ask(server.base_url, **generation)
    assert name in str(caught.value).rpartition("; ")[2]


@pytest.mark.parametrize(
    "said",
    ["The prompt could not be processed.", "Invalid image in the message", "messages: you must stop after the seed", "invalid JSON"],
)
def test_a_refusal_that_names_no_parameter_fails_its_call_alone(said):
    with FakeServer(reply=lambda body: refused(said)) as server:
        with pytest.raises(RefusedCall):
            ask(server.base_url, stop="#", seed=1)


def test_a_parameter_that_was_taken_before_does_not_end_the_run_later():
    said = refused("The invalid question was: what temperature is too high?")
    with FakeServer(reply=lambda body: "60" if len(body["messages"]) == 1 else said) as server:
        first, second = in_turn(server.base_url, USER, CHAT)
    assert (first.text, type(second)) == ("60", RefusedCall)


# The system role


def test_a_system_role_that_is_refused_is_folded_once_more_and_remembered():
    with FakeServer(reply=gemma) as server:
        replies = in_turn(server.base_url, CHAT, CHAT)
    assert all(isinstance(reply, Reply) for reply in replies)
    folded = [{"role": "user", "content": f"You solve problems.\n\n{QUESTION}"}]
    assert [call.body["messages"] for call in server.calls] == [list(CHAT), folded, folded]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "Unsupported value: 'messages[0].role' does not support 'system' with this model."),
        (400, "Developer instruction is not enabled for models/gemma-3-27b-it"),
        (400, "This model doesn't support system messages. Try again without a system message."),
        (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
        (500, "Jinja Exception: System role not supported"),
    ],
)
def test_a_system_role_is_folded_in_whatever_words_it_is_refused(status, said):
    with FakeServer(reply=lambda body: refused(said, status=status) if body["messages"][0]["role"] == "system" else "60") as server:
        [reply] = ask(server.base_url, messages=CHAT)
    assert isinstance(reply, Reply)
    assert server.count == 2


def test_a_refusal_by_a_safety_system_folds_nothing():
    with FakeServer(faults=[Fault("refused")]) as server:
        with pytest.raises(RefusedCall):
            ask(server.base_url, messages=CHAT)
    assert server.count == 1


def test_a_system_role_to_keep_is_never_folded_and_its_refusal_names_the_key():
    with FakeServer(reply=gemma) as server:
        with pytest.raises(ServiceError, match="write `system_role: fold`"):
            ask(server.base_url, messages=CHAT, settings={"system_role": "keep"})
    assert server.count == 1


def test_a_system_role_to_fold_is_never_sent():
    with FakeServer(reply=gemma) as server:
        ask(server.base_url, messages=CHAT, settings={"system_role": "fold"})
    assert server.count == 1


def test_folding_keeps_every_other_turn():
    system, user, assistant = ({"role": role, "content": role} for role in ("system", "user", "assistant"))
    assert fold([system, user, assistant, user]) == [{"role": "user", "content": "system\n\nuser"}, assistant, user]
    assert fold([system, system]) == [{"role": "user", "content": "system\n\nsystem"}]
    assert fold([user, assistant]) == [user, assistant]


# Addresses, queries and headers


@pytest.mark.parametrize("lm_studio", [False, True])
@pytest.mark.parametrize("behind", ["", "/", "/v1", "/v1/", "/v1/chat/completions", "/v1/chat/completions/", "/chat/completions"])
@pytest.mark.parametrize("serves", ["/v1", ""])
def test_a_base_url_with_and_without_v1_is_understood(serves, behind, lm_studio):
    with FakeServer(admit=only_below(serves, lm_studio=lm_studio)) as server:
        host = server.base_url.removesuffix("/v1")
        settings = check(OpenAIModel(base_url=host + behind))
        assert settings.base_url == host + serves
        assert isinstance(ask(settings.base_url)[0], Reply)


def test_a_server_without_a_list_of_models_keeps_the_address_that_was_written():
    with FakeServer(admit=lambda path, fields: (404, b"") if path.endswith("/models") else None) as server:
        assert check(OpenAIModel(base_url=server.base_url)).base_url == server.base_url


AZURE = {"headers_env": {"api-key": "AZURE_KEY"}, "query": {"api-version": "2024-10-21"}}


def test_azure_gets_its_version_and_its_key_and_no_other(monkeypatch):
    monkeypatch.setenv("AZURE_KEY", "azure-key-0123456789abcdef")
    with FakeServer(admit=partial(azure, key="azure-key-0123456789abcdef")) as server:
        base_url = server.base_url.replace("/v1", "/openai/deployments/gpt")
        assert check(OpenAIModel(base_url=base_url, **AZURE)).base_url == base_url
        assert isinstance(ask(base_url, settings=AZURE)[0], Reply)
        assert not server.calls[0].authorized
        monkeypatch.setenv("AZURE_KEY", "another-key-0123456789abcdef")
        with pytest.raises(ServiceError, match="set the environment variable AZURE_KEY") as caught:
            ask(base_url, settings=AZURE)
    assert "another-key" not in str(caught.value)


def test_other_headers_and_a_key_variable_of_its_own_are_sent_beside_one_another(monkeypatch):
    monkeypatch.setenv("GATEWAY", "gateway-0123456789abcdef")
    monkeypatch.setenv("PROVIDER_KEY", KEY)
    headers = {"X-Gateway-Token": "GATEWAY"}
    with FakeServer(api_key=KEY) as server:
        ask(server.base_url, settings={"headers_env": headers, "api_key_env": "PROVIDER_KEY"})
        ask(server.base_url, settings={"headers_env": {"X-Title": "GATEWAY"}})
    assert [call.fields.get("x-gateway-token") or call.fields["x-title"] for call in server.calls] == ["gateway-0123456789abcdef"] * 2


@pytest.mark.parametrize("value", ["", "  ", "a\nb: c", "a\x00", "ключ"])
def test_a_header_whose_variable_holds_nothing_or_what_no_header_can_is_refused_before_the_run(monkeypatch, value):
    monkeypatch.setattr("os.environ", {"X": value, "OPENAI_API_KEY": KEY})
    with pytest.raises(ConfigError, match=r"synthetic\.teacher\.headers_env\.X-Name: the environment variable X ") as caught:
        check(OpenAIModel(headers_env={"X-Name": "X"}))
    assert not value.strip() or value not in str(caught.value)


def test_a_headers_value_is_cut_out_of_what_a_server_says(monkeypatch):
    monkeypatch.setenv("X", "Bearer header-0123456789abcdef")
    said = "no: header-0123456789abcdef, Bearer header-0123456789abcdef"
    with FakeServer(reply=lambda body: refused(said)) as server:
        with pytest.raises(RefusedCall) as caught:
            ask(server.base_url, settings={"headers_env": {"Authorization": "X"}})
    assert "0123456789" not in str(caught.value)


def test_headers_are_sent_to_no_other_server(monkeypatch):
    monkeypatch.setenv("X", "header-0123456789abcdef")
    with FakeServer(reply=lambda body: "60") as other:
        there = {"Location": f"{other.base_url}/chat/completions"}
        with FakeServer(reply=lambda body: (307, b"", there)) as server:
            ask(server.base_url, settings={"headers_env": {"X-Name": "X"}})
    assert (server.calls[0].fields.get("x-name"), other.calls[0].fields.get("x-name")) == ("header-0123456789abcdef", None)
