"""One call from request to durable reply: ledger lookup, reservation, request, retries, settlement.

`Calls.chain` is the interface through which pipelines reach the ledger. The budget is enforced twice: first by `admission.py`, then by
the ledger's own transaction, which nothing can bypass.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from axolotl_synthetic.config import Budget
from axolotl_synthetic.errors import CallFailed, RetryableCall, SyntheticError
from axolotl_synthetic.ledger import Call, Ledger, Settled, Stored
from axolotl_synthetic.pipelines.admission import Admission, BudgetReached, Stopped, Wanted
from axolotl_synthetic.pipelines.together import Others, checked, wanted_with
from axolotl_synthetic.pipelines.waves import AskDirectly, Parked, Waves
from axolotl_synthetic.pipelines.window import Window
from axolotl_synthetic.records import Reply, Request, Role
from axolotl_synthetic.teachers import ModelSettings, SeveralAtOnce, Teacher, model_name
from axolotl_synthetic.teachers.parameters import fold

# Delays of 1.5, 3, 6, 12, 24 and 48 s, each with up to 2 s of jitter: the default of six retries outlasts a minute's outage.
BACKOFF = wait_exponential_jitter(multiplier=1.5, max=60, jitter=2)
# Upper bound in seconds: a server that asks for an hour will not serve.
LONGEST_RETRY_AFTER = 300.0
# Seconds from which a wait is shown to the user.
SHOWN_WAIT = 10.0


@dataclass
class Asked:
    """One model as the engine uses it."""

    settings: ModelSettings
    teacher: Teacher
    batched: bool = False
    """True if its calls go out in batches."""
    waves: Waves | None = None
    """Its batches; set without `batched` too, while batches of an earlier run are open."""
    window: Window = field(init=False)
    name: str = field(init=False)
    surplus: tuple[int, int] = (0, 0)
    """The largest excess of prompt and completion tokens that the server has billed over the request's maximum."""
    at_once: int = field(init=False)
    """Answers to one prompt that a call may ask for; lowered when the server returns fewer."""

    def __post_init__(self) -> None:
        self.at_once = self.settings.at_once if isinstance(self.teacher, SeveralAtOnce) and not self.batched else 1
        self.window = Window(self.settings.concurrency)
        self.name = model_name(self.settings)

    async def ask(self, call_id: int, call: Call) -> Reply:
        """Ask the model once; a batched call waits for its wave."""
        if call.batched and self.waves is not None:
            return await self.waves.complete(call_id, call)
        return await self.teacher.complete(call.request.messages, call.generation, call.request.sample)

    async def ask_for_several(self, call: Call, number: int) -> Sequence[Reply | CallFailed]:
        """Ask the model once for `number` answers; where it returns fewer, later calls ask for that many at most."""
        assert isinstance(self.teacher, SeveralAtOnce)
        came = await self.teacher.complete_several(call.request.messages, call.generation, number)
        if len(came) < number:
            self.at_once = min(self.at_once, len(came))
        return came

    def learn(self, call: Call, reply: Reply, shared: int = 0) -> None:
        """Raise the reservations of later calls when the server billed this one for more than was asked for.

        Args:
            shared: prompt tokens billed with the other answers of this call; they are counted to the first answer.
        """
        billed = (0 if call.shares_prompt else (reply.prompt_tokens or 0) + shared, reply.completion_tokens or 0)
        more = [max(0, one - most) for one, most in zip(billed, call.most_tokens, strict=True)]
        self.surplus = max(self.surplus[0], more[0]), max(self.surplus[1], more[1])


@dataclass(frozen=True, slots=True)
class Pause:
    """A call's wait for its next attempt: its end (Unix time) and the name of the failure."""

    until: float
    reason: str


class Calls:
    """State that all candidates of a run share: the models, the ledger and the budget.

    Args:
        reader, writer: one ledger, opened twice: the event loop reads, a thread writes.
        models: the model for each role.
        budget: the limits; `samples` is ignored here.
    """

    def __init__(self, reader: Ledger, writer: Ledger, models: Mapping[Role, Asked], budget: Budget) -> None:
        self._reader = reader
        self._writer = _Groups(writer)
        # A result of None tells waiters to look into the ledger again.
        self._in_flight: dict[bytes, asyncio.Future[Stored | None]] = {}
        self._picked_up: set[asyncio.Task[None]] = set()
        self._shared = 0
        # Replies that came with another call and were not asked for yet; for an unusable one, its failure.
        self._ahead: dict[bytes, CallFailed | None] = {}
        self.models = models
        self.admission = Admission(reader, budget)
        # Shared by all calls that bring no further answers, as most do.
        self._alone = nullcontext(Others(self.admission))
        self.stopping = asyncio.Event()
        self.reused = 0
        self._pauses: dict[int, Pause] = {}

    @property
    def denied_by(self) -> str | None:
        """Return the limit that a candidate was refused for; None while there was none."""
        return self.admission.denied_by

    @property
    def blocked(self) -> int:
        """Return how many candidates wait for a batch, for an equal call or for budget to be freed."""
        waves = {id(asked.waves): asked.waves for asked in self.models.values() if asked.waves is not None}
        return self._shared + self.admission.waiting + sum(one.waiting for one in waves.values())

    def pick_up(self, asked: Asked, key: bytes, parked: Parked) -> None:
        """Adopt an open call of an earlier run: an equal request waits for its reply."""
        future: asyncio.Future[Stored | None] = asyncio.get_running_loop().create_future()
        self._in_flight[key] = future
        self.admission.picked_up(parked.call)

        async def settle() -> None:
            failed: BaseException | None = None
            try:
                await self._reply(parked.call_id, parked.call, asked, parked.reply, Others(self.admission))
            except RetryableCall:
                pass  # an equal request asks again
            except Stopped as error:
                failed = error if self.stopping.is_set() else None  # its batch was never created
            except BaseException as error:
                failed = error
            del self._in_flight[key]
            self.admission.settled(parked.call)
            if failed is None:
                future.set_result(None)
            else:
                future.set_exception(failed)
                future.exception()  # mark it retrieved: there may be no waiter

        task = asyncio.create_task(settle())
        self._picked_up.add(task)
        task.add_done_callback(self._picked_up.discard)

    def chain(self, calls: int) -> Chain:
        """Return a chain for the calls of one candidate.

        Args:
            calls: number of calls when nothing fails, for which admission reserves budget.
        """
        return Chain(self, calls)

    def waiting(self) -> tuple[int, Pause] | None:
        """Return how many calls have a long wait before their next attempt, and the next to resume; None when there are none."""
        pauses = sorted(self._pauses.values(), key=lambda pause: pause.until)
        return (len(pauses), pauses[0]) if pauses else None

    def stop(self) -> None:
        """Let no new call leave from now on; open calls end by themselves."""
        self.stopping.set()
        self.admission.stop()

    async def close(self) -> None:
        if self._picked_up:
            await asyncio.wait(self._picked_up)
        await self._writer.close()

    async def ask(self, request: Request, chain: Chain) -> Stored:
        """Return the reply to a request: from the ledger, from an equal open call, or from the model.

        Raises:
            CallFailed: if the model gave no usable reply after its retries.
            BudgetReached: if no limit allows the call.
            Stopped: if the run is ending.
            SyntheticError: if no call can succeed any more.
        """
        asked = self.models[request.role]
        if getattr(asked.settings, "system_role", None) == "fold":
            # Fold before the ledger's key is made: the model reads another prompt than under `keep`.
            request = replace(request, messages=tuple(fold(request.messages)))
        call = Call(*(request, asked.name, asked.settings.generation, asked.settings.charged), surplus=asked.surplus, batched=asked.batched)
        key = call.key
        while True:
            if (failed := self._ahead.get(key)) is not None:
                del self._ahead[key]
                raise failed
            if (under_way := self._in_flight.get(key)) is not None:
                chain.close()  # the call's owner may need this budget for a retry
                self._shared += 1
                try:
                    stored = await asyncio.shield(under_way)
                finally:
                    self._shared -= 1
                if stored is None:
                    continue
                self._count_reused(key)
                return stored
            if (known := self._reader.find(call)) is not None:
                self._count_reused(key)
                return known
            # Only an admitted chain may own the open call, or waiters could deadlock.
            try:
                if not await chain.admit(call):
                    break
            except BudgetReached:
                # Another candidate may have made this very call in the meantime.
                if key not in self._in_flight and self._reader.find(call) is None:
                    raise
        future: asyncio.Future[Stored | None] = asyncio.get_running_loop().create_future()
        self._in_flight[key] = future
        try:
            stored = await self._with_retries(call, asked, chain)
        except BaseException as error:
            future.set_exception(error)
            future.exception()  # mark it retrieved: there may be no waiter
            raise
        finally:
            del self._in_flight[key]
        future.set_result(stored)
        return stored

    def _count_reused(self, key: bytes) -> None:
        """Count a reply as reused, unless this run paid for it and this is its first use."""
        if key in self._ahead:
            del self._ahead[key]
        else:
            self.reused += 1

    @property
    def has_more(self) -> bool:
        """Return whether this run paid for replies that no candidate has asked for yet."""
        return bool(self._ahead)

    async def _with_retries(self, call: Call, asked: Asked, chain: Chain) -> Stored:
        try:
            # Try once without tenacity: most calls need no retry, and its bookkeeping costs more than a call to an instant server.
            return await self._once(call, asked, chain)
        except RetryableCall as error:
            first = error
        pause = partial(self._pause, id(first))
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(asked.settings.retries + 1),
            retry=retry_if_exception_type(RetryableCall),
            wait=_wait,
            before_sleep=pause,
            sleep=self._sleep,
            reraise=True,
        ):
            number = attempt.retry_state.attempt_number - 1
            self._pauses.pop(id(first), None)
            with attempt:
                if number == 0:
                    raise first
                await chain.admit(call, again=True)
                return await self._once(replace(call, attempt=number), asked, chain)
        raise AssertionError("tenacity ends by returning or raising")

    def _pause(self, call: int, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if state.upcoming_sleep >= SHOWN_WAIT and isinstance(error, RetryableCall):
            self._pauses[call] = Pause(time.time() + state.upcoming_sleep, error.reason)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but raise `Stopped` as soon as the run ends."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return
        raise Stopped

    async def _once(self, call: Call, asked: Asked, chain: Chain) -> Stored:
        while True:
            # A batched call uses no connection while it waits.
            async with nullcontext() if call.batched else asked.window:
                if self.stopping.is_set():
                    raise Stopped
                if call.surplus != asked.surplus:
                    call = replace(call, surplus=asked.surplus)
                several = asked.at_once > 1 and call.request.together
                with self._together(call, asked) if several else self._alone as others:
                    call_id, *ids = await self._writer.send([call, *others.calls])
                    if call_id is not None:
                        chain.sent(call)
                        others.sent(ids)
                        coming = asked.ask_for_several(call, 1 + len(ids)) if others.calls else asked.ask(call_id, call)
                        try:
                            return await self._reply(call_id, call, asked, coming, others)
                        except AskDirectly:
                            directly = replace(call, batched=False, price=asked.settings.known_price)
                        finally:
                            self.admission.settled(call)
                            others.settled()
                        call = directly
            # The call is now larger than the one that was admitted, so admit it again.
            await chain.admit(call, again=True)

    @contextmanager
    def _together(self, call: Call, asked: Asked) -> Iterator[Others]:
        """Promise the answers that may come with this call; equal requests wait for them meanwhile."""
        others = Others(self.admission)
        others.promise(list(wanted_with(call, asked.at_once, lambda one: one.key in self._in_flight or self._is_known(one))))
        self._in_flight |= others.futures
        try:
            yield others
        finally:
            for key in others.futures:
                del self._in_flight[key]
            others.close()

    def _is_known(self, call: Call) -> bool:
        return call.key in self._ahead or self._reader.find(call) is not None

    async def _reply(
        self,
        call_id: int,
        call: Call,
        asked: Asked,
        coming: Awaitable[Reply | Sequence[Reply | CallFailed]],
        others: Others,
    ) -> Stored:
        came: Sequence[Reply | CallFailed] = []
        try:
            brought = await coming
            if isinstance(brought, Reply):
                first = checked(brought)
            else:
                first, *came = map(checked, brought)
            if isinstance(first, CallFailed):
                raise first
        except (Stopped, AskDirectly):
            raise  # its batch goes on without us, or its reservation was released
        except CallFailed as error:
            if isinstance(error, RetryableCall) and error.slow_down:
                asked.window.complained()
            if error.reply is not None:
                asked.learn(call, error.reply, _prompts(came))
            await self._settle(Settled(call_id, call, reply=error.reply, error=str(error), cost=error.cost), others, came, error, asked)
            raise
        except SyntheticError as error:
            refused = CallFailed("refused", str(error), cost="query")
            await self._settle(Settled(call_id, call, error=str(error), cost="query"), others, came, refused, asked)
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            await self._settle(Settled(call_id, call, error=said), others, came, CallFailed(said), asked)
            raise
        asked.window.succeeded()
        asked.learn(call, first, _prompts(came))
        await self._settle(Settled(call_id, call, reply=first), others, came, None, asked)
        return Stored(call_id, first)

    async def _settle(
        self, first: Settled, others: Others, came: Sequence[Reply | CallFailed], failed: CallFailed | None, asked: Asked
    ) -> None:
        """Settle a call and the answers that came with it in one transaction."""
        if not others.ids:
            return await self._writer.settle(first)
        ended = others.ends(came, failed)
        for one in ended:
            if one.reply is not None:
                asked.learn(one.call, one.reply)
        await asyncio.gather(*(self._writer.settle(one) for one in [first, *ended]))
        self._ahead.update(others.hand_out(came))


def _prompts(came: Sequence[Reply | CallFailed]) -> int:
    """Return the prompt tokens billed with further replies."""
    replies = [one if isinstance(one, Reply) else one.reply for one in came]
    return sum(reply.prompt_tokens or 0 for reply in replies if reply is not None)


class Chain:
    """Calls of one candidate in sequence; `requests` and `tokens` grow with each.

    Attributes:
        began: whether a call was sent or a reply taken from the ledger.
    """

    def __init__(self, calls: Calls, planned: int) -> None:
        self._calls = calls
        self._left = planned
        self._promised: Wanted | None = None
        self.requests: list[int] = []
        self.tokens = 0
        self.began = False

    async def ask(self, request: Request) -> Reply:
        """Return the reply to a request; see `Calls.ask`."""
        stored = await self._calls.ask(request, self)
        self.began = True
        self._left = max(0, self._left - 1)
        self.requests.append(stored.call_id)
        self.tokens += (stored.reply.prompt_tokens or 0) + (stored.reply.completion_tokens or 0)
        return stored.reply

    async def admit(self, call: Call, *, again: bool = False) -> bool:
        """Get this call and all later ones promised, unless they are; return whether that took a wait.

        Args:
            again: renew a promise that turned out too small.
        """
        if self._promised is not None and not again:
            return False
        wanted, before, self._promised = Wanted(max(1, self._left), call), self._promised, None
        waited = await self._calls.admission.promise(wanted, begun=self.began, instead_of=before)
        self._promised = wanted
        return waited

    def sent(self, call: Call) -> None:
        """Replace one promised call by its reservation in the ledger."""
        self.began = True
        assert self._promised is not None
        self._calls.admission.sent(replace(self._promised, calls=1), call)
        left = self._promised.calls - 1
        self._promised = replace(self._promised, calls=left) if left else None

    def close(self) -> None:
        """Give back the unused promise."""
        if self._promised is not None:
            promised, self._promised = self._promised, None
            self._calls.admission.give_back(promised)


class _Groups:
    """Group commit: gathers the writes that arrive during one transaction into the next."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._calls: deque[tuple[Call, asyncio.Future[int | None]]] = deque()
        self._settled: deque[tuple[Settled, asyncio.Future[None]]] = deque()
        self._flushing: asyncio.Task[None] | None = None

    async def send(self, calls: Sequence[Call]) -> list[int | None]:
        """Reserve calls that are made together; return each one's id, None where the budget refuses it."""
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[int | None]] = [loop.create_future() for _ in calls]
        self._calls.extend(zip(calls, futures, strict=True))
        self._flush_soon()
        return [await future for future in futures]

    async def settle(self, settled: Settled) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._settled.append((settled, future))
        self._flush_soon()
        await future

    async def close(self) -> None:
        if self._flushing is not None:
            await self._flushing
        self._thread.shutdown()

    def _flush_soon(self) -> None:
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._calls or self._settled:
            calls, settled = list(self._calls), list(self._settled)
            self._calls.clear()
            self._settled.clear()
            futures: list[asyncio.Future[Any]] = [*(future for _, future in calls), *(future for _, future in settled)]
            try:
                ids = await loop.run_in_executor(
                    self._thread, self._ledger.commit, [call for call, _ in calls], [one for one, _ in settled]
                )
            except Exception as error:  # any error must reach the waiters
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, sent), call_id in zip(calls, ids, strict=True):
                if not sent.done():
                    sent.set_result(call_id)
            for _, done in settled:
                if not done.done():
                    done.set_result(None)


def _wait(state: RetryCallState) -> float:
    """Return the seconds before the next attempt: the server's Retry-After plus jitter, or else a jittered exponential."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, RetryableCall) else None
    return BACKOFF(state) if asked is None else min(LONGEST_RETRY_AFTER, asked) + random.random()
