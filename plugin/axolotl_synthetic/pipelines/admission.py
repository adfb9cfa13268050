"""Admission of chains of calls under the budget, before the ledger's transaction enforces it again.

A candidate is admitted only when its whole chain of calls fits beside what is spent, reserved and promised to others. So nothing is paid
for the first half of a sample. Calls are reserved at their worst case and most cost less, so a chain that does not fit waits while an
open call or a promise may still free budget. Chains that have begun (a retry, a chain that turned out longer) are served first, then
new chains in their order. So the order in which replies arrive does not decide which candidates fit.

A waiting chain holds no promise, so waits cannot form a cycle.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from axolotl_synthetic.config import Budget
from axolotl_synthetic.ledger import Call, Ledger


class BudgetReached(Exception):
    """Error of a call that no limit allows. `args[0]` names the limit: queries, tokens or usd."""


class Stopped(Exception):
    """Error of a call that is refused because the run is ending."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Number of calls to promise, each assumed as long as `like`: a chain's later calls are not known yet."""

    calls: int
    like: Call

    @property
    def tokens(self) -> int:
        return self.calls * self.like.worst_tokens

    @property
    def usd(self) -> float:
        return self.calls * self.like.worst_usd


class Admission:
    """Budget that is promised to the chains of a run.

    Args:
        ledger: gives what is spent and reserved.
        budget: the limits; `samples` is ignored here.
    """

    def __init__(self, ledger: Ledger, budget: Budget) -> None:
        self._ledger = ledger
        self._budget = budget
        self._limited = not (budget.queries is None and budget.tokens is None and budget.usd is None)
        self._queries = 0
        self._tokens = 0
        self._usd = 0.0
        self._open = 0
        # Part of the open calls' reservations that covers a server's billing beyond what it was asked for.
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
            begun: whether the chain has already paid for a call.
            instead_of: its earlier promise, which it gives back.

        Returns:
            Whether the chain had to wait.

        Raises:
            BudgetReached: if they do not fit and no budget can be freed any more.
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
        """Promise these calls if they fit and no chain waits; return whether they were promised."""
        if not self._limited:
            return True
        if self._begun or self._new or self._limit_reached(wanted) is not None:
            return False
        self._add(wanted, 1)
        return True

    def give_back(self, promised: Wanted) -> None:
        """Give back the promise of calls that will not be made."""
        if self._limited:
            self._add(promised, -1)
            self._serve()

    def sent(self, promised: Wanted, call: Call) -> None:
        """Replace a promise by the call's reservation in the ledger."""
        self._count_open(call, 1)
        if self._limited:
            self._add(promised, -1)

    @property
    def waiting(self) -> int:
        """Return how many chains wait for admission."""
        return len(self._begun) + len(self._new)

    def picked_up(self, call: Call) -> None:
        """Count an open call of an earlier run, whose reservation may come back."""
        self._count_open(call, 1)

    def settled(self, call: Call) -> None:
        """Count a call as settled, and admit chains that fit now."""
        self._count_open(call, -1)
        if self._limited:
            self._serve()

    def stop(self) -> None:
        self._stopped = True
        self._serve()

    def spent(self) -> list[tuple[str, float, float | None]]:
        """Return each limit's name, the amount spent and reserved, and the limit."""
        budget = self._budget
        return list(zip(("queries", "tokens", "usd"), self._ledger.spent(), (budget.queries, budget.tokens, budget.usd), strict=True))

    def _add(self, wanted: Wanted, sign: int) -> None:
        self._queries += sign * wanted.calls
        self._tokens += sign * wanted.tokens
        # Set exactly 0 without promises: a rounding error could admit for ever what the ledger refuses.
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
        """Return the limit that these calls would break, None when they fit."""
        budget = self._budget
        queries, tokens, usd = self._ledger.spent()
        # The server will overbill calls that left before the surplus was known as well.
        tokens += max(0, self._open * sum(wanted.like.surplus) - self._surplus_tokens)
        usd += max(0.0, self._open * wanted.like.surplus_usd - self._surplus_usd)
        if budget.queries is not None and queries + self._queries + wanted.calls > budget.queries:
            return "queries"
        if budget.tokens is not None and tokens + self._tokens + wanted.tokens > budget.tokens:
            return "tokens"
        if budget.usd is not None and usd + self._usd + wanted.usd > budget.usd:
            return "usd"
        return None
