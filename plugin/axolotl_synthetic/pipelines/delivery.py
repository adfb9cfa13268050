"""One batch at its provider: create it once, find it again after a crash, and poll it until it has ended.

Each step is written to the ledger before the next relies on it. An unreachable provider is retried; when the run ends, methods raise
`Stopped`. `waves.py` decides when a batch is sent and handles its calls; `teachers/batches.py` makes the requests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from axolotl_synthetic.batch_ledger import Batch, BatchLedger
from axolotl_synthetic.config import OpenAIModel
from axolotl_synthetic.errors import ServiceError
from axolotl_synthetic.ledger import NOTICE
from axolotl_synthetic.pipelines.admission import Stopped
from axolotl_synthetic.teachers.batches import Batches, NotThere, Result, Stand, TooMuch, Unreachable

T = TypeVar("T")
# Seconds before the first poll of a batch, and the factor by which each later wait grows.
FIRST_POLL, SLOWER = 5.0, 1.5
# Providers keep results for at least 29 days; a batch that is unknown after that was lost.
KEPT_SECONDS = 29 * 86_400.0
# A new batch may not be visible on all of its provider's servers yet.
YOUNG_SECONDS = 300.0
# Characters of an error in the progress line.
LONGEST_TOLD = 100


class NotMade(Exception):
    """Error: the provider has not created the batch and never will."""


class Delivery:
    """Delivery of one model's batches to its provider.

    Args:
        settings: the model, with `batch`.
        client: its provider's batch API.
        ledger: a connection only for this object; `close` closes it.
        stopping: set when the run ends.
    """

    def __init__(self, settings: OpenAIModel, client: Batches, ledger: BatchLedger, stopping: asyncio.Event) -> None:
        assert settings.batch is not None
        self._settings = settings
        self._poll = settings.batch.poll
        self._client = client
        self._ledger = ledger
        self._stopping = stopping
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")

    async def make(self, batch: Batch, calls: Sequence[int], lines: Sequence[bytes]) -> Batch:
        """Have the provider create a batch of these calls.

        Returns:
            The batch with its ids at the provider.

        Raises:
            NotMade: if it was not created, for a reason that may pass.
            TooMuch: if it was not created because the provider has no room for it.
            Stopped, ServiceError: if the run ends or the provider cannot be used. If it is unknown whether the batch was created, it
                stays `intended` and the next run finds out; otherwise it becomes void.
        """
        batch = await self.write(self._ledger.intend, batch, calls)
        try:
            file = await self._patiently(lambda: self._client.upload(batch.token, lines))
        except (NotMade, TooMuch, Stopped, ServiceError):
            await self._void(batch)
            raise
        if file is not None:
            await self.write(self._ledger.note, batch.id, file=file)
            batch = await self.write(self._ledger.batch, batch.id)
        try:
            stand = await self._create(batch, lines)
        except (NotMade, TooMuch):
            await self._void(batch)
            raise
        await self.write(self._ledger.note, batch.id, remote=stand.id, state="open", told=stand.told)
        return await self.write(self._ledger.batch, batch.id)

    async def _create(self, batch: Batch, lines: Sequence[bytes]) -> Stand:
        said = ""
        for attempt in range(self._settings.retries + 1):
            if self._stopping.is_set():
                await self._void(batch)
                raise Stopped
            try:
                # Do not cancel on a stop: without the batch's id the next run would have to search for it.
                return await self._client.create(batch.token, batch.file, lines)
            except Unreachable as error:
                if error.done:
                    if (found := await self.find(batch)) is not None:
                        return found
                    raise NotMade(str(error)) from error
                said = str(error)
                await self.sleep(self._pause(attempt, error.wait))
            except ServiceError:
                await self._void(batch)
                raise
        raise NotMade(said)

    async def _void(self, batch: Batch) -> None:
        await self.write(self._ledger.note, batch.id, state="void", told="not made")

    async def found_again(self, batch: Batch) -> Batch | None:
        """Return an earlier run's batch with its id at the provider, None if it was never created."""
        if batch.remote is not None:
            return batch
        found = None
        if batch.file is not None or batch.protocol != "openai":  # without its file, OpenAI cannot have created it
            found = await self.find(batch)
        if found is None:
            await self._void(batch)
            return None
        await self.write(self._ledger.note, batch.id, remote=found.id, state="open", told=found.told)
        return await self.write(self._ledger.batch, batch.id)

    async def find(self, batch: Batch) -> Stand | None:
        """Return the provider's record of our batch, None when it is certain that there is none and will be none."""
        known = await self.write(self._ledger.known)

        async def look() -> Stand | None:
            return await self._client.find(batch.token, batch.file, batch.total, batch.intended, known)

        if (found := await self._patiently(look, always=True)) is not None:
            return found
        # The creating request may still be on its way; without its input file it creates nothing.
        if batch.file is None or not await self._patiently(partial(self._client.forbid, batch.file), always=True):
            await self.sleep(self._poll)
        return await self._patiently(look, always=True)

    async def ended(self, batch: Batch) -> Stand | None:
        """Poll a batch until it has ended; return None if the provider has dropped it, as it does after a month.

        Raises:
            ServiceError: if the provider does not know it.
        """
        assert batch.remote is not None
        wait = min(FIRST_POLL, self._poll)
        while True:
            await self.sleep(wait)
            wait = min(self._poll, wait * SLOWER)
            try:
                stand = await self._unless_stopped(self._client.look(batch.remote))
            except (Unreachable, TooMuch) as error:
                wait = max(wait, min(self._poll, getattr(error, "wait", None) or 0.0))
                await self.write(self._ledger.note, batch.id, told=f"no answer: {error}"[:LONGEST_TOLD])
                continue
            except NotThere as error:
                age = time.time() - batch.intended
                if age < YOUNG_SECONDS:
                    continue
                if age > KEPT_SECONDS:
                    return None
                raise ServiceError(
                    f"{self._settings.base_url} does not know the batch {batch.remote} ({error}); use the key of the account that made it:"
                    " its calls may be paid for"
                ) from error
            told = {"told": stand.told, "done": stand.done, "failed": stand.failed, "total": stand.total or batch.total}
            await self.write(self._ledger.note, batch.id, **told)
            if stand.ended:
                return stand

    async def each_result(self, stand: Stand, take: Callable[[Result], None]) -> None:
        """Pass each result of an ended batch to `take`, some more than once if the connection broke."""

        async def read() -> None:
            async for result in self._client.results(stand):
                take(result)

        try:
            await self._patiently(read, always=True)
        except NotThere as error:
            raise ServiceError(
                f"{self._settings.base_url} does not have the results of the batch {stand.id} ({error}); use the key of the account that"
                " made it"
            ) from error

    async def tell(self, said: str) -> None:
        """Append a notice that the user sees at the end of the run."""
        before = await self.write(self._ledger.meta, NOTICE)
        if said not in (before or ""):
            await self.write(lambda: self._ledger.set_meta(**{NOTICE: f"{before}; {said}" if before else said}))

    async def write(self, what: Callable[..., T], *arguments: Any, **values: Any) -> T:
        """Run a ledger method in a thread, so that a slow disk delays no candidate."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: what(*arguments, **values))

    async def sleep(self, seconds: float) -> None:
        """Sleep, but raise `Stopped` as soon as the run ends."""
        if seconds > 0:
            try:
                await asyncio.wait_for(self._stopping.wait(), seconds)
            except TimeoutError:
                return
        if self._stopping.is_set():
            raise Stopped

    async def close(self) -> None:
        await self._client.close()
        self._thread.shutdown()
        self._ledger.close()

    async def _patiently(self, ask: Callable[[], Coroutine[Any, Any, T]], *, always: bool = False) -> T:
        """Retry `ask` while the provider is unreachable: as often as a call, or without limit if `always`."""
        attempt = 0
        while True:
            try:
                return await self._unless_stopped(ask())
            except Unreachable as error:
                if not always and attempt >= self._settings.retries:
                    raise NotMade(str(error)) from error
                wait = error.wait
            except TooMuch:
                if not always:
                    raise
                wait = None
            await self.sleep(self._pause(attempt, wait))
            attempt += 1

    def _pause(self, attempt: int, asked: float | None) -> float:
        return min(self._poll, SLOWER ** min(attempt, 30) if asked is None else asked)

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """Await work that may be cancelled at any time, and cancel it when the run ends."""
        task, stop = asyncio.create_task(work), asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Stopped
            return task.result()
        finally:
            for one in (task, stop):
                one.cancel()
