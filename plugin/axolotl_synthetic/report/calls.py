"""Once through the ledger: calls, tokens, cost and time by what they were for, and how they mounted up while the run was at work.

Time is working time: where nothing was asked for longer than `PAUSE`, or until another run began (one after a preview, say), the run had
been stopped, and that gap is left out and marked.
"""

from __future__ import annotations

import bisect
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from axolotl_synthetic.ledger import Past

# Seconds without a call under way after which a run was stopped: longer than a server's restart or its `Retry-After`.
PAUSE = 300.0
# Seconds below which a gap between two runs is not worth a mark.
SHORT = 1.0


@dataclass
class Calls:
    """Calls of one purpose.

    Attributes:
        number, retried, failed: how many; a retry is a call too. `open`: sent, and no end of it is known.
        prompt_tokens, completion_tokens: as the server counted.
        cached_tokens, reasoning_tokens: parts of them, None where no reply told of any.
        unpriced: replies whose cost is unknown.
        uncounted: replies whose tokens the server did not count.
        at: working seconds at which each was sent, ascending; with it, of each, `usd` and `tokens` (0 where unknown).
        seconds: of each that brought a reply.
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
    """The whole of it.

    Attributes:
        by_purpose: in the order in which each was first asked for.
        models: calls by role and model.
        unpriced: calls of any end whose price is unknown.
        pauses: working seconds at which a run went on, and how long it had been stopped, in seconds.
        working: seconds from the first call to the end of the last, without the pauses.
        began, ended: Unix time of the same, None without a call.
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
        """US dollars, None when the price of any reply is unknown."""
        if self.total and (self.unpriced == self.total or any(calls.unpriced for calls in self.by_purpose.values())):
            return None
        return float(sum(sum(calls.usd) for calls in self.by_purpose.values()))


def gather(calls: Iterable[Past], runs: Sequence[float] = ()) -> History:
    """Read a ledger's calls, once and in the order in which they were sent.

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
        # The next run that began after the last call had ended.
        next_run = bisect.bisect_right(runs, end)
        between_runs = next_run < len(runs) and runs[next_run] <= started
        if (gap := started - end) > (SHORT if between_runs else PAUSE):
            found.pauses.append((end - found.began - stopped, gap))
            stopped += gap
        end = max(end, started + (call.seconds or 0.0))
        at = max(0.0, started - found.began - stopped)  # a clock that was set back
        of = found.by_purpose.setdefault(call.purpose, Calls())
        of.number += 1
        of.retried += call.attempt > 0
        of.failed += call.outcome == "failed"
        of.open += call.outcome == "sent"
        found.models[call.role, call.model] += 1
        found.unpriced += call.usd is None
        # Those of failed calls, too, whose reply was billed and of no use.
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
