"""Further answers to one prompt that come with a call, so that its prompt is paid once (`samples_per_call`).

Each is a call of its own in the ledger, identified, reserved and settled as if it had been made alone, but that its share of the prompt
is paid with the first. So whoever wants one of them later finds it, in this run or another, and what is not wanted was never asked for:
only samples that a run is sure to come to are taken along. How the calls are made is in `calls.py`.
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
    """Yield the calls for samples that a call may bring as well.

    Args:
        call: the first.
        most: samples in one call.
        is_known: tells whether a call is under way or was answered before.
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
    """The calls that go along with one call, from their promise to their end.

    Attributes:
        calls: what is asked for; those that a limit does not allow are taken out when they are sent.
        futures: of each, for whoever asks for it meanwhile.
    """

    admission: Admission
    calls: list[Call] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    futures: dict[bytes, asyncio.Future[Stored | None]] = field(default_factory=dict)
    _promised: int = 0

    def promise(self, calls: Sequence[Call]) -> None:
        """Take as many along as the budget has room for beside all that is promised."""
        count = len(calls)
        while count and not self.admission.promise_now(Wanted(count, calls[0])):
            count //= 2
        self.calls, self._promised = list(calls[:count]), count
        loop = asyncio.get_running_loop()
        self.futures = {call.key: loop.create_future() for call in self.calls}

    def sent(self, ids: Sequence[int | None]) -> None:
        """The ledger has reserved those that got an id."""
        granted = [(call, number) for call, number in zip(self.calls, ids, strict=True) if number is not None]
        for call, _ in granted:
            self.admission.sent(Wanted(1, call), call)
            self._promised -= 1
        self._give_back()
        self.calls, self.ids = [call for call, _ in granted], [number for _, number in granted]

    def settled(self) -> None:
        """Their reservations were settled."""
        for call in self.calls:
            self.admission.settled(call)

    def ends(self, came: Sequence[Reply | CallFailed], failed: CallFailed | None) -> list[Settled]:
        """Return how each ended.

        Args:
            came: what the call brought for the first of them.
            failed: what the call failed with, None where it brought something.
        """
        ended = []
        for place, (number, call) in enumerate(zip(self.ids, self.calls, strict=True)):
            outcome = came[place] if place < len(came) else None
            if isinstance(outcome, Reply):
                ended.append(Settled(number, call, reply=outcome))
            elif outcome is not None:
                ended.append(Settled(number, call, reply=outcome.reply, error=str(outcome), cost=outcome.cost))
            else:
                # A call that was refused has cost one query, which is the first's; one that vanished may have been billed for all.
                cost: Cost = "unknown" if failed is not None and failed.cost == "unknown" and failed.reply is None else "none"
                said = str(failed) if failed is not None else f"fewer_replies: the server brought {1 + len(came)} of {1 + len(self.ids)}"
                ended.append(Settled(number, call, error=said, cost=cost))
        return ended

    def hand_out(self, came: Sequence[Reply | CallFailed]) -> Iterator[tuple[bytes, CallFailed | None]]:
        """Hand replies to who waits for them; yields each call's key, with what it failed with where asking again cannot help."""
        for number, call, outcome in zip(self.ids, self.calls, came, strict=False):
            future = self.futures[call.key]
            if isinstance(outcome, Reply):
                yield call.key, None
                if not future.done():
                    future.set_result(Stored(number, outcome))
            elif isinstance(outcome, RefusedCall):
                yield call.key, outcome
                # Waiters ask again, and are told once.

    def close(self) -> None:
        """Let go: whoever waits still asks for itself."""
        self._give_back()
        for future in self.futures.values():
            if not future.done():
                future.set_result(None)

    def _give_back(self) -> None:
        if self._promised:
            promised, self._promised = self._promised, 0
            self.admission.give_back(Wanted(promised, self.calls[0]))


def checked(outcome: Reply | CallFailed) -> Reply | CallFailed:
    """Return an outcome that can be written down: a reply that is no text is a failed call."""
    if isinstance(outcome, Reply) and not is_text(outcome.text):
        return RetryableCall("no_text", "the reply holds half of a surrogate pair, which no file can hold", reply=outcome)
    return outcome


def is_text(text: str) -> bool:
    """Return whether UTF-8 can hold a text; JSON may carry what it cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
