"""LiteLLM as a teacher, on a local server with Anthropic's own API: its replies and errors, and its limits."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from axolotl_synthetic import extras, teachers
from axolotl_synthetic.config import Generation, LiteLLMModel, load_settings
from axolotl_synthetic.errors import ConfigError, MissingExtraError, RefusedCall, RetryableCall, ServiceError
from axolotl_synthetic.records import Reply
from axolotl_synthetic.teachers.litellm import servers_words

from fake_faults import Fault
from fake_providers import CACHED, KEY, PROMPT, PROVIDERS, SAID, THINKING, THOUGHT
from fake_server import FakeServer

CHAT = (
    {"role": "system", "content": "You solve problems."},
    {"role": "user", "content": "Ada has 6 jars with 10 cards each. How many cards are there?"},
)
THINKS = {"thinking": {"type": "enabled", "budget_tokens": 1024}}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    # The variable's name does not show that it holds a key.
    monkeypatch.setenv("MINE", KEY)


def settings(server: FakeServer, **more: Any) -> LiteLLMModel:
    fixed = {"provider": "litellm", "model": "anthropic/claude-sonnet-4-5", "api_key_env": "MINE", "timeout": 5}
    return LiteLLMModel(**{**fixed, "base_url": server.base_url.removesuffix("/v1"), **more})


def ask(model: LiteLLMModel, *, times: int = 1, **generation: Any) -> Any:
    """Return the result of one call, or the list of results of several concurrent calls."""

    async def all_at_once() -> list[Any]:
        teacher = teachers.open_teacher(model)
        try:
            calls = [teacher.complete(CHAT, Generation(**generation), sample) for sample in range(times)]
            return await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await teacher.close()

    found = asyncio.run(all_at_once())
    return found[0] if times == 1 else found


def anthropic(**options: Any) -> FakeServer:
    profile = PROVIDERS["Anthropic"]()
    return FakeServer(options.pop("reply", profile.reply.reply), admit=profile.admit, **options)  # type: ignore[attr-defined]


def refuses(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> Any:
    return lambda body: (status, {"type": "error", "error": {"type": kind, "message": message}}, headers or {})


def test_a_thinking_block_and_cached_tokens_are_read():
    with anthropic() as server:
        reply = ask(settings(server), temperature=None, max_new_tokens=4096, extra_body=THINKS)
    assert (reply.finish_reason, reply.thinking) == ("stop", THINKING)
    assert reply.text.endswith("#### 60")
    assert THINKING not in reply.text
    assert (reply.prompt_tokens, reply.completion_tokens) == (PROMPT, SAID + THOUGHT)
    assert (reply.cached_tokens, reply.written_tokens) == (CACHED, 8)


def test_every_parameter_goes_out_as_the_provider_names_it():
    with anthropic() as server:
        ask(settings(server), temperature=0.5, max_new_tokens=99, stop=["###"], top_p=0.9, extra_body={"top_k": 5})
    body = server.calls[0].body
    assert {name: body[name] for name in ("model", "temperature", "max_tokens", "top_p", "top_k", "stop_sequences")} == {
        **{"model": "claude-sonnet-4-5", "temperature": 0.5, "max_tokens": 99, "top_p": 0.9, "top_k": 5},
        "stop_sequences": ["###"],
    }
    assert [turn["role"] for turn in body["messages"]] == ["user"]
    assert server.calls[0].fields["x-api-key"] == KEY


REFUSALS = {
    "401": (refuses(401, "authentication_error", f"invalid x-api-key {KEY}"), ServiceError, "the environment variable MINE"),
    "403": (refuses(403, "permission_error", "not yours"), ServiceError, "refuses the key"),
    "404": (refuses(404, "not_found_error", "model: claude-sonnet-4-5"), ServiceError, "does not know the model 'anthropic/claude-son"),
    "402": (refuses(402, "billing_error", "Pay first"), ServiceError, "out of credit"),
    "credit": (refuses(400, "invalid_request_error", "Your credit balance is too low to access it"), ServiceError, "out of credit"),
    "parameter": (refuses(400, "invalid_request_error", "`temperature` is deprecated for this model."), ServiceError, "temperature: null"),
    "too long": (refuses(400, "invalid_request_error", "prompt is too long: 205000 tokens > 200000 maximum"), RefusedCall, "context_len"),
    "400": (refuses(400, "invalid_request_error", f"no: {KEY}"), RefusedCall, "http_400"),
    "429": (refuses(429, "rate_limit_error", "slow down", {"Retry-After": "7"}), RetryableCall, "http_429"),
    "529": (refuses(529, "overloaded_error", "Overloaded"), RetryableCall, "http_529"),
    "500": (refuses(500, "api_error", "Internal server error"), RetryableCall, "http_500"),
}


@pytest.mark.parametrize(("reply", "kind", "said"), REFUSALS.values(), ids=REFUSALS)
def test_an_error_of_litellm_is_what_the_server_meant(reply, kind, said):
    with anthropic(reply=reply) as server:
        error = ask(settings(server))
    assert type(error) is kind
    assert said in str(error)
    assert KEY[:12] not in str(error)
    assert server.count == 1


def test_a_wait_that_the_server_asks_for_is_kept():
    with anthropic(reply=REFUSALS["429"][0]) as server:
        error = ask(settings(server))
    assert (error.retry_after, error.slow_down, error.cost) == (7.0, True, "query")


@pytest.mark.parametrize("kind", ["reset_before_headers", "reset_after_headers", "half_body"])
def test_a_connection_that_breaks_is_never_asked_again_behind_the_ledgers_back(kind):
    with anthropic(faults=[Fault(kind)]) as server:
        error = ask(settings(server))
    assert isinstance(error, RetryableCall)
    assert (error.reason, error.cost) == ("connection", "unknown")
    assert server.count == 1


def test_a_server_that_is_away_has_cost_nothing():
    with anthropic() as server:
        server.__exit__()
        error = ask(settings(server))
    assert isinstance(error, RetryableCall)
    assert (error.reason, error.cost, error.slow_down) == ("connection", "none", True)


def test_a_server_that_never_answers_takes_the_time_that_is_set():
    with anthropic(faults=[Fault("timeout")]) as server:
        error = ask(settings(server, timeout=0.3))
    assert isinstance(error, RetryableCall)
    assert error.reason == "timeout"


def test_many_calls_at_once_are_all_answered():
    with anthropic(latency=0.05) as server:
        found = ask(settings(server), times=64)
    assert all(isinstance(reply, Reply) for reply in found)
    assert server.count == 64
    # The library alone would open as many calls as there are threads.
    assert server.peak >= 32


def test_a_parameter_that_litellm_does_not_take_names_its_key():
    with anthropic() as server:
        error = ask(settings(server), seed=7)
    assert isinstance(error, ServiceError)
    assert str(error).endswith("write `generation: {seed: null}`, or a value that it takes")
    assert server.count == 0


def test_a_model_whose_provider_nobody_knows_is_a_wrong_config():
    with pytest.raises(ConfigError, match=r"does not know whose model 'my-model' is; write the provider before it"):
        teachers.open_teacher(LiteLLMModel(provider="litellm", model="my-model"))


def test_a_missing_litellm_is_one_line_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "litellm", None)
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    said = r"^`provider: litellm` needs litellm, which is not installed: pip install 'axolotl-synthetic\[litellm\]'$"
    with pytest.raises(MissingExtraError, match=said):
        teachers.serve(LiteLLMModel(provider="litellm", model="anthropic/x"))


def test_a_key_that_is_not_exported_is_told_before_the_run(monkeypatch):
    monkeypatch.delenv("MINE")
    with pytest.raises(ConfigError, match="the environment variable MINE is not set"):
        teachers.serve(LiteLLMModel(provider="litellm", model="anthropic/x", api_key_env="MINE"))


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"api_key": "sk-12345678"}, "keys are never written down"),
        ({"aws_secret_access_key": "x"}, "keys are never written down"),
        ({"num_retries": 3}, "the run decides it"),
        ({"temperature": 1}, "write it under `generation`"),
    ],
)
def test_arguments_that_are_not_for_kwargs_are_refused(kwargs, said):
    with pytest.raises(ConfigError, match=said) as caught:
        load_settings({"teacher": {"provider": "litellm", "model": "bedrock/x", "kwargs": kwargs}})
    assert "12345678" not in str(caught.value)


def test_the_servers_words_are_found_in_litellms():
    error = Exception('litellm.BadRequestError: AnthropicException - {"error": {"message": "no {braces}"}} more')
    assert servers_words(error) == b'{"error": {"message": "no {braces}"}}'
    assert servers_words(Exception("litellm.X: no {body} here")) is None


SCRIPT = """
import asyncio, socket, sys
asked = []
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: (asked.append(host), resolve(host, *rest, **more))[1]
from axolotl_synthetic import teachers
assert "litellm" not in sys.modules
from axolotl_synthetic.config import Generation, LiteLLMModel
model = LiteLLMModel(provider="litellm", model="anthropic/claude-x", api_key_env="MINE", base_url=sys.argv[1])
async def scene():
    with teachers.serve(model) as settings:
        assert "litellm" not in sys.modules
        teacher = teachers.open_teacher(settings)
        for chat in ({"role": "user", "content": "6 jars with 10 cards each?"},), ({"role": "user", "content": "again?"},):
            try:
                await teacher.complete(chat, Generation(), 0)
            except Exception as error:
                pass
        await teacher.close()
asyncio.run(scene())
print(sorted(set(map(str, asked))))
"""


@pytest.mark.slow
def test_it_asks_nobody_else_says_nothing_and_reads_no_env_file(tmp_path: Path):
    (tmp_path / ".env").write_text("MINE=another-key-0123456789\nANTHROPIC_API_KEY=another-key-0123456789\n")
    with anthropic(faults=[Fault("http_500", calls=[1])]) as server:
        address = server.base_url.removesuffix("/v1")
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, address],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "LITELLM_LOG": "DEBUG"},
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("[]", "['127.0.0.1']")
    assert done.stderr == ""
    assert server.calls[0].fields["x-api-key"] == KEY
    assert server.count == 2
