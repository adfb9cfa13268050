"""The window of open calls: never more than allowed, halved by a burst of complaints, restored one by one."""

from __future__ import annotations

import asyncio

import pytest

from axolotl_synthetic.pipelines.window import Window


async def enter(window: Window, count: int) -> list[asyncio.Task[None]]:
    """Return this many tasks that want a slot; a task keeps its slot until it is cancelled."""

    async def hold() -> None:
        async with window:
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(hold()) for _ in range(count)]
    await settle()
    return tasks


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def leave(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await settle()


def run(coroutine: object) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 10))  # type: ignore[arg-type]


def test_no_more_than_the_window_are_in_and_the_next_enters_when_one_leaves():
    async def case() -> None:
        window = Window(2)
        first, *_ = await enter(window, 3)
        assert window._open == 2
        await leave(first)
        assert (window._open, len(window._waiting)) == (2, 0)

    run(case())


def test_one_complaint_halves_the_window():
    window = Window(64)
    window.complained(now=100.0)
    assert window.limit == 32


def test_complaints_of_one_burst_count_once_and_a_second_later_again():
    window = Window(64)
    for now in (100.0, 100.1, 100.9, 101.0):
        window.complained(now=now)
    assert window.limit == 16


def test_no_number_of_complaints_closes_the_window():
    window = Window(4)
    for now in range(100):
        window.complained(now=float(now))
    assert window.limit == 1


def test_a_whole_window_of_successes_opens_one_more_place():
    window = Window(8)
    window.complained(now=100.0)
    assert window.limit == 4
    # 4 + 1/4 + 1/4.25 + …: a little less than 1 after four, more than 1 after five.
    for _ in range(5):
        window.succeeded()
    assert window.limit == 5


def test_it_recovers_to_what_is_allowed_and_no_further():
    window = Window(8)
    window.complained(now=100.0)
    for _ in range(1000):
        window.succeeded()
    assert window.limit == 8


def test_those_that_are_in_when_it_shrinks_stay_and_nobody_enters_until_enough_have_left():
    async def case() -> None:
        window = Window(4)
        tasks = await enter(window, 5)
        window.complained()
        assert (window.limit, window._open) == (2, 4)
        await leave(tasks[0])
        await leave(tasks[1])
        assert (window._open, len(window._waiting)) == (2, 1)
        await leave(tasks[2])
        assert (window._open, len(window._waiting)) == (2, 0)

    run(case())


def test_who_gave_up_waiting_takes_no_place():
    async def case() -> None:
        window = Window(1)
        tasks = await enter(window, 3)
        await leave(tasks[1])
        await leave(tasks[0])
        assert window._open == 1
        assert not tasks[2].done()

    run(case())


@pytest.mark.parametrize("after_turns", range(4))
def test_who_is_cancelled_while_a_place_is_handed_over_gives_it_on(after_turns):
    async def case() -> None:
        window = Window(1)
        tasks = await enter(window, 3)
        tasks[0].cancel()
        for _ in range(after_turns):
            await asyncio.sleep(0)
        tasks[1].cancel()
        await settle()
        assert window._open == 1
        assert not tasks[2].done()

    run(case())
