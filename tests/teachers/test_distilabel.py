"""Classes of distilabel as teachers: a real OpenAILLM against a server, and a real TransformersLLM on a tiny model."""

import asyncio

import pytest

from axolotl_synthetic.config import DistilabelModel, Generation
from axolotl_synthetic.errors import ConfigError, RetryableCall, ServiceError
from axolotl_synthetic.records import Reply
from axolotl_synthetic.teachers import model_name, open_teacher

from fake_server import FakeServer, Fault
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


def test_a_key_that_is_refused_ends_the_run(monkeypatch):
    with FakeServer(faults=[Fault("http_401")]) as server:
        (error,) = ask(openai_llm(server, monkeypatch))
    assert isinstance(error, ServiceError)
    assert "sk-test" not in str(error)


def test_a_transformers_llm_answers_what_waits_together_in_one_batch(tmp_path):
    model = save_tiny_model(tmp_path / "model")
    settings = DistilabelModel(provider="distilabel", llm="TransformersLLM", kwargs={"model": str(model), "device": "cpu"}, concurrency=3)
    replies = ask(settings, calls=5, generation=Generation(max_new_tokens=4))
    # A model of random weights says anything, but it says something, and how much is counted.
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
