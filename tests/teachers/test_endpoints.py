"""Calls to one model on several servers: the choice of a server, its suspension after failures, and its return."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import ExitStack
from typing import Any

import pytest

from axolotl_synthetic import teachers
from axolotl_synthetic.config import Generation, OpenAIModel
from axolotl_synthetic.errors import ConfigError, RefusedCall, RetryableCall, ServiceError
from axolotl_synthetic.records import Reply
from axolotl_synthetic.teachers.endpoints import SpreadTeacher
from axolotl_synthetic.teachers.openai import check

from fake_faults import Fault
from fake_profiles import Several, only_below
from fake_server import FakeServer


def chat(number: int) -> Any:
    return ({"role": "user", "content": f"Ada has {number} jars with 10 cards each. How many cards are there?"},)


class Scripted:
    """A server with scripted answers, which can be made to wait."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[Any] = []
        self.gate: asyncio.Event | None = None

    async def complete(self, messages: Any, generation: Generation, sample: int) -> Reply:
        self.asked.append(messages)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return Reply("60", "stop", 1, 1, 0.0)

    async def close(self) -> None:
        pass


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def ask(teacher: Any, number: int = 1) -> str:
    """Return the reply's text, or the reason why there is none."""
    try:
        return (await teacher.complete(chat(number), Generation(), 0)).text
    except (RetryableCall, RefusedCall) as error:
        return error.reason


def counts(servers: list[Scripted]) -> list[int]:
    return [len(server.asked) for server in servers]


def refused_connection() -> RetryableCall:
    return RetryableCall("connection", "refused", cost="none", slow_down=True)


# The choice of a server


def test_equal_prompts_stay_on_one_server_and_different_ones_spread():
    servers = [Scripted() for _ in range(3)]

    async def scene() -> None:
        teacher = SpreadTeacher(servers)  # type: ignore[arg-type]
        for _ in range(10):
            for number in range(60):
                await ask(teacher, number)

    asyncio.run(scene())
    prompts = [Counter(messages[0]["content"] for messages in server.asked) for server in servers]
    assert all(set(count.values()) == {10} for count in prompts)
    assert sum(len(count) for count in prompts) == 60
    # 60 prompts at random on 3 servers: 20 each, plus or minus three standard deviations of 3.7.
    assert all(9 <= len(count) <= 31 for count in prompts)


def test_calls_that_share_a_prompt_go_to_others_once_their_server_is_overloaded():
    servers = [Scripted() for _ in range(3)]

    async def scene() -> None:
        gate = asyncio.Event()
        for server in servers:
            server.gate = gate
        teacher = SpreadTeacher(servers)  # type: ignore[arg-type]
        calls = [asyncio.create_task(ask(teacher)) for _ in range(30)]
        await asyncio.sleep(0.01)
        gate.set()
        await asyncio.gather(*calls)

    asyncio.run(scene())
    # 1.25 times 30 calls on 3 servers is 12.5: at most 13 on one.
    assert max(counts(servers)) <= 13
    assert min(counts(servers)) >= 30 - 2 * 13


def test_no_server_has_many_more_calls_than_another():
    servers = [Scripted() for _ in range(4)]

    async def scene() -> None:
        gate = asyncio.Event()
        for server in servers:
            server.gate = gate
        teacher = SpreadTeacher(servers)  # type: ignore[arg-type]
        calls = [asyncio.create_task(ask(teacher, number)) for number in range(64)]
        await asyncio.sleep(0.01)
        gate.set()
        await asyncio.gather(*calls)

    asyncio.run(scene())
    assert max(counts(servers)) <= 20  # 1.25 times 16


def test_the_order_of_preference_is_that_of_the_config_and_not_of_addresses():
    """A server that the run starts has another port each time."""
    firsts = []
    for _ in range(2):
        servers = [Scripted() for _ in range(3)]
        teacher = SpreadTeacher(servers)  # type: ignore[arg-type]
        asyncio.run(ask(teacher, 7))
        firsts.append(counts(servers))
    assert firsts[0] == firsts[1]


# Suspended servers


def test_a_refused_connection_moves_the_call_on_without_an_error():
    servers = [Scripted(refused_connection()), Scripted()]

    async def scene() -> list[str]:
        teacher = SpreadTeacher(servers)  # type: ignore[arg-type]
        return [await ask(teacher, number) for number in range(20)]

    assert set(asyncio.run(scene())) == {"60"}
    assert counts(servers) == [1, 20]


def test_a_call_that_may_have_been_billed_is_for_the_ledger_to_repeat_at_once():
    servers = [Scripted(RetryableCall("http_429", slow_down=True, retry_after=30.0, cost="query")), Scripted()]

    async def scene() -> list[RetryableCall]:
        teacher = SpreadTeacher(servers)  # type: ignore[arg-type]
        found = []
        for number in range(10):
            try:
                await teacher.complete(chat(number), Generation(), 0)
            except RetryableCall as error:
                found.append(error)
        return found

    [error] = asyncio.run(scene())
    # The window keeps its width: the other server has not complained.
    assert (error.retry_after, error.slow_down) == (0.0, False)
    assert len(servers[0].asked) == 1


def test_a_single_bad_reply_puts_no_server_out_of_use_and_three_in_a_row_do():
    bad = Scripted(RetryableCall("invalid_json"))

    async def scene(times: int) -> int:
        teacher = SpreadTeacher([bad, Scripted()])  # type: ignore[arg-type, list-item]
        for number in range(times):
            await ask(teacher, number)
        return len(bad.asked)

    assert asyncio.run(scene(50)) == 3


def test_a_server_that_is_out_is_tried_by_one_call_after_breaks_that_double():
    clock, bad, good = Clock(), Scripted(refused_connection()), Scripted()

    async def scene() -> list[int]:
        teacher = SpreadTeacher([bad, good], clock)  # type: ignore[list-item]
        tried = []
        for second in range(16):
            clock.now = 1_000.0 + second
            before = len(bad.asked)
            for number in range(20):
                await ask(teacher, number)
            tried += [second] * (len(bad.asked) - before)
        return tried

    # Suspended at 0; it returns and is suspended again after 1, 2, 4 and 8 seconds.
    assert asyncio.run(scene()) == [0, 1, 3, 7, 15]


def test_a_server_that_is_back_gets_its_share_again():
    clock, once, good = Clock(), Scripted(refused_connection()), Scripted()

    async def scene() -> None:
        teacher = SpreadTeacher([once, good], clock)  # type: ignore[list-item]
        for number in range(20):
            await ask(teacher, number)
        once.error = None
        clock.now += 1
        for number in range(20):
            await ask(teacher, number)

    asyncio.run(scene())
    assert 5 <= len(once.asked) <= 16  # 1 refused, 1 trial, and half of the 19 that prefer it


def test_one_call_alone_tries_a_server_that_was_out():
    clock, slow, good = Clock(), Scripted(refused_connection()), Scripted()

    async def scene() -> int:
        teacher = SpreadTeacher([slow, good], clock)  # type: ignore[list-item]
        for number in range(20):
            await ask(teacher, number)
        slow.error, slow.gate = None, asyncio.Event()
        clock.now += 1
        calls = [asyncio.create_task(ask(teacher, number)) for number in range(20)]
        await asyncio.sleep(0.01)
        tried = len(slow.asked) - 1
        slow.gate.set()
        await asyncio.gather(*calls)
        return tried

    assert asyncio.run(scene()) == 1


def test_with_all_servers_out_the_error_is_that_of_a_single_server_that_is_down():
    servers = [Scripted(refused_connection()), Scripted(refused_connection())]

    async def scene() -> RetryableCall:
        teacher = SpreadTeacher(servers)  # type: ignore[arg-type]
        await ask(teacher)
        with pytest.raises(RetryableCall) as caught:
            await teacher.complete(chat(1), Generation(), 0)
        return caught.value

    error = asyncio.run(scene())
    assert (error.reason, error.cost, error.slow_down, error.retry_after) == ("connection", "none", True, None)


def test_a_refused_prompt_shows_that_its_server_works():
    clock, server, good = Clock(), Scripted(refused_connection()), Scripted()

    async def scene() -> None:
        teacher = SpreadTeacher([server, good], clock)  # type: ignore[list-item]
        for number in range(20):
            await ask(teacher, number)
        server.error = RefusedCall("content_filter")
        clock.now += 1
        for number in range(20):
            await ask(teacher, number)

    asyncio.run(scene())
    assert len(server.asked) > 5


# Over HTTP


def several(*servers: FakeServer, **settings: Any) -> OpenAIModel:
    return OpenAIModel(base_url=[server.base_url for server in servers], model="fake-model", timeout=5, **settings)


def replies(settings: OpenAIModel, calls: int = 40) -> list[Any]:
    async def scene() -> list[Any]:
        teacher = teachers.open_teacher(settings)
        try:
            return await asyncio.gather(
                *(teacher.complete(chat(number), Generation(), 0) for number in range(calls)), return_exceptions=True
            )
        finally:
            await teacher.close()

    return asyncio.run(scene())


def test_three_servers_share_the_calls():
    with ExitStack() as stack:
        servers = [stack.enter_context(FakeServer()) for _ in range(3)]
        assert all(isinstance(reply, Reply) for reply in replies(several(*servers), 60))
        assert [server.count <= 25 for server in servers] == [True] * 3  # 1.25 times 20
        assert sum(server.count for server in servers) == 60


def test_each_key_goes_to_its_own_server_and_several_keys_share_one(monkeypatch):
    for name in ("A", "B"):
        monkeypatch.setenv(f"KEY_{name}", f"sk-of-{name}-0123456789abcdef")
    with FakeServer(api_key="sk-of-A-0123456789abcdef") as a, FakeServer(api_key="sk-of-B-0123456789abcdef") as b:
        assert all(isinstance(reply, Reply) for reply in replies(several(a, b, api_key_env=["KEY_A", "KEY_B"])))
    with FakeServer() as server:
        settings = OpenAIModel(base_url=server.base_url, model="fake-model", api_key_env=["KEY_A", "KEY_B"])
        assert all(isinstance(reply, Reply) for reply in replies(settings))
        used = Counter(call.fields["authorization"] for call in server.calls)
    assert sorted(used) == ["Bearer sk-of-A-0123456789abcdef", "Bearer sk-of-B-0123456789abcdef"]
    assert max(used.values()) <= 25


def test_a_missing_key_of_one_server_is_told_before_any_is_asked(monkeypatch):
    monkeypatch.setenv("KEY_A", "sk-of-A-0123456789abcdef")
    monkeypatch.delenv("KEY_B", raising=False)
    settings = OpenAIModel(base_url=["http://127.0.0.1:1/v1", "http://elsewhere.invalid/v1"], api_key_env=["KEY_A", "KEY_B"])
    with pytest.raises(ConfigError, match=r"KEY_B is not set, and http://elsewhere\.invalid/v1 needs"):
        check(settings)


def test_a_server_without_the_model_ends_the_run_with_its_address():
    with FakeServer() as one, FakeServer(models=["another"]) as other:
        found = [one for one in replies(several(one, other)) if not isinstance(one, Reply)]
        assert {type(error) for error in found} == {ServiceError}
        assert all(f"{other.base_url} does not know the model 'fake-model'" in str(error) for error in found)


def test_a_server_that_is_away_at_the_start_is_told_and_the_others_are_used(capsys):
    with FakeServer() as one, FakeServer() as other:
        settings = several(one, other)
        other.__exit__()
        assert check(settings) == settings
        assert f"the teacher at {other.base_url} cannot be reached" in capsys.readouterr().err.replace("\n", " ")
        assert all(isinstance(reply, Reply) for reply in replies(settings))


def test_servers_that_are_all_away_end_the_run_before_it_begins():
    settings = OpenAIModel(base_url=["http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"])
    with pytest.raises(ServiceError, match="cannot be reached"):
        check(settings)


def test_two_ways_to_write_one_address_are_two_endpoints_of_it(monkeypatch):
    for name in "ABC":
        monkeypatch.setenv(name, "sk-recognisable-0123456789abcdef")
    with FakeServer(admit=only_below("/v1")) as one, FakeServer() as other:
        urls = [one.base_url, one.base_url.removesuffix("/v1"), other.base_url]
        settings = check(OpenAIModel(base_url=urls, model="fake-model", api_key_env=["A", "B", "C"]))
        assert len(settings.endpoints) == 3
        assert all(isinstance(reply, Reply) for reply in replies(settings))


def test_each_address_is_corrected_by_itself():
    with FakeServer(admit=only_below("/v1")) as one, FakeServer() as other:
        settings = OpenAIModel(base_url=[one.base_url.removesuffix("/v1"), other.base_url])
        assert check(settings).base_url == [one.base_url, other.base_url]


@pytest.mark.parametrize("kind", ["http_500", "http_429"])
def test_a_server_that_only_fails_gets_three_calls_at_most_and_a_few_to_try_it(kind):
    with FakeServer() as good, FakeServer(faults=[Fault(kind)]) as bad:
        settings = several(good, bad)

        async def scene() -> None:
            teacher = teachers.open_teacher(settings)
            for number in range(60):
                try:
                    await teacher.complete(chat(number), Generation(), 0)
                except RetryableCall:  # the run's own attempt may reach the same server twice while it is in use
                    while await ask(teacher, number) == kind:
                        pass
            await teacher.close()

        asyncio.run(scene())
    assert bad.count <= 3 + 2
    assert good.answered == 60


def test_several_answers_of_one_call_come_from_the_prompts_own_server():
    with ExitStack() as stack:
        profiles = [Several(), Several()]
        servers = [stack.enter_context(FakeServer(profile)) for profile in profiles]
        settings = OpenAIModel(base_url=[server.base_url for server in servers], model="fake-model", samples_per_call=3)

        async def scene() -> list[Any]:
            teacher: Any = teachers.open_teacher(settings)
            assert isinstance(teacher, teachers.SeveralAtOnce)
            try:
                return [reply.text for reply in await teacher.complete_several(chat(6), Generation(), 3)]
            finally:
                await teacher.close()

        first = asyncio.run(scene())
        assert len(set(first)) == 3
        assert set(asyncio.run(scene())).isdisjoint(first)
    assert sorted(profile.asked for profile in profiles) == [[], [3, 3]]
