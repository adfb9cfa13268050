"""Classes of distilabel as teachers: a real OpenAILLM against a server, and a real TransformersLLM on a tiny model."""

import asyncio

import pytest

from axolotl_synthetic.config import DistilabelModel, Generation
from axolotl_synthetic.errors import ConfigError, RefusedCall, RetryableCall, ServiceError
from axolotl_synthetic.records import Reply
from axolotl_synthetic.teachers import model_name, open_teacher

from fake_server import FakeServer, Fault
from fake_wire import counted, message
from tiny_model import save_tiny_model

QUESTION = [{"role": "user", "content": "There are 6 jars with 10 cards each. How many cards are there?"}]


def ask(settings: DistilabelModel, calls: int = 1, generation: Generation | None = None) -> list[Reply | BaseException]:
    async def all_calls() -> list[Reply | BaseException]:
        teacher = open_teacher(settings)
        try:
            one = [teacher.complete(QUESTION, generation or Generation(max_new_tokens=32), number) for number in range(calls)]
            return await asyncio.gather(*one, return_exceptions=True)
        finally:
            await teacher.close()

    return asyncio.run(all_calls())


def openai_llm(server: FakeServer, monkeypatch) -> DistilabelModel:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    return DistilabelModel(provider="distilabel", llm="OpenAILLM", kwargs={"model": "m", "base_url": server.base_url})


def test_an_openai_llm_answers_with_its_token_counts(monkeypatch):
    with FakeServer() as server:
        (reply,) = ask(openai_llm(server, monkeypatch))
    assert reply.text.endswith("#### 60")
    assert reply.prompt_tokens > 0
    assert reply.completion_tokens > 0


def test_distilabels_own_retries_are_off_because_no_budget_sees_them(monkeypatch):
    with FakeServer(faults=[Fault("http_500")]) as server:
        (error,) = ask(openai_llm(server, monkeypatch))
        assert server.count == 1
    assert isinstance(error, RetryableCall)
    assert error.reason == "http_500"


def test_thoughts_are_no_part_of_its_answer(monkeypatch):
    with FakeServer(reply=lambda body: message("<think>6 * 10</think>60</s>", usage=counted(20, 40))) as server:
        (reply,) = ask(openai_llm(server, monkeypatch))
    assert (reply.text, reply.raw) == ("60", "<think>6 * 10</think>60</s>")


@pytest.mark.parametrize("content", ["<think>6 * 10", None, ""])
def test_a_reply_without_an_answer_fails_with_what_was_billed_for_it(monkeypatch, content):
    with FakeServer(reply=lambda body: message(content, usage=counted(20, 32))) as server:
        (error,) = ask(openai_llm(server, monkeypatch))
    assert isinstance(error, RefusedCall)  # it reached the limit of 32 tokens
    assert "raise `generation.max_new_tokens`" in str(error)
    assert (error.reply.prompt_tokens, error.reply.completion_tokens) == (20, 32)


def test_tokens_that_the_server_does_not_count_are_unknown_and_not_none(monkeypatch):
    with FakeServer(reply=lambda body: message("60")) as server:
        (reply,) = ask(openai_llm(server, monkeypatch))
    assert (reply.prompt_tokens, reply.completion_tokens) == (None, None)


def test_a_reply_that_echoes_a_key_of_the_environment_is_refused(monkeypatch):
    key = "sk-recognisable-0123456789abcdef"
    with FakeServer(reply=lambda body: message(f"You sent {key}.", usage=counted(20, 8))) as server:
        settings = openai_llm(server, monkeypatch)
        monkeypatch.setenv("OPENAI_API_KEY", key)
        (error,) = ask(settings)
    assert isinstance(error, RefusedCall)
    assert error.reason == "echoed_key"
    assert (error.reply.raw, error.reply.completion_tokens) == ("", 8)


def test_the_environments_keys_are_cut_out_of_what_its_server_says(monkeypatch):
    with FakeServer(reply=lambda body: (400, {"error": {"message": "x" * 270 + " bad key sk-recognisable-0123456789abcdef"}})) as server:
        settings = openai_llm(server, monkeypatch)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-recognisable-0123456789abcdef")
        (error,) = ask(settings)
    assert isinstance(error, RefusedCall)
    assert "sk-rec" not in str(error)


def test_secrets_of_its_arguments_are_not_echoed(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    headers = {"Authorization": ["Bearer recognisable-0123456789"]}  # a list is not a valid header
    # The config would refuse this argument; the copy skips that, since an argument that passes must not be echoed either.
    settings = DistilabelModel(provider="distilabel", llm="OpenAILLM").model_copy(
        update={"kwargs": {"model": "m", "default_headers": headers}}
    )
    with pytest.raises(ConfigError, match=r"cannot be made with them.*\*\*\*") as caught:
        open_teacher(settings)
    assert "recognisable" not in str(caught.value)


def test_a_key_that_is_refused_ends_the_run(monkeypatch):
    with FakeServer(faults=[Fault("http_401")]) as server:
        (error,) = ask(openai_llm(server, monkeypatch))
    assert isinstance(error, ServiceError)
    assert "sk-test" not in str(error)


def test_a_transformers_llm_answers_what_waits_together_in_one_batch(tmp_path):
    model = save_tiny_model(tmp_path / "model")
    settings = DistilabelModel(provider="distilabel", llm="TransformersLLM", kwargs={"model": str(model), "device": "cpu"}, concurrency=3)
    replies = ask(settings, calls=5, generation=Generation(max_new_tokens=4))
    # A model of random weights replies with arbitrary text, but its tokens are counted.
    told = [reply for reply in replies if isinstance(reply, Reply)]
    assert told
    assert all(reply.completion_tokens for reply in told)
    assert all(isinstance(reply, Reply | RetryableCall) for reply in replies)


@pytest.mark.parametrize(
    ("llm", "kwargs", "message"),
    [
        ("NoSuchLLM", {}, "neither a class of distilabel.models nor an importable dotted path"),
        ("no_such_package.LLM", {}, "neither a class of distilabel.models nor an importable dotted path"),
        ("pathlib.Path", {}, "is no subclass of distilabel's LLM"),
        ("OpenAILLM", {"modle": "m"}, "cannot be made with them"),
    ],
)
def test_a_class_that_cannot_be_made_is_a_wrong_config(llm, kwargs, message):
    with pytest.raises(ConfigError, match=message):
        open_teacher(DistilabelModel(provider="distilabel", llm=llm, kwargs=kwargs))


def test_a_model_that_is_not_there_ends_the_run(tmp_path):
    settings = DistilabelModel(provider="distilabel", llm="TransformersLLM", kwargs={"model": str(tmp_path / "nothing"), "device": "cpu"})
    with pytest.raises(ServiceError, match="cannot be loaded"):
        open_teacher(settings)


@pytest.mark.parametrize(
    ("model", "kwargs", "name"), [(None, {"model": "m"}, "m"), ("mine", {"model": "m"}, "mine"), (None, {}, "OpenAILLM")]
)
def test_the_ledger_knows_it_by_the_name_given_or_that_of_its_arguments(model, kwargs, name):
    assert model_name(DistilabelModel(provider="distilabel", llm="OpenAILLM", model=model, kwargs=kwargs)) == name


def test_its_class_is_sent_the_further_parameters_that_it_takes(monkeypatch):
    with FakeServer() as server:
        settings = openai_llm(server, monkeypatch)
        (reply,) = ask(settings, generation=Generation(temperature=None, stop="###", extra_body={"top_k": 5}))
    assert isinstance(reply, Reply)
    assert (server.calls[0].body["stop"], server.calls[0].body["top_k"]) == (["###"], 5)


@pytest.mark.parametrize("generation", [{"reasoning_effort": "low"}, {"reasoning_effort": "low", "stop": "#"}])
def test_a_parameter_that_its_class_does_not_take_is_refused_before_the_first_call(monkeypatch, generation):
    with FakeServer() as server:
        settings = openai_llm(server, monkeypatch).model_copy(update={"generation": Generation(**generation)})
        with pytest.raises(ConfigError, match=r"synthetic\.teacher\.generation: OpenAILLM takes no `reasoning_effort`; "):
            open_teacher(settings)
