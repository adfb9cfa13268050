"""Calls for several answers to one prompt, with a fake teacher and a real ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.config import Budget, Generation, OpenAIModel, load_settings
from axolotl_synthetic.errors import CallFailed, ConfigError, RefusedCall, RetryableCall, ServiceError
from axolotl_synthetic.ledger import Ledger
from axolotl_synthetic.pipelines import calls as calls_module
from axolotl_synthetic.pipelines.admission import BudgetReached
from axolotl_synthetic.pipelines.calls import Asked, Calls
from axolotl_synthetic.pipelines.schedule import Planned, schedule, sure_rounds
from axolotl_synthetic.records import Candidate, Message, Question, Reply, Request, Seed
from axolotl_synthetic.teachers.openai import OpenAITeacher
from axolotl_synthetic.teachers.replies import read_replies
from axolotl_synthetic.teachers.usage import Usage

from fake_profiles import Several, choices, refused
from fake_server import FakeServer

# Most tokens of the prompt: 8 bytes of a question, 16 for its turn, 16 for the chat; and 50 new tokens for each reply.
PROMPT, REPLY = 40, 50


class Teacher:
    """A teacher with as many replies as requested, or the result of `does` for the number of the call and of replies."""

    def __init__(self, does: Callable[[int, int], Any] | None = None) -> None:
        self.does = does or (lambda call, number: [Reply(f"{call}/{place}", "stop", 10, 10, 0.01) for place in range(number)])
        self.asked: list[int] = []

    async def complete(self, messages: Sequence[Message], generation: Generation, sample: int) -> Reply:
        [only] = await self.complete_several(messages, generation, 1)
        if isinstance(only, CallFailed):
            raise only
        return only

    async def complete_several(self, messages: Sequence[Message], generation: Generation, number: int) -> list[Reply | CallFailed]:
        self.asked.append(number)
        await asyncio.sleep(0.01)
        did = self.does(len(self.asked) - 1, number)
        if isinstance(did, Exception):
            raise did
        return list(did)

    async def close(self) -> None:
        pass


def play(path: Path, teacher: Teacher, scene: Callable[[Calls], Any], *, budget: Budget | None = None, per_call: Any = 4) -> Any:
    budget = budget or Budget(samples=1000)
    settings = OpenAIModel(retries=2, concurrency=8, samples_per_call=per_call, generation=Generation(max_new_tokens=REPLY))

    async def whole() -> Any:
        async with AsyncExitStack() as stack:
            reader, writer = stack.enter_context(Ledger(path)), stack.enter_context(Ledger(path, budget))
            asked = Asked(settings, teacher)
            calls = Calls(reader, writer, {"teacher": asked, "augmenter": asked}, budget)
            stack.push_async_callback(calls.close)
            return await scene(calls)

    return asyncio.run(asyncio.wait_for(whole(), 30))


async def answer(calls: Calls, sample: int, wanted: int, prompt: int = 0) -> str:
    """Ask for a sample of `wanted`; return how it ended."""
    chain = calls.chain(1)
    request = Request("answer", "teacher", ({"role": "user", "content": f"{prompt:08d}"},), sample, range(sample + 1, wanted))
    try:
        return (await chain.ask(request)).text
    except CallFailed as error:
        return error.reason
    except BudgetReached as reached:
        return f"no {reached.args[0]}"
    finally:
        chain.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "BACKOFF", lambda state: 0.001)


def spent(path: Path) -> tuple[int, int]:
    with Ledger(path) as ledger:
        return ledger.spent()[:2]


def in_turn(count: int, wanted: int = 4) -> Callable[[Calls], Any]:
    async def scene(calls: Calls) -> list[str]:
        return [await answer(calls, sample, wanted) for sample in range(count)]

    return scene


def test_the_samples_that_are_wanted_come_with_the_first_and_no_others(path):
    teacher = Teacher()
    assert play(path, teacher, in_turn(6)) == ["0/0", "0/1", "0/2", "0/3", "1/0", "2/0"]
    assert teacher.asked == [4, 1, 1]
    assert spent(path) == (6, 6 * 20)


def test_whoever_asks_meanwhile_waits_for_the_same_call(path):
    teacher = Teacher()

    async def scene(calls: Calls) -> Any:
        said = await asyncio.gather(*(answer(calls, sample, 4) for sample in range(4)))
        return said, calls.reused, calls.has_more

    assert play(path, teacher, scene) == (["0/0", "0/1", "0/2", "0/3"], 0, False)
    assert teacher.asked == [4]


def test_what_another_run_paid_for_is_reused_and_what_this_one_did_is_not_counted_so(path):
    teacher = Teacher()

    async def scene(calls: Calls) -> int:
        await answer(calls, 0, 3)
        await answer(calls, 1, 3)
        await answer(calls, 1, 3)
        return calls.reused

    assert play(path, teacher, scene) == 1
    assert play(path, teacher, in_turn(4)) == ["0/0", "0/1", "0/2", "1/0"]
    assert teacher.asked == [3, 1]


def test_a_call_takes_as_many_along_as_the_budget_allows(path):
    # One call with one reply is 90 at most; 150 more allow three replies, with 40 left.
    teacher = Teacher()
    ended = play(path, teacher, in_turn(4), budget=Budget(tokens=PROMPT + 3 * REPLY + 10))
    assert teacher.asked[0] == 2
    assert ended[:2] == ["0/0", "0/1"]
    assert spent(path)[1] <= PROMPT + 3 * REPLY + 10


@pytest.mark.parametrize("queries", range(1, 6))
def test_no_query_is_made_beyond_the_budget(path, queries):
    teacher = Teacher()
    ended = play(path, teacher, in_turn(6), budget=Budget(queries=queries))
    assert ended.count("no queries") == 6 - queries
    assert sum(teacher.asked) == spent(path)[0] == queries


def test_fewer_replies_than_asked_for_free_what_was_reserved_and_are_remembered(path):
    teacher = Teacher(lambda call, number: [Reply(f"{call}", "stop", 10, 10, 0.01)])
    assert play(path, teacher, in_turn(4)) == ["0", "1", "2", "3"]
    assert teacher.asked == [4, 1, 1, 1]
    assert spent(path) == (4, 4 * 20)
    with Ledger(path) as ledger:
        assert ledger.failures() == {"fewer_replies": 3}
        assert ledger.totals().queries["total"] == 4


def test_a_call_that_vanished_keeps_what_all_of_it_may_have_cost(path):
    error = RetryableCall("timeout")
    teacher = Teacher(lambda call, number: error if call == 0 else [Reply("x", "stop", 10, 10, 0.01)] * number)
    assert play(path, teacher, in_turn(4)) == ["x"] * 4
    assert teacher.asked == [4, 4]
    assert spent(path) == (8, PROMPT + 4 * REPLY + 4 * 20)


def test_a_call_that_was_refused_costs_one_query(path):
    error = RetryableCall("http_429", cost="query")
    teacher = Teacher(lambda call, number: error if call == 0 else [Reply("x", "stop", 10, 10, 0.01)] * number)
    assert play(path, teacher, in_turn(4)) == ["x"] * 4
    assert spent(path) == (5, 4 * 20)


def test_a_failed_call_leaves_nobody_waiting(path):
    teacher = Teacher(lambda call, number: RefusedCall("context_length", cost="query") if number > 1 else [Reply("x", "stop", 10, 10)])

    async def scene(calls: Calls) -> Any:
        return await asyncio.gather(*(answer(calls, sample, 2) for sample in range(2)))

    # The first is refused; the second, which was to come with it, asks for itself.
    assert play(path, teacher, scene) == ["context_length", "x"]


def test_a_service_that_ends_the_run_leaves_nobody_waiting(path):
    teacher = Teacher(lambda call, number: ServiceError("out of credit"))

    async def scene(calls: Calls) -> Any:
        return await asyncio.gather(*(answer(calls, sample, 3) for sample in range(3)), return_exceptions=True)

    assert [str(error) for error in play(path, teacher, scene)] == ["out of credit"] * 3
    assert spent(path)[1] == 0


def test_replies_of_no_use_among_others_end_as_if_they_had_come_alone(path):
    empty = RetryableCall("empty_reply", reply=Reply("", "stop", 10, 5))
    refusal = RefusedCall("refusal", reply=Reply("", "stop", 10, 5))
    broken = Reply("half \ud83d", "stop", 10, 10)

    def does(call: int, number: int) -> Any:
        if call:
            return [Reply(f"{call}", "stop", 10, 10)] * number
        return [Reply("first", "stop", 10, 10), empty, refusal, broken]

    teacher = Teacher(does)
    # A retryable reply is requested again alone; a permanent failure is reported once.
    assert play(path, teacher, in_turn(4)) == ["first", "1", "refusal", "1"]
    assert teacher.asked == [4, 2]
    assert spent(path) == (6, 20 + 15 + 15 + 20 + 2 * 20)


def test_the_first_reply_may_be_of_no_use_and_the_others_are_kept(path):
    def does(call: int, number: int) -> Any:
        if call:
            return [Reply("again", "stop", 10, 10)] * number
        return [RetryableCall("empty_reply", reply=Reply("", "stop", 10, 5)), Reply("second", "stop", 10, 10)]

    teacher = Teacher(does)
    assert play(path, teacher, in_turn(2, wanted=2)) == ["again", "second"]
    assert teacher.asked == [2, 1]


def test_a_server_that_bills_more_for_the_prompt_is_learnt_of_once_for_the_whole_call(path):
    # 4 times 20 for a prompt of at most 40: 40 more than it can have.
    teacher = Teacher(lambda call, number: [Reply("x", "stop", 20, 10)] * number)

    async def scene(calls: Calls) -> Any:
        await answer(calls, 0, 4)
        return calls.models["teacher"].surplus

    assert play(path, teacher, scene) == (40, 0)


def test_a_teacher_that_cannot_is_asked_for_one(path):
    class Single:
        complete, close = Teacher.complete, Teacher.close

    teacher: Any = Single()
    assert Asked(OpenAIModel(samples_per_call=4), teacher).at_once == 1
    assert Asked(OpenAIModel(samples_per_call=4), Teacher()).at_once == 4
    assert Asked(OpenAIModel(samples_per_call="auto"), Teacher()).at_once == 8
    assert Asked(OpenAIModel(samples_per_call="auto", generation=Generation(seed=1)), Teacher()).at_once == 1


# Samples that a run certainly wants


@given(seeds=st.integers(1, 12), samples=st.integers(1, 60), share=st.sampled_from([0.1, 0.25, 0.5, 0.8, 1.0]))
def test_no_more_rounds_are_sure_than_come_about(seeds, samples, share):
    of = [Seed(f"s{number}", Question("?")) for number in range(seeds)]
    shares = {"a": share} | ({"b": 1 - share} if share < 1 else {})
    planned = [one for one, _ in zip(schedule(of, shares), range(samples), strict=False) if one.candidate.strategy == "a"]
    for one in planned:
        rounds = sum(other.seed.id == one.seed.id for other in planned)
        sure = sure_rounds(one, seeds, samples, share)
        assert sure <= rounds
        assert share < 1 or sure == rounds


def test_without_a_number_of_samples_or_queries_nothing_is_sure():
    assert sure_rounds(Planned(Candidate(0, "a", "a", "s"), Seed("s", Question("?")), 0), 10, 0, 1.0) == 0


# Servers


def ask(base_url: str, *numbers: int) -> list[Any]:
    async def one_by_one() -> list[Any]:
        teacher = OpenAITeacher(OpenAIModel(base_url=base_url, model="fake-model", timeout=5))
        try:
            chat = ({"role": "user", "content": "Ada has 6 jars with 10 cards each. How many?"},)
            return [await teacher.complete_several(chat, Generation(), number) for number in numbers]
        finally:
            await teacher.close()

    return asyncio.run(one_by_one())


@pytest.mark.parametrize(
    "refusal",
    [
        refused("'n' : number must be at most 1. This is not supported", "n"),
        refused("Invalid n value (currently only n = 1 is supported)"),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "Input should be less than or equal to 1"}]}),
        (500, {"error": {"message": "Only one completion choice is allowed"}}),
        (400, {"error": {"message": "Only one candidate can be specified in the current model"}}),
    ],
    ids=["Groq", "DeepSeek", "FastAPI", "llama.cpp", "Gemini"],
)
def test_a_server_that_refuses_several_is_asked_for_one_from_then_on(refusal, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key-0123456789")
    profile = Several(refuses=refusal)
    with FakeServer(profile) as server:
        replies = ask(server.base_url, 4, 4)
    assert [len(one) for one in replies] == [1, 1]
    assert profile.asked == [4, 1, 1]


def test_a_server_that_took_several_is_asked_for_several_whatever_it_refuses_later(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key-0123456789")
    profile = Several()
    with FakeServer(lambda body: refused("content filtered", code="content_filter") if server.count == 2 else profile(body)) as server:
        replies = ask(server.base_url, 3)
        assert [reply.text for reply in replies[0]] and len(replies[0]) == 3
        with pytest.raises(RefusedCall):
            ask(server.base_url, 3)
        assert [call.body["n"] for call in server.calls] == [3, 3]


def test_choices_are_read_in_the_order_of_their_index_and_share_the_prompt():
    _, body = choices(["first", "second", "third"], 100, prompt_tokens_details={"cached_tokens": 65})
    body["choices"].reverse()
    import orjson

    replies = read_replies(orjson.dumps(body), 1.0, most=3)
    assert [reply.text for reply in replies] == ["first", "second", "third"]
    assert [reply.prompt_tokens for reply in replies] == [34, 33, 33]
    assert [reply.cached_tokens for reply in replies] == [22, 22, 21]
    assert sum(reply.completion_tokens for reply in replies) == 2 + 2 + 2
    # More replies than requested are left out, but billed.
    [only] = read_replies(orjson.dumps(body), 1.0, most=1)
    assert (only.prompt_tokens, only.completion_tokens) == (100, 6)


counts = st.none() | st.integers(0, 10_000)


@given(
    prompt=st.integers(0, 10_000),
    parts=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    completion=counts,
    weights=st.lists(st.integers(0, 5_000), min_size=1, max_size=9),
    most=st.integers(0, 3_000),
)
def test_what_several_replies_were_billed_is_divided_to_the_token(prompt, parts, completion, weights, most):
    cached = int(prompt * parts[0])
    usage = Usage(prompt, completion, None if completion is None else completion // 3, cached, int((prompt - cached) * parts[1]))
    divided = usage.split(weights, most)
    for name in Usage._fields:
        whole = getattr(usage, name)
        assert [getattr(one, name) for one in divided].count(None) == (len(weights) if whole is None else 0)
        assert whole is None or sum(getattr(one, name) for one in divided) == whole
    for one in divided:
        assert 0 <= one.cached + one.written <= one.prompt
        assert one.completion is None or 0 <= one.reasoning <= one.completion + 1
        assert completion is None or not most or completion > most * len(weights) or one.completion <= most


# In a config


@pytest.mark.parametrize("value", [0, 129, "many", 2.5, None, [1]])
def test_samples_per_call_is_a_number_or_auto(value):
    with pytest.raises(ConfigError, match=r"teacher.samples_per_call: .*must be auto or a number from 1 to 128"):
        load_settings({"teacher": {"samples_per_call": value}})


def test_several_answers_do_not_go_with_a_seed_for_each():
    with pytest.raises(ConfigError, match=r"teacher.samples_per_call: 4: answers of one call have one seed"):
        load_settings({"teacher": {"samples_per_call": 4, "generation": {"seed": 3}}})
    assert load_settings({"teacher": {"samples_per_call": "auto", "generation": {"seed": 3}}}).teacher.at_once == 1


def test_it_is_no_parameter_of_extra_body():
    with pytest.raises(ConfigError, match="must not hold `n`: write `samples_per_call`"):
        load_settings({"teacher": {"generation": {"extra_body": {"n": 4}}}})
