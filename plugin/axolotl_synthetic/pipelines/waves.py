"""Waves: the calls of one model wait here until every candidate of the run waits, then go out together in batches.

So a run proceeds in waves by the depth of its chains. Strategies, tasks and checks need not know: `calls.py` reserves a call as usual, but
awaits its reply here instead of asking a server. `delivery.py` brings a batch to its provider and back.

A batch is in the ledger before any of it leaves, so that nothing is paid for twice, whenever a run is killed:
  before it is created       its calls never left, and the next run releases their reservations;
  while it is being created  the next run looks for it at the provider, and picks it up or learns that it was never created;
  later                      the next run picks it up: equal calls wait for its results.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from axolotl_synthetic.batch_ledger import Batch, BatchLedger, new_batch
from axolotl_synthetic.config import OpenAIModel
from axolotl_synthetic.errors import CallFailed, RetryableCall, ServiceError, SyntheticError
from axolotl_synthetic.ledger import Call
from axolotl_synthetic.pipelines.admission import Stopped
from axolotl_synthetic.pipelines.delivery import Delivery, NotMade
from axolotl_synthetic.records import Reply
from axolotl_synthetic.teachers import open_batches
from axolotl_synthetic.teachers.batches import AskAgain, Result, Sent, Stand, TooMuch, without_wait

# Candidates that may be open at once; the prompts of more would fill the memory.
MOST_OPEN = 50_000
# Send a wave when nothing has changed for STILL looks, LOOK_SECONDS apart.
STILL, LOOK_SECONDS = 3, 0.05


class AskDirectly(Exception):
    """Signal to make a call on its own, at full price: its wave is too small for a batch. Its reservation has been released."""


@dataclass(eq=False)
class Parked:
    """A call that waits for its reply."""

    call_id: int
    call: Call
    reply: asyncio.Future[Reply] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def sent(self) -> Sent:
        return Sent(self.call.request.messages, self.call.generation, self.call.request.sample)

    def end(self, reply: Reply | Exception) -> None:
        if self.reply.done():
            return
        if isinstance(reply, Exception):
            self.reply.set_exception(reply)
            self.reply.exception()  # mark it retrieved: there may be no waiter
        else:
            self.reply.set_result(reply)


class Waves:
    """Batches of one model.

    Args:
        settings: the model, with `batch`.
        ledger: a connection only for this object.
        stopping: set when the run ends.
        is_idle: returns whether every candidate of the run waits for a batch or for what a batch will free.

    Attributes:
        waiting: number of candidates that wait here.
    """

    def __init__(self, settings: OpenAIModel, ledger: BatchLedger, stopping: asyncio.Event, is_idle: Callable[[], bool]) -> None:
        assert settings.batch is not None and settings.batch.protocol is not None
        self._settings = settings
        self._protocol = settings.batch.protocol
        self._poll = settings.batch.poll
        self._smallest = settings.batch.smallest
        self._client = open_batches(settings)
        self._ledger = ledger
        self._delivery = Delivery(settings, self._client, ledger, stopping)
        self._stopping = stopping
        self._is_idle = is_idle
        self._parked: list[Parked] = []
        self._queue: deque[Parked] = deque()
        self._every: set[Parked] = set()
        self._carried: set[asyncio.Task[None]] = set()
        self._most = self._client.most_calls
        # When the provider had no room: the number of calls that did not fit, and its message.
        self._full: tuple[int, str] | None = None
        self._tries = 0
        self._over = False
        self.waiting = 0

    async def complete(self, call_id: int, call: Call) -> Reply:
        """Wait for a call's reply.

        Raises:
            Stopped: if the run ends first; the call is still in its batch, or its reservation was released.
            AskDirectly: if the call must not go out in a batch.
            CallFailed, ServiceError: as a teacher's `complete`.
        """
        if self._over or self._stopping.is_set():
            await self._delivery.write(self._ledger.release, [call_id])
            raise Stopped
        parked = Parked(call_id, call)
        self._every.add(parked)
        self._parked.append(parked)
        self.waiting += 1
        try:
            return await parked.reply
        finally:
            self._every.discard(parked)
            self.waiting -= 1

    def pick_up(self, batch: Batch, calls: Sequence[tuple[int, Call]]) -> list[Parked]:
        """Pick up a batch of an earlier run; return its unsettled calls, which wait for its results."""
        self._client.spelling = batch.spelling
        parked = [Parked(call_id, call) for call_id, call in calls]
        self._every.update(parked)
        self._carry(self._take_up(batch, parked))
        return parked

    async def run(self) -> None:
        """Send waves until the run ends; whatever ends it, no call is left waiting.

        Raises:
            SyntheticError: if no batch can be sent or read any more.
        """
        still, before = 0, (0, False)
        try:
            while not self._stopping.is_set():
                for task in [task for task in self._carried if task.done()]:
                    self._carried.discard(task)
                    task.result()
                now = (len(self._parked), self._is_idle())
                still = still + 1 if now == before else 0
                before = now
                if self._parked and now[1] and still >= STILL:
                    await self._begin_wave()
                if self._queue:
                    await self._send()
                await self._delivery.sleep(LOOK_SECONDS)
        except Stopped:
            pass
        finally:
            await self._let_go()

    async def close(self) -> None:
        await self._delivery.close()

    # Sending

    async def _begin_wave(self) -> None:
        if len(self._parked) >= self._smallest:
            self._queue.extend(self._parked)
            self._parked.clear()
        elif not self._carried:  # else open batches may bring more calls
            few, self._parked = self._parked, []
            await self._take_back(few, AskDirectly())

    async def _send(self) -> None:
        """Send the queue in as many batches as the provider's limits require, until it has no more room."""
        if self._full is not None:
            (calls, said), self._full = self._full, None
            await self._make_room(calls, said)
        while self._queue and self._full is None:
            token = secrets.token_hex(8)
            some, lines = self._next(token)
            batch = new_batch(token, self._protocol, self._settings.model, self._settings.url, len(some), self._client.spelling)
            try:
                batch = await self._delivery.make(batch, [one.call_id for one in some], lines)
            except TooMuch as error:
                self._queue.extendleft(reversed(some))
                self._full = len(some), str(error)
            except NotMade as error:
                self._queue.extendleft(reversed(some))
                await self._try_later(f"makes no batch ({error})")
            else:
                self._tries = 0
                self._carry(self._follow(batch, some))

    def _next(self, token: str) -> tuple[list[Parked], list[bytes]]:
        """Take from the queue as many calls as fit into one batch."""
        some: list[Parked] = []
        lines: list[bytes] = []
        size = 0
        while self._queue and len(some) < self._most:
            line = self._client.line(f"{token}-{self._queue[0].call_id}", self._queue[0].sent)
            size += len(line) + 1
            if lines and size > self._client.most_bytes:
                break
            some.append(self._queue.popleft())
            lines.append(line)
        return some, lines

    async def _make_room(self, calls: int, said: str) -> None:
        """Wait until one of our batches has ended; without any, make the next ones smaller, or wait for the account's other batches."""
        if self._carried:
            wait = asyncio.create_task(self._stopping.wait())
            await asyncio.wait({*self._carried, wait}, return_when=asyncio.FIRST_COMPLETED)
            wait.cancel()
        elif calls > 1:
            self._most = max(1, calls // 2)
            await self._delivery.tell(f"{self._settings.url} took no batch of {calls:,} calls ({said}): they went out in smaller ones")
        else:
            await self._try_later(f"takes no batch, not even of one call ({said})")

    async def _try_later(self, problem: str) -> None:
        if self._tries >= self._settings.retries:
            raise ServiceError(f"{self._settings.url} {problem}; run the same command again later: what was paid for is kept")
        self._tries += 1
        await self._delivery.sleep(self._poll)

    # Open batches

    def _carry(self, work: Coroutine[Any, Any, None]) -> None:
        self._carried.add(asyncio.create_task(work))

    async def _take_up(self, batch: Batch, parked: Sequence[Parked]) -> None:
        """Follow a batch of an earlier run, or end its calls if it was never created."""
        found = await self._delivery.found_again(batch)
        if found is not None:
            return await self._follow(found, parked)
        await self._take_back(parked, Stopped())

    async def _take_back(self, parked: Sequence[Parked], reason: Exception) -> None:
        """Release the reservations of calls that never left, and end their wait."""
        await self._delivery.write(self._ledger.release, [one.call_id for one in parked])
        for one in parked:
            one.end(reason)

    async def _follow(self, batch: Batch, parked: Sequence[Parked]) -> None:
        """Wait for a batch's end, and give its results to the calls."""
        stand = await self._delivery.ended(batch)
        if stand is None:
            for one in parked:
                one.end(without_wait(RetryableCall("batch_gone", "the provider has no results any more")))
        elif stand.ended in ("full", "refused"):
            await self._delivery.write(self._ledger.note, batch.id, state="void")
            self._queue.extendleft(reversed(parked))
            if stand.ended == "full":
                self._full = len(parked), stand.said
                return
            raise ServiceError(
                f"{self._settings.url} refuses the batch {stand.id} ({stand.said}); correct the config, or remove `batch`, and run"
                " the same command again: nothing of this batch was done"
            )
        else:
            await self._hand_out(batch, stand, parked)
        await self._delivery.write(self._ledger.note, batch.id, state="ended")

    async def _hand_out(self, batch: Batch, stand: Stand, parked: Sequence[Parked]) -> None:
        """Read the results, in any order; a call without one fails by itself."""
        seconds = time.time() - batch.intended
        left = {batch.custom_id(one.call_id): one for one in parked}
        again: list[Parked] = []
        unknown: set[str] = set()

        def take(result: Result) -> None:
            one = left.pop(result.custom_id, None)
            if one is None:
                if not result.custom_id.startswith(f"{batch.token}-"):
                    unknown.add(result.custom_id)
                return
            try:
                one.end(replace(self._client.read(result, one.sent, batch.spelling), seconds=seconds))
            except AskAgain:
                again.append(one)
            except (CallFailed, SyntheticError) as error:
                one.end(error)
            except Exception as error:  # one malformed line must not affect others
                one.end(without_wait(RetryableCall("batch_no_result", f"its line cannot be read: {type(error).__name__}")))

        await self._delivery.each_result(stand, take)
        if unknown:
            await self._delivery.tell(
                f"the batch {stand.id} came with {len(unknown):,} results of calls that are not in it, which were left out"
            )
        untouched = stand.ended in ("expired", "cancelled")
        for one in left.values():
            reason = f"batch_{stand.ended}" if untouched else "batch_no_result"
            one.end(without_wait(RetryableCall(reason, "the batch's results have no line for it"), "none" if untouched else "unknown"))
        self._parked.extend(again)

    async def _let_go(self) -> None:
        """Leave open batches to their providers, and release calls that were not sent."""
        self._over = True
        for task in self._carried:
            task.cancel()
        if self._carried:
            await asyncio.wait(self._carried)
        with suppress(SyntheticError):  # if it fails, the next run does it
            await self._delivery.write(self._ledger.release, [one.call_id for one in self._every])
        for one in tuple(self._every):
            one.end(Stopped())
