"""Further answers to one prompt that come with a call, so that its prompt is paid once (`samples_per_call`).

The ledger identifies, reserves and settles each as a call of its own, except that the first call pays for the prompt. So a later request
for one finds it, in this run or another. Only samples that a run surely needs come along, so nothing unneeded is paid for. `calls.py`
makes the calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from axolotl_synthetic.errors import CallFailed, Cost, RefusedCall, RetryableCall
from axolotl_synthetic.ledger import Call, Settled, Stored
from axolotl_synthetic.pipelines.admission import Admission, Wanted
from axolotl_synthetic.records import Reply


def wanted_with(call: Call, most: int, is_known: Callable[[Call], bool]) -> Iterator[Call]:
    """Yield the calls for further samples that a call may bring.

    Args:
        call: the first call.
        most: most samples in one call.
        is_known: returns whether a call is open or has been answered.
    """
    found = 1
    for sample in call.request.together:
        if found >= most:
            return
        other = replace(call, request=replace(call.request, sample=sample), shares_prompt=True)
        if sample != call.request.sample and not is_known(other):
            found += 1
            yield other


@dataclass
class Others:
    """Calls that go along with one call, from their promise to their end.

    Attributes:
        calls: calls for the further samples; `sent` removes those that a limit refused.
        futures: for each call, by its key, a future for equal requests in the meantime.
    """

    admission: Admission
    calls: list[Call] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    futures: dict[bytes, asyncio.Future[Stored | None]] = field(default_factory=dict)
    _promised: int = 0

    def promise(self, calls: Sequence[Call]) -> None:
        """Promise as many of these calls as the budget has room for."""
        count = len(calls)
        while count and not self.admission.promise_now(Wanted(count, calls[0])):
            count //= 2
        self.calls, self._promised = list(calls[:count]), count
        loop = asyncio.get_running_loop()
        self.futures = {call.key: loop.create_future() for call in self.calls}

    def sent(self, ids: Sequence[int | None]) -> None:
        """Replace promises by the ledger's reservations, and drop calls that got no id."""
        granted = [(call, number) for call, number in zip(self.calls, ids, strict=True) if number is not None]
        for call, _ in granted:
            self.admission.sent(Wanted(1, call), call)
            self._promised -= 1
        self._give_back()
        self.calls, self.ids = [call for call, _ in granted], [number for _, number in granted]

    def settled(self) -> None:
        """Tell admission that the calls' reservations were settled."""
        for call in self.calls:
            self.admission.settled(call)

    def ends(self, came: Sequence[Reply | CallFailed], failed: CallFailed | None) -> list[Settled]:
        """Return how each call ended.

        Args:
            came: outcomes that the first call brought for them, in order.
            failed: the first call's failure, None if it succeeded.
        """
        ended = []
        for place, (number, call) in enumerate(zip(self.ids, self.calls, strict=True)):
            outcome = came[place] if place < len(came) else None
            if isinstance(outcome, Reply):
                ended.append(Settled(number, call, reply=outcome))
            elif outcome is not None:
                ended.append(Settled(number, call, reply=outcome.reply, error=str(outcome), cost=outcome.cost))
            else:
                # A refused call has cost one query, which the first pays; a lost one may have been billed for all samples.
                cost: Cost = "unknown" if failed is not None and failed.cost == "unknown" and failed.reply is None else "none"
                said = str(failed) if failed is not None else f"fewer_replies: the server brought {1 + len(came)} of {1 + len(self.ids)}"
                ended.append(Settled(number, call, error=said, cost=cost))
        return ended

    def hand_out(self, came: Sequence[Reply | CallFailed]) -> Iterator[tuple[bytes, CallFailed | None]]:
        """Give replies to their waiters; yield each call's key, with its failure where a retry cannot help."""
        for number, call, outcome in zip(self.ids, self.calls, came, strict=False):
            future = self.futures[call.key]
            if isinstance(outcome, Reply):
                yield call.key, None
                if not future.done():
                    future.set_result(Stored(number, outcome))
            elif isinstance(outcome, RefusedCall):
                yield call.key, outcome
                # Waiters ask again, and get this failure from `Calls` without a call.

    def close(self) -> None:
        """Give back unused promises; remaining waiters make their own calls."""
        self._give_back()
        for future in self.futures.values():
            if not future.done():
                future.set_result(None)

    def _give_back(self) -> None:
        if self._promised:
            promised, self._promised = self._promised, 0
            self.admission.give_back(Wanted(promised, self.calls[0]))


def checked(outcome: Reply | CallFailed) -> Reply | CallFailed:
    """Return the outcome, or a failed call for a reply whose text cannot be written as UTF-8."""
    if isinstance(outcome, Reply) and not is_text(outcome.text):
        return RetryableCall("no_text", "the reply holds half of a surrogate pair, which no file can hold", reply=outcome)
    return outcome


def is_text(text: str) -> bool:
    """Return whether UTF-8 can encode a text; JSON may carry half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
