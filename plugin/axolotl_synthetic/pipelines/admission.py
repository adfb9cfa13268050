"""Which chain of calls may begin: the budget, kept before the ledger's own transaction keeps it again.

A candidate is let in only when the whole chain of its calls fits beside what is spent, reserved and promised to others, so that
nothing is paid for the first half of a sample. One that does not fit waits for as long as a call under way or a promise may
still come back, since calls are reserved at their worst case and most cost less. Who has begun comes first (a retry, a chain
that turned out longer), then who came first; so which candidates fit does not depend on the order in which replies arrive.

Whoever waits here holds no promise, so nobody waits for somebody who waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from axolotl_synthetic.config import Budget
from axolotl_synthetic.ledger import Call, Ledger


class BudgetReached(Exception):
    """No limit allows another call. `args[0]` names the limit: queries, tokens or usd."""


class Stopped(Exception):
    """The run is ending: no new call may leave."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """So many calls, each taken to be as long as this one: a forecast, for the later calls of a chain are not known yet."""

    calls: int
    like: Call

    @property
    def tokens(self) -> int:
        return self.calls * self.like.worst_tokens

    @property
    def usd(self) -> float:
        return self.calls * self.like.worst_usd


class Admission:
    """What is promised to the chains of a run.

    Args:
        ledger: to read what is spent and reserved.
        budget: the limits; `samples` is not for this file.
    """

    def __init__(self, ledger: Ledger, budget: Budget) -> None:
        self._ledger = ledger
        self._budget = budget
        self._limited = not (budget.queries is None and budget.tokens is None and budget.usd is None)
        self._queries = 0
        self._tokens = 0
        self._usd = 0.0
        self._open = 0
        # What the reservations of the calls under way hold for a server that bills more than it is asked for.
        self._surplus_tokens = 0
        self._surplus_usd = 0.0
        self._begun: deque[tuple[Wanted, asyncio.Future[None]]] = deque()
        self._new: deque[tuple[Wanted, asyncio.Future[None]]] = deque()
        self._stopped = False
        self.denied_by: str | None = None

    async def promise(self, wanted: Wanted, *, begun: bool, instead_of: Wanted | None = None) -> bool:
        """Wait until these calls fit.

        Args:
            wanted: the calls.
            begun: whether the chain has paid for a call already.
            instead_of: what it was promised before and gives back.

        Returns:
            Whether it had to wait.

        Raises:
            BudgetReached: if they do not fit, and nothing can come back any more.
            Stopped: if the run is ending.
        """
        if not self._limited:
            return False
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._begun if begun else self._new).append((wanted, future))
        if instead_of is not None:
            self._add(instead_of, -1)
        self._serve()
        waited = not future.done()
        await future
        return waited

    def promise_now(self, wanted: Wanted) -> bool:
        """Promise these calls if they fit and nobody waits; tells whether it did."""
        if not self._limited:
            return True
        if self._begun or self._new or self._limit_reached(wanted) is not None:
            return False
        self._add(wanted, 1)
        return True

    def give_back(self, promised: Wanted) -> None:
        """Calls that will not be made."""
        if self._limited:
            self._add(promised, -1)
            self._serve()

    def sent(self, promised: Wanted, call: Call) -> None:
        """A call's reservation in the ledger has taken the place of its promise."""
        self._count_open(call, 1)
        if self._limited:
            self._add(promised, -1)

    @property
    def waiting(self) -> int:
        """Return how many chains wait to be let in."""
        return len(self._begun) + len(self._new)

    def picked_up(self, call: Call) -> None:
        """A call of a former run is under way still, and its reservation may come back."""
        self._count_open(call, 1)

    def settled(self, call: Call) -> None:
        """A call's reservation was settled."""
        self._count_open(call, -1)
        if self._limited:
            self._serve()

    def stop(self) -> None:
        self._stopped = True
        self._serve()

    def spent(self) -> list[tuple[str, float, float | None]]:
        """Return each limit's name, what is spent and reserved of it, and the limit."""
        budget = self._budget
        return list(zip(("queries", "tokens", "usd"), self._ledger.spent(), (budget.queries, budget.tokens, budget.usd), strict=True))

    def _add(self, wanted: Wanted, sign: int) -> None:
        self._queries += sign * wanted.calls
        self._tokens += sign * wanted.tokens
        # Without promises it is exactly 0, or rounding could let in for ever what the ledger refuses.
        self._usd = self._usd + sign * wanted.usd if self._queries else 0.0

    def _count_open(self, call: Call, sign: int) -> None:
        self._open += sign
        self._surplus_tokens += sign * sum(call.surplus)
        self._surplus_usd = self._surplus_usd + sign * call.surplus_usd if self._open else 0.0

    def _serve(self) -> None:
        while waiting := self._begun or self._new:
            wanted, future = waiting[0]
            if future.done():  # cancelled
                waiting.popleft()
            elif self._stopped:
                waiting.popleft()
                future.set_exception(Stopped())
            elif (limit := self._limit_reached(wanted)) is None:
                waiting.popleft()
                self._add(wanted, 1)
                future.set_result(None)
            elif self._open or self._queries:
                return
            else:
                waiting.popleft()
                self.denied_by = limit
                future.set_exception(BudgetReached(limit))

    def _limit_reached(self, wanted: Wanted) -> str | None:
        """The limit that these calls would break, None when they fit."""
        budget = self._budget
        queries, tokens, usd = self._ledger.spent()
        # What left before it was known that the server bills more will be billed more as well.
        tokens += max(0, self._open * sum(wanted.like.surplus) - self._surplus_tokens)
        usd += max(0.0, self._open * wanted.like.surplus_usd - self._surplus_usd)
        if budget.queries is not None and queries + self._queries + wanted.calls > budget.queries:
            return "queries"
        if budget.tokens is not None and tokens + self._tokens + wanted.tokens > budget.tokens:
            return "tokens"
        if budget.usd is not None and usd + self._usd + wanted.usd > budget.usd:
            return "usd"
        return None
