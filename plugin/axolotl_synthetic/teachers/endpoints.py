"""Spreading of one model's calls over several servers, or over several keys for one server.

Calls with the same prompt stay on one server for its prefix cache, while it is not overloaded. Each prompt ranks the servers by rendezvous
hashing (Thaler and Ravishankar, 1998). The first with room gets the call, as in consistent hashing with bounded loads (Mirrokni, Thorup and
Zadimoghaddam, 2018). A failing server is put out of use for a while, until one call to it succeeds. With all servers out of use, calls
fail as they do with a single server that is down.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import orjson

from axolotl_synthetic.config import Generation
from axolotl_synthetic.errors import CallFailed, RefusedCall, RetryableCall
from axolotl_synthetic.records import Message, Reply
from axolotl_synthetic.teachers.openai import OpenAITeacher

Said = TypeVar("Said")
# Open calls of a server may exceed the average by this factor; a higher one keeps more prompts where they are cached.
OVERLOAD = 1.25
# One bad reply may be due to its prompt; this many in a row are the server's fault.
FAILURES = 3
# Seconds out of use; doubled each time that the server fails on its return.
FIRST_BREAK, LONGEST_BREAK = 1.0, 60.0


@dataclass(eq=False)
class Endpoint:
    """One server, and the state of its calls.

    Attributes:
        place: its place in the config, which ranks it: an address may change between runs, as a started server's does.
        open: number of open calls.
        failures: number of consecutive failures.
        breaks: times that it was put out of use since its last success; 0 while it is in use.
        back_at: when it may be tried again, on the clock of `time.monotonic`.
        left_at: when it was put out of use; results of calls that began earlier are ignored.
        is_tried: whether an open call is testing whether it is back.
    """

    teacher: OpenAITeacher
    place: int
    open: int = 0
    failures: int = 0
    breaks: int = 0
    back_at: float = 0.0
    left_at: float = float("-inf")
    is_tried: bool = False

    @property
    def is_in_use(self) -> bool:
        return not self.breaks

    def answered(self, began: float) -> None:
        if began >= self.left_at:
            self.failures = self.breaks = 0

    def failed(self, error: RetryableCall, began: float, now: float) -> None:
        """Count a failure, and put the server out of use if it is the server's fault."""
        if began < self.left_at:
            return
        self.failures += 1
        is_servers_own = error.slow_down or error.reason == "connection" or self.failures >= FAILURES or self.breaks
        if not is_servers_own or error.reply is not None:
            return
        pause = min(LONGEST_BREAK, FIRST_BREAK * 2**self.breaks)
        self.breaks += 1
        self.left_at = now
        self.back_at = now + max(pause, min(LONGEST_BREAK, error.retry_after or 0.0))


class SpreadTeacher:
    """Teacher that spreads calls over several servers; see `teachers.Teacher`."""

    def __init__(self, teachers: Sequence[OpenAITeacher], clock: Callable[[], float] = time.monotonic) -> None:
        self._endpoints = [Endpoint(teacher, place) for place, teacher in enumerate(teachers)]
        self._clock = clock

    async def complete(self, messages: Sequence[Message], generation: Generation, sample: int) -> Reply:
        return await self._asked(messages, lambda teacher: teacher.complete(messages, generation, sample))

    async def complete_several(self, messages: Sequence[Message], generation: Generation, number: int) -> list[Reply | CallFailed]:
        """Ask once for several replies; see `teachers.SeveralAtOnce`."""
        return await self._asked(messages, lambda teacher: teacher.complete_several(messages, generation, number))

    async def _asked(self, messages: Sequence[Message], ask: Callable[[OpenAITeacher], Awaitable[Said]]) -> Said:
        ranked = self._ranked(messages)
        while True:
            endpoint = choose(ranked, self._clock())
            began = self._clock()
            tries = endpoint.is_tried = not endpoint.is_in_use
            endpoint.open += 1
            try:
                said = await ask(endpoint.teacher)
            except RefusedCall:
                endpoint.answered(began)
                raise
            except RetryableCall as error:
                endpoint.failed(error, began, self._clock())
                ranked.remove(endpoint)
                if not any(other.is_in_use for other in ranked):
                    # Fail as a single server that is down would; the servers out of use keep their own times.
                    raise
                if error.cost == "none":
                    continue  # the call never left, so no ledger entry is needed
                if error.reply is None:
                    # The next attempt goes to another server, which need neither wait nor slow down.
                    error.slow_down, error.retry_after = False, 0.0
                raise
            finally:
                endpoint.open -= 1
                endpoint.is_tried = endpoint.is_tried and not tries
            endpoint.answered(began)
            return said

    async def close(self) -> None:
        for endpoint in self._endpoints:
            await endpoint.teacher.close()

    def _ranked(self, messages: Sequence[Message]) -> list[Endpoint]:
        """Return the endpoints in a prompt's order of preference."""
        prompt = hashlib.blake2b(orjson.dumps(list(messages)), digest_size=16).digest()

        def weight(endpoint: Endpoint) -> bytes:
            return hashlib.blake2b(prompt + endpoint.place.to_bytes(4), digest_size=8).digest()

        return sorted(self._endpoints, key=weight)


def choose(ranked: Sequence[Endpoint], now: float) -> Endpoint:
    """Return the endpoint for a call: one due for its test, else the first in use with room, else the one that is back first.

    Args:
        ranked: endpoints in the prompt's order of preference.
        now: time on the clock of their `back_at`.
    """
    # One call at a time tests a server that was out of use.
    if (due := next((one for one in ranked if one.breaks and one.back_at <= now and not one.is_tried), None)) is not None:
        return due
    used = [one for one in ranked if one.is_in_use]
    if not used:
        return min(ranked, key=lambda one: one.back_at)
    room = math.ceil(OVERLOAD * (1 + sum(one.open for one in used)) / len(used))
    return next(one for one in used if one.open < room)
