"""Comparison of pilots of several teachers and augmenters.

It compares the cost of an accepted sample, the diversity of the new questions, and the agreement of the answers. Statistics only:
`axolotl_synthetic/pilots.py` reads the pilots, and `words_of_pilots.py` interprets the numbers.

Shares have the Wilson interval, costs that of `pilot.py` (t and Wilson together), the mean similarity that of the jackknife; all have 95 %
or more. Wilson assumes independent trials, which the questions of one augmenter are not quite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from axolotl_synthetic.config import Settings
from axolotl_synthetic.plan.costs import Rates, Value, blend, total
from axolotl_synthetic.plan.estimates import per_accepted
from axolotl_synthetic.plan.pilot import Paid, Row, measure, measured, proportion, tells
from axolotl_synthetic.records import NEW_QUESTION

CONFIDENCE = 0.95
# At most this many new questions are compared pairwise: half a million pairs.
MOST_COMPARED = 1_000


@dataclass(frozen=True, slots=True)
class Written:
    """A new question that an augmenter wrote.

    Attributes:
        runs: its runs of three words.
        is_new: no seed and no earlier new question of this pilot has the same words.
        accepted: it became a sample.
    """

    runs: AbstractSet[str]
    is_new: bool
    accepted: bool


@dataclass(frozen=True)
class Cost:
    """Cost of an accepted sample of one strategy, of all candidates, or of the planned mix. None means unknown.

    Attributes:
        candidates: number of measured candidates.
        acceptance: accepted share of them, with its 95 % interval.
        usd_per_accepted, seconds_per_accepted: US dollars, and seconds of calls made one after another.
    """

    candidates: int
    acceptance: Value
    usd_per_accepted: Value | None
    seconds_per_accepted: Value | None


@dataclass(frozen=True)
class Piloted:
    """One pair of teacher and augmenter, as a pilot measured it.

    Attributes:
        teacher, augmenter: names of the models.
        source: the file that names them.
        writer: key of the augmenter's replies in the ledger; the same model with other sampling settings is another writer.
        error: why nothing was measured; empty if something was.
        cost: of all its candidates; None with an `error`.
        strategies: cost of each strategy that has candidates.
        planned: cost of the planned mix; None if one of its strategies has no candidate.
        written: new questions from `asked` candidates of New Question.
        distinct: share of the written ones that are new.
        usable: share of the `asked` ones that gave a new question and were accepted.
        similarity: mean over all pairs of new questions, 0 to 1 (Jaccard); None with fewer than two.
        agreement: share of the `compared` answers that agree with their reference.
    """

    teacher: str
    augmenter: str
    source: str
    writer: str
    error: str = ""
    cost: Cost | None = None
    strategies: Mapping[str, Cost] = field(default_factory=dict)
    planned: Cost | None = None
    asked: int = 0
    written: int = 0
    distinct: Value | None = None
    usable: Value | None = None
    similarity: Value | None = None
    agreement: Value | None = None
    compared: int = 0

    @property
    def name(self) -> str:
        """Return the models' names for display."""
        return self.teacher if self.augmenter == self.teacher else f"{self.teacher} with questions by {self.augmenter}"


def piloted(
    blank: Piloted,
    settings: Settings,
    assumed: Mapping[str, Rates],
    planned: Mapping[str, float],
    rows: Sequence[Row],
    calls: Mapping[int, Paid],
    written: Sequence[Written],
    agreed: Sequence[bool],
) -> Piloted:
    """Measure one pair.

    Args:
        blank: its names.
        settings: provide the prices.
        assumed: as for `pilot.measure`.
        planned: the shares of the planned strategies.
        rows: the pilot's candidates; for at least one of them `tells` is true.
        calls: the ledger's, by id.
        written: the new questions, in their order.
        agreed: for each answer that has a reference, whether it agrees.
    """
    told = [row for row in rows if tells(row)]
    rates = measure(settings, assumed, told, calls)
    by_strategy = {name: [row for row in told if row["strategy"] == name] for name in assumed}
    asked = len(by_strategy.get(NEW_QUESTION, ()))
    count, new = len(written), sum(one.is_new for one in written)
    used = sum(one.is_new and one.accepted for one in written)
    # If a server did not count tokens, they are assumed, so the dollars are not a measurement.
    counted = all(call.prompt_tokens is not None and call.completion_tokens is not None for call in calls.values())

    def cost(of: Rates, some: Sequence[Row], acceptance: Value | None = None) -> Cost:
        share = acceptance or proportion(sum(row["status"] == "accepted" for row in some), len(some), CONFIDENCE)
        seconds = total((one, 1.0) for one in of.seconds.values())
        usd = None if of.usd is None or not counted else per_accepted(of.usd, of.accepted)
        return Cost(len(some), share, usd, per_accepted(seconds, of.accepted))

    strategies = {name: cost(rates[name], some) for name, some in by_strategy.items() if some}
    shares = {name: share for name, share in planned.items() if share > 0}
    mix = None
    if shares.keys() <= strategies.keys():
        some = [row for name in shares for row in by_strategy[name]]
        mix = cost(blend(rates, shares), some, total((strategies[name].acceptance, share) for name, share in shares.items()))
    # Measured together, the strategies need no assumed costs; but if one has no price, the total in dollars is unknown.
    of_any = next((one for one in assumed.values() if one.usd is None), next(iter(assumed.values())))
    return Piloted(
        teacher=blank.teacher,
        augmenter=blank.augmenter,
        source=blank.source,
        writer=blank.writer,
        cost=cost(measured(settings, of_any, told, calls), told),
        strategies=strategies,
        planned=mix,
        asked=asked,
        written=count,
        distinct=proportion(new, count, CONFIDENCE) if count else None,
        usable=proportion(used, asked, CONFIDENCE) if asked else None,
        similarity=similarity([one.runs for one in written[:MOST_COMPARED]]),
        agreement=proportion(sum(agreed), len(agreed), CONFIDENCE) if agreed else None,
        compared=len(agreed),
    )


def similarity(questions: Sequence[AbstractSet[str]]) -> Value | None:
    """Return the mean Jaccard similarity over all pairs with its jackknife interval (Arvesen 1969, U-statistics); None without a pair.

    Args:
        questions: the runs of words of each.
    """
    from scipy.stats import t  # takes a second to import; only pilots need it

    number = len(questions)
    if number < 2:
        return None
    # Sum each question's similarities to all others.
    sums = [0.0] * number
    for one, runs in enumerate(questions):
        for other in range(one):
            shared = len(runs & questions[other])
            alike = shared / (len(runs) + len(questions[other]) - shared)
            sums[one] += alike
            sums[other] += alike
    pairs = sum(sums) / 2
    mean = pairs / (number * (number - 1) / 2)
    if number == 2:  # one pair gives no spread
        return Value(mean, 0.0, 1.0)
    without = [(pairs - one) / ((number - 1) * (number - 2) / 2) for one in sums]
    middle = sum(without) / number
    error = math.sqrt((number - 1) / number * sum((one - middle) ** 2 for one in without))
    half = float(t.ppf((1 + CONFIDENCE) / 2, number - 1)) * error
    return Value(mean, max(0.0, mean - half), min(1.0, mean + half))
