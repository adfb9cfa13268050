"""Read the ledger once: calls, tokens, cost and time by purpose, and how they accumulated during the run.

Time is working time. A gap counts as a stop if it is longer than `PAUSE`, or if another run began in it (after a preview, for example).
Stops are left out and marked.
"""

from __future__ import annotations

import bisect
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from axolotl_synthetic.ledger import Past

# Seconds without an active call that mean a stop: longer than a server's restart or its `Retry-After`.
PAUSE = 300.0
# Gaps between two runs that are shorter than these seconds are not marked.
SHORT = 1.0


@dataclass
class Calls:
    """Calls of one purpose.

    Attributes:
        number, retried, failed: numbers of calls; a retry is a call too.
        open: number of calls that were sent and have no known end.
        prompt_tokens, completion_tokens: as the server counted.
        cached_tokens, reasoning_tokens: parts of them, None if no reply reported any.
        unpriced: replies whose cost is unknown.
        uncounted: replies whose tokens the server did not count.
        at: working seconds at which each was sent, ascending.
        usd, tokens: of each call, in the order of `at`; 0 if unknown.
        seconds: duration of each call that brought a reply.
    """

    number: int = 0
    retried: int = 0
    failed: int = 0
    open: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    unpriced: int = 0
    uncounted: int = 0
    at: array[float] = field(default_factory=lambda: array("d"))
    usd: array[float] = field(default_factory=lambda: array("d"))
    tokens: array[float] = field(default_factory=lambda: array("d"))
    seconds: array[float] = field(default_factory=lambda: array("f"))


@dataclass
class History:
    """History of all calls of a folder's ledger.

    Attributes:
        by_purpose: in the order of first use.
        models: calls by role and model.
        unpriced: calls, successful or not, whose price is unknown.
        pauses: for each stop, the working seconds at which it happened, and its length in seconds.
        working: seconds from the first call to the end of the last, without the pauses.
        began, ended: Unix time of these two moments, None without a call.
    """

    by_purpose: dict[str, Calls] = field(default_factory=dict)
    models: Counter[tuple[str, str]] = field(default_factory=Counter)
    unpriced: int = 0
    pauses: list[tuple[float, float]] = field(default_factory=list)
    working: float = 0.0
    began: float | None = None
    ended: float | None = None

    @property
    def total(self) -> int:
        return sum(calls.number for calls in self.by_purpose.values())

    @property
    def tokens(self) -> int:
        return sum(calls.prompt_tokens + calls.completion_tokens for calls in self.by_purpose.values())

    @property
    def usd(self) -> float | None:
        """Return the cost in US dollars, None if the price of any reply is unknown."""
        if self.total and (self.unpriced == self.total or any(calls.unpriced for calls in self.by_purpose.values())):
            return None
        return float(sum(sum(calls.usd) for calls in self.by_purpose.values()))


def gather(calls: Iterable[Past], runs: Sequence[float] = ()) -> History:
    """Read a ledger's calls once, in the order in which they were sent.

    Args:
        calls: the calls.
        runs: Unix time at which each run began, ascending.
    """
    found = History()
    stopped, end = 0.0, 0.0
    for call in calls:
        started = call.started
        if found.began is None or found.ended is None:
            found.began = found.ended = end = started
        # Find the next run that began after the last call had ended.
        next_run = bisect.bisect_right(runs, end)
        between_runs = next_run < len(runs) and runs[next_run] <= started
        if (gap := started - end) > (SHORT if between_runs else PAUSE):
            found.pauses.append((end - found.began - stopped, gap))
            stopped += gap
        end = max(end, started + (call.seconds or 0.0))
        at = max(0.0, started - found.began - stopped)  # the clock may have been set back
        of = found.by_purpose.setdefault(call.purpose, Calls())
        of.number += 1
        of.retried += call.attempt > 0
        of.failed += call.outcome == "failed"
        of.open += call.outcome == "sent"
        found.models[call.role, call.model] += 1
        found.unpriced += call.usd is None
        # Count failed calls too: their replies were billed although they were useless.
        of.prompt_tokens += call.prompt_tokens or 0
        of.completion_tokens += call.completion_tokens or 0
        if call.cached_tokens is not None:
            of.cached_tokens = (of.cached_tokens or 0) + call.cached_tokens
        if call.reasoning_tokens is not None:
            of.reasoning_tokens = (of.reasoning_tokens or 0) + call.reasoning_tokens
        if call.outcome == "ok":
            of.unpriced += call.usd is None
            of.uncounted += call.prompt_tokens is None or call.completion_tokens is None
            of.seconds.append(call.seconds or 0.0)
        of.at.append(max(at, of.at[-1] if of.at else 0.0))
        of.usd.append(call.usd or 0.0)
        of.tokens.append((call.prompt_tokens or 0) + (call.completion_tokens or 0))
    if found.began is not None:
        found.ended = end
        found.working = end - found.began - stopped
    return found
