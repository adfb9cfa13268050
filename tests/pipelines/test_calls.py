"""One call from question to durable reply, with a fake teacher and a real ledger: retries, admission, hard budgets, the end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from axolotl_synthetic.config import Budget, Generation, OpenAIModel
from axolotl_synthetic.errors import CallFailed, RefusedCall, RetryableCall, ServiceError
from axolotl_synthetic.ledger import Call, Ledger
from axolotl_synthetic.pipelines import calls as calls_module
from axolotl_synthetic.pipelines.admission import BudgetReached, Stopped
from axolotl_synthetic.pipelines.calls import Asked, Calls, Chain
from axolotl_synthetic.records import Message, Reply, Request

Does = Callable[[int, str], Any]
# Most tokens of one of these calls: 8 bytes of a question, 16 for its turn, 16 for the chat and 50 new tokens.
WORST = 90


class Teacher:
    """A teacher with given behaviour: `does` gets the number of the call and the question, and returns seconds to take or raises."""

    def __init__(self, does: Does | None = None) -> None:
        self.does = does or (lambda number, question: 0)
        self.asked: list[str] = []
        self.open = self.peak = 0

    async def complete(self, messages: Sequence[Message], generation: Generation, sample: int) -> Reply:
        question = messages[-1]["content"]
        number = len(self.asked)
        self.asked.append(question)
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            did = self.does(number, question)
            if isinstance(did, Reply):
                return did
            await asyncio.sleep(did)
            return Reply(f"answer to {question}", "stop", 20, 10, 0.01)
        finally:
            self.open -= 1

    async def close(self) -> None:
        pass


def request(number: int, sample: int = 0) -> Request:
    return Request("answer", "teacher", ({"role": "user", "content": f"{number:08d}"},), sample)


def play(
    path: Path,
    teacher: Teacher,
    scene: Callable[[Calls], Awaitable[Any]],
    *,
    budget: Budget | None = None,
    retries: int = 3,
    concurrency: int = 8,
) -> Any:
    """Run a scene with `Calls` on the ledger at `path`, and close everything."""
    budget = budget or Budget(samples=1000)
    settings = OpenAIModel(retries=retries, concurrency=concurrency, generation=Generation(max_new_tokens=50))

    async def whole() -> Any:
        async with AsyncExitStack() as stack:
            reader, writer = stack.enter_context(Ledger(path)), stack.enter_context(Ledger(path, budget))
            asked = Asked(settings, teacher)
            calls = Calls(reader, writer, {"teacher": asked, "augmenter": asked}, budget)
            stack.push_async_callback(calls.close)
            return await scene(calls)

    return asyncio.run(asyncio.wait_for(whole(), 30))


async def chained(calls: Calls, numbers: Sequence[int]) -> str:
    """Run a candidate that asks these in turn; return how it ended."""
    chain = calls.chain(len(numbers))
    try:
        for number in numbers:
            await chain.ask(request(number))
    except BudgetReached as reached:
        return f"{'half' if chain.began else 'denied'} by {reached.args[0]}"
    except Stopped:
        return "stopped"
    except CallFailed as error:
        return error.reason
    finally:
        chain.close()
    return "whole"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "BACKOFF", lambda state: 0.001)


def fails(times: int, error: Exception) -> Does:
    def does(number: int, question: str) -> int:
        if number < times:
            raise error
        return 0

    return does


# Retries


def test_a_call_that_may_succeed_later_is_asked_again_and_each_time_is_in_the_ledger(path):
    teacher = Teacher(fails(2, RetryableCall("http_500", cost="unknown")))

    async def scene(calls: Calls) -> None:
        assert (await calls.chain(1).ask(request(1))).text == "answer to 00000001"

    play(path, teacher, scene)
    with Ledger(path) as ledger:
        assert ledger.totals().queries["total"] == 3
        assert ledger.totals().queries["retried"] == 2


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_a_call_is_asked_as_often_as_the_settings_say_and_then_fails_with_its_reason(path, retries):
    teacher = Teacher(fails(100, RetryableCall("timeout")))

    async def scene(calls: Calls) -> str:
        return await chained(calls, [1])

    assert play(path, teacher, scene, retries=retries) == "timeout"
    assert len(teacher.asked) == 1 + retries


def test_a_call_that_asking_again_cannot_help_is_asked_once(path):
    teacher = Teacher(fails(100, RefusedCall("content_filter", cost="query")))

    async def scene(calls: Calls) -> str:
        return await chained(calls, [1])

    assert play(path, teacher, scene) == "content_filter"
    assert len(teacher.asked) == 1


def test_the_wait_is_what_the_server_asked_for_and_never_longer_than_five_minutes(path, monkeypatch):
    waits: list[float] = []

    async def sleep(self: Calls, seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(Calls, "_sleep", sleep)
    asked_for = [7.0, 100_000.0, None]
    teacher = Teacher(lambda number, _: _raise(RetryableCall("http_429", retry_after=asked_for[number])) if number < 3 else 0)

    async def scene(calls: Calls) -> None:
        await calls.chain(1).ask(request(1))

    play(path, teacher, scene)
    # Up to a second of jitter is added, so that calls with the same delay do not return together.
    assert 7 <= waits[0] <= 8
    assert 300 <= waits[1] <= 301
    assert waits[2] == 0.001


def _raise(error: Exception) -> Any:
    raise error


def test_the_backoff_of_six_retries_outlasts_a_minute(monkeypatch):
    monkeypatch.undo()
    assert sum(1.5 * 2**n for n in range(6)) > 60
    state = type("State", (), {"attempt_number": 6})()
    assert 48 <= calls_module.BACKOFF(state) <= 50


def test_a_reply_of_no_use_is_settled_with_what_was_billed_for_it(path):
    useless = Reply("<think>2 + 2", "length", 20, 50, 0.01)
    teacher = Teacher(fails(100, RefusedCall("empty_reply", "cut off", reply=useless)))

    async def scene(calls: Calls) -> list[str]:
        return await asyncio.gather(*(chained(calls, [number]) for number in range(3)))

    # 70 tokens each: the third is admitted when the first two have given back the 20 that they did not use.
    assert play(path, teacher, scene, budget=Budget(tokens=2 * 70 + WORST)) == ["empty_reply"] * 3
    with Ledger(path) as ledger:
        assert ledger.spent()[:2] == (3, 210)


def test_a_broken_off_reply_is_asked_for_again_and_both_are_paid(path):
    broken = RetryableCall("broken_off", "abort", reply=Reply("half", "abort", 20, 5, 0.01))

    async def scene(calls: Calls) -> str:
        return await chained(calls, [1])

    assert play(path, Teacher(fails(1, broken)), scene) == "whole"
    with Ledger(path) as ledger:
        assert ledger.spent()[:2] == (2, 25 + 30)


def test_who_waits_for_minutes_is_known_until_the_wait_is_over(path, monkeypatch):
    told: list[Any] = []
    looked_at: list[Calls] = []

    async def sleep(self: Calls, seconds: float) -> None:
        told.append(self.waiting())

    monkeypatch.setattr(Calls, "_sleep", sleep)
    monkeypatch.setattr("time.time", lambda: 1_000.0)
    asked_for = [578.0, 2.0]
    teacher = Teacher(lambda number, _: _raise(RetryableCall("http_429", retry_after=asked_for[number])) if number < 2 else 0)

    async def scene(calls: Calls) -> None:
        looked_at.append(calls)
        await calls.chain(1).ask(request(1))
        assert calls.waiting() is None

    play(path, teacher, scene)
    [(number, pause), short] = told
    assert (number, pause.reason) == (1, "http_429")
    assert 1_300 <= pause.until <= 1_301  # at most five minutes
    assert short is None  # two seconds are too short for a message


def test_a_complaint_of_the_server_narrows_its_window(path):
    teacher = Teacher(fails(1, RetryableCall("http_429", cost="query", slow_down=True)))

    async def scene(calls: Calls) -> int:
        await calls.chain(1).ask(request(1))
        return calls.models["teacher"].window.limit

    assert play(path, teacher, scene, concurrency=8) == 4


def test_no_more_calls_are_open_than_allowed(path):
    teacher = Teacher(lambda *_: 0.01)

    async def scene(calls: Calls) -> list[str]:
        return await asyncio.gather(*(chained(calls, [number]) for number in range(60)))

    assert play(path, teacher, scene, concurrency=7) == ["whole"] * 60
    assert teacher.peak == 7


# Reuse


def test_a_reply_of_an_earlier_run_is_not_asked_for_again(path):
    async def scene(calls: Calls) -> int:
        await chained(calls, [1, 2])
        return calls.reused

    assert play(path, Teacher(), scene) == 0
    again = Teacher()
    assert play(path, again, scene, budget=Budget(queries=2)) == 2
    assert again.asked == []


def test_equal_calls_under_way_are_one_and_the_others_count_as_reused(path):
    teacher = Teacher(lambda *_: 0.01)

    async def scene(calls: Calls) -> int:
        assert await asyncio.gather(*(chained(calls, [1]) for _ in range(5))) == ["whole"] * 5
        return calls.reused

    assert play(path, teacher, scene) == 4
    assert len(teacher.asked) == 1


def test_equal_calls_under_way_fail_together(path):
    teacher = Teacher(fails(100, RefusedCall("http_400")))

    async def scene(calls: Calls) -> list[str]:
        return await asyncio.gather(*(chained(calls, [1]) for _ in range(3)))

    assert play(path, teacher, scene) == ["http_400"] * 3
    assert len(teacher.asked) == 1


def test_who_waits_for_an_equal_call_does_not_keep_its_room_from_it(path):
    # Both chains begin with 1 and 2, and end with the same call, which must be asked twice: four calls in total. The retry needs one of the
    # calls
    # promised to the second chain.
    teacher = Teacher(lambda number, question: _raise(RetryableCall("http_500", cost="query")) if number == 2 else 0.01)

    async def scene(calls: Calls) -> list[str]:
        return await asyncio.gather(chained(calls, [1, 9]), chained(calls, [2, 9]))

    assert play(path, teacher, scene, budget=Budget(queries=4)) == ["whole", "whole"]
    assert len(teacher.asked) == 4


# Budgets


def test_a_candidate_whose_calls_do_not_all_fit_is_not_begun(path):
    teacher = Teacher(lambda *_: 0.001)

    async def scene(calls: Calls) -> list[str]:
        return await asyncio.gather(*(chained(calls, [3 * n, 3 * n + 1, 3 * n + 2]) for n in range(10)))

    # Three chains of three fit into eleven calls; the two remaining ones are for shorter chains.
    assert play(path, teacher, scene, budget=Budget(queries=11)) == ["whole"] * 3 + ["denied by queries"] * 7
    assert len(teacher.asked) == 9


def test_a_shorter_chain_takes_what_a_longer_one_left(path):
    async def scene(calls: Calls) -> list[str]:
        return await asyncio.gather(chained(calls, [1, 2, 3]), chained(calls, [4, 5, 6]), chained(calls, [7]), chained(calls, [8]))

    assert play(path, Teacher(), scene, budget=Budget(queries=5)) == ["whole", "denied by queries", "whole", "whole"]


def test_a_chain_that_ended_early_gives_its_room_to_the_next(path):
    async def scene(calls: Calls) -> list[str]:
        async def early() -> str:
            chain = calls.chain(3)
            await chain.ask(request(1))
            chain.close()
            return "early"

        return await asyncio.gather(early(), chained(calls, [2, 3]))

    assert play(path, Teacher(lambda *_: 0.001), scene, budget=Budget(queries=3)) == ["early", "whole"]


def test_which_candidates_fit_does_not_depend_on_who_is_faster(path, tmp_path):
    def ended(seed: int) -> list[str]:
        draw = random.Random(seed)

        async def scene(calls: Calls) -> list[str]:
            return await asyncio.gather(*(chained(calls, [10 * n + place for place in range(1 + n % 3)]) for n in range(20)))

        teacher = Teacher(lambda *_: draw.random() / 200)
        return play(tmp_path / f"{seed}.sqlite", teacher, scene, budget=Budget(tokens=700))

    first = ended(0)
    assert first.count("whole") > 5
    assert all(ended(seed) == first for seed in range(1, 5))


def test_tokens_that_were_reserved_and_not_used_are_used_by_others(path):
    teacher = Teacher(lambda *_: 0.001)

    async def scene(calls: Calls) -> list[str]:
        return await asyncio.gather(*(chained(calls, [number]) for number in range(40)))

    ended = play(path, teacher, scene, budget=Budget(tokens=600))
    # Each uses 30 of at most 90: the last one admitted is the 18th, when 17 * 30 + 90 = 600 are reserved.
    assert ended == ["whole"] * 18 + ["denied by tokens"] * 22
    with Ledger(path) as ledger:
        assert ledger.spent()[:2] == (18, 540)


@pytest.mark.parametrize(
    "budget",
    [Budget(queries=50), Budget(tokens=2500), Budget(queries=50, tokens=2500)],
    ids=["queries", "tokens", "both"],
)
@pytest.mark.parametrize("draw", range(5))
def test_budgets_are_hard_under_concurrency_and_failures(path, budget, draw):
    chance = random.Random(draw)
    used = {"queries": 0, "tokens": 0}

    def does(number: int, question: str) -> float:
        used["queries"] += 1
        used["tokens"] += 30
        roll = chance.random()
        if roll < 0.1:
            used["queries"] -= 1
            used["tokens"] -= 30
            raise RetryableCall("connection", cost="none", slow_down=True)
        if roll < 0.2:
            used["tokens"] -= 30
            raise RetryableCall("http_429", cost="query", slow_down=True)
        if roll < 0.3:
            raise RetryableCall("http_500", cost="unknown")
        if roll < 0.35:
            raise RefusedCall("http_400", cost="query")
        return chance.random() / 200

    async def scene(calls: Calls) -> list[str]:
        return await asyncio.gather(*(chained(calls, [10 * n, 10 * n + 1, 10 * n + 2]) for n in range(60)))

    ended = play(path, Teacher(does), scene, budget=budget, concurrency=16)
    assert "whole" in ended
    assert any(one.startswith("denied") for one in ended)
    assert budget.queries is None or used["queries"] <= budget.queries
    assert budget.tokens is None or used["tokens"] <= budget.tokens
    with Ledger(path) as ledger:
        queries, tokens, _ = ledger.spent()
    assert queries == used["queries"]
    assert budget.tokens is None or tokens <= budget.tokens


@pytest.mark.parametrize("draw", range(3))
def test_a_server_that_bills_more_than_it_was_asked_for_passes_a_limit_by_the_calls_under_way_alone(path, draw):
    chance = random.Random(draw)
    # 20 + 400 tokens, although only 90 were reserved.
    teacher = Teacher(lambda *_: Reply("4", "stop", 20, 400, 0.01))
    complete = teacher.complete

    async def slowly(*arguments: Any) -> Reply:
        await asyncio.sleep(chance.random() / 100)
        return await complete(*arguments)

    teacher.complete = slowly  # type: ignore[method-assign]

    async def scene(calls: Calls) -> list[str]:
        return await asyncio.gather(*(chained(calls, [number]) for number in range(100)))

    ended = play(path, teacher, scene, budget=Budget(tokens=20_000), concurrency=8)
    # The eight calls sent before the first reply reveals this are far from the limit, and no later call exceeds it. 47 * 420 = 19,740, and
    # one more call can be 90 + 350 tokens.
    assert ended.count("whole") in (46, 47)
    with Ledger(path) as ledger:
        assert ledger.spent()[1] <= 20_000


def test_a_retry_counts_and_is_not_made_without_a_query_for_it(path):
    teacher = Teacher(fails(100, RetryableCall("http_500", cost="unknown")))

    async def scene(calls: Calls) -> str:
        return await chained(calls, [1])

    assert play(path, teacher, scene, budget=Budget(queries=2), retries=6) == "half by queries"
    assert len(teacher.asked) == 2


def test_a_chain_that_was_begun_comes_before_one_that_was_not(path):
    teacher = Teacher(lambda number, question: _raise(RetryableCall("http_500", cost="query")) if number == 0 else 0.002)

    async def scene(calls: Calls) -> list[str]:
        return await asyncio.gather(chained(calls, [1, 2, 3]), chained(calls, [4, 5]))

    # The second waits from the start. The retry gives back two promises and wants three: it is admitted first.
    assert play(path, teacher, scene, budget=Budget(queries=4)) == ["whole", "denied by queries"]


# The end


def test_stopping_lets_calls_under_way_end_and_no_other_leave(path):
    teacher = Teacher(lambda *_: 0.05)

    async def scene(calls: Calls) -> list[str]:
        tasks = [asyncio.create_task(chained(calls, [2 * number, 2 * number + 1])) for number in range(4)]
        await asyncio.sleep(0.03)
        calls.stop()
        return await asyncio.gather(*tasks)

    assert play(path, teacher, scene, concurrency=2) == ["stopped"] * 4
    with Ledger(path) as ledger:
        assert ledger._db.execute("SELECT outcome, count(*) FROM calls GROUP BY outcome").fetchall() == [("ok", 2)]


def test_stopping_ends_a_wait_before_a_retry_and_a_wait_for_room(path, monkeypatch):
    monkeypatch.setattr(calls_module, "BACKOFF", lambda state: 60.0)
    teacher = Teacher(lambda number, question: _raise(RetryableCall("http_500")) if question.endswith("1") else 0.05)

    async def scene(calls: Calls) -> list[str]:
        tasks = [asyncio.create_task(chained(calls, numbers)) for numbers in ([1, 2], [3], [4, 5])]
        await asyncio.sleep(0.02)
        calls.stop()
        return await asyncio.gather(*tasks)

    assert play(path, teacher, scene, budget=Budget(queries=4)) == ["stopped", "whole", "stopped"]


def test_an_error_that_ends_the_run_reaches_the_candidate_and_the_ledger(path):
    async def scene(calls: Calls) -> None:
        with pytest.raises(ServiceError, match="refuses the key"):
            await calls.chain(1).ask(request(1))

    play(path, Teacher(fails(1, ServiceError("refuses the key"))), scene)
    with Ledger(path) as ledger:
        assert ledger.failures() == {"refuses the key": 1}


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), OverflowError("too large")])
def test_a_teacher_that_breaks_is_no_one_elses_failure(path, error):
    teacher = Teacher(lambda number, question: _raise(error) if question.endswith("1") else 0)

    async def scene(calls: Calls) -> list[Any]:
        return await asyncio.gather(*(chained(calls, [number]) for number in range(4)), return_exceptions=True)

    ended = play(path, teacher, scene)
    assert [ended[0], *ended[2:]] == ["whole"] * 3
    assert ended[1] is error
    with Ledger(path) as ledger:
        assert ledger.failures() == {type(error).__name__: 1}


def test_a_reply_that_no_file_can_hold_fails_alone(path):
    teacher = Teacher(lambda number, question: Reply("half of a pair: \ud83d", "stop", 5, 5) if question.endswith("1") else 0)

    async def scene(calls: Calls) -> list[str]:
        return await asyncio.gather(*(chained(calls, [number]) for number in range(4)))

    assert play(path, teacher, scene) == ["whole", "no_text", "whole", "whole"]


def test_a_ledger_that_breaks_is_told_to_all_who_wait(path, monkeypatch):
    def broken(self: Ledger, one: Call) -> int:
        raise OverflowError("a bug")

    monkeypatch.setattr(Ledger, "_send", broken)

    async def scene(calls: Calls) -> list[Any]:
        return await asyncio.gather(*(chained(calls, [number]) for number in range(4)), return_exceptions=True)

    assert [type(one) for one in play(path, Teacher(), scene)] == [OverflowError] * 4


def test_a_question_that_no_file_can_hold_is_nobody_elses_failure(path):
    async def scene(calls: Calls) -> list[Any]:
        chain: Chain = calls.chain(1)
        odd = Request("answer", "teacher", ({"role": "user", "content": "half of a pair: \ud83d"},))
        return await asyncio.gather(chain.ask(odd), *(chained(calls, [number]) for number in range(3)), return_exceptions=True)

    ended = play(path, Teacher(), scene)
    assert isinstance(ended[0], TypeError)
    assert ended[1:] == ["whole"] * 3
