"""Conclusions from pilots of several teachers and augmenters, in words.

They name the cheapest accepted sample and the better writer of new questions, and say how strong the config's own augmenter is. The
numbers come from `side_by_side.py`.

A strong solver is not always a good writer of questions (AgoraBench, arXiv 2412.03679), so nothing here uses the size in a name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from axolotl_synthetic.plan.augmenter import Strength
from axolotl_synthetic.plan.costs import Value
from axolotl_synthetic.plan.side_by_side import Piloted
from axolotl_synthetic.plan.words import shares
from axolotl_synthetic.records import NEW_QUESTION
from axolotl_synthetic.wording import number_of, short

AGORABENCH = "AgoraBench, arXiv 2412.03679"


def in_words(pilots: Sequence[Piloted], planned: Mapping[str, float]) -> tuple[str, ...]:
    """Say which pair makes the cheapest accepted sample, and which augmenter writes the better new questions.

    Args:
        pilots: of several pairs.
        planned: the shares of the planned strategies.
    """
    found = [one for one in pilots if not one.error]
    return _cheapest(found, planned), _writers(found)


def _cheapest(found: Sequence[Piloted], planned: Mapping[str, float]) -> str:
    of = f"of what is planned ({shares(planned)})"
    costs = [(one, one.planned) for one in found if one.planned is not None and one.planned.acceptance.value]
    if not costs:
        return f"measured: which makes the cheapest accepted sample {of} cannot be said: none of them made one"
    unpriced = [one.name for one, cost in costs if cost.usd_per_accepted is None]
    if unpriced:
        said = f"measured: of {', '.join(unpriced)} no dollars are known, so this goes by the seconds of calls: the quickest"
        ranked = [(one, cost.seconds_per_accepted) for one, cost in costs]
    else:
        said, ranked = "measured: the cheapest", [(one, cost.usd_per_accepted) for one, cost in costs]
    known = sorted(((one, cost) for one, cost in ranked if cost is not None), key=lambda one: one[1].value)
    shown = _seconds if unpriced else _usd
    (best, lowest), *others = known
    text = f"{said} accepted sample {of} is that of {best.name} ({best.source}), {shown(lowest)}"
    if others:
        next_one, cost = others[0]
        apart = "" if lowest.high < cost.low else _overlap(next_one.name)
        text += f"; next is {next_one.name} ({next_one.source}), {shown(cost)}{apart}"
    return text + (_warning(best, [one for one, _ in others]) if planned.get(NEW_QUESTION) else "")


def _warning(best: Piloted, others: Sequence[Piloted]) -> str:
    """Warn if the cheapest pair's answers agree less than another pair's: the checks of a new question may not notice wrong answers."""
    better = [one for one in others if one.agreement is not None and best.agreement and one.agreement.low > best.agreement.high]
    if not better:
        return ""
    most = max(better, key=lambda one: 0.0 if one.agreement is None else one.agreement.value)
    assert best.agreement is not None and most.agreement is not None
    return (
        f". But {_percent(best.agreement)} of its answers agree with the seeds' or with one another, where {_percent(most.agreement)} of"
        f" those of {most.name} do: as many answers to new questions may be wrong, which no check finds without `self_consistency` or"
        " `judge`"
    )


def _writers(found: Sequence[Piloted]) -> str:
    by_writer = writers(found)
    said = (
        "augmenter: this goes by what was measured and not by the size in a model's name, for a strong solver is not always a good writer"
        f" of questions ({AGORABENCH})"
    )
    if len(by_writer) < 2:
        return said
    best, other, *_ = by_writer
    assert best.usable is not None and other.usable is not None
    usable = "were accepted and said nothing that a seed or an earlier one had"
    if best.usable.value == other.usable.value:
        both = f"{_writer(best)} and {_writer(other)}"
        as_many = f"{said}. {both} write new questions equally well: {_percent(best.usable)} {usable}"
        if best.similarity is None or other.similarity is None or best.similarity.high >= other.similarity.low:
            return as_many
        return f"{as_many}, those of {_writer(best)} less alike ({best.similarity.value:.2f} against {other.similarity.value:.2f})"
    text = (
        f"{said}. The better writer of new questions is {_writer(best)}: of {number_of(best.asked, 'new question')} asked for"
        f" {_percent(best.usable)} {usable}; next is {_writer(other)}, {_percent(other.usable)}"
    )
    return text if other.usable.high < best.usable.low else f"{text}{_overlap(other.augmenter)}"


def _writer(one: Piloted) -> str:
    return f"{one.augmenter} ({one.source})"


def writers(found: Iterable[Piloted]) -> list[Piloted]:
    """Return one pair for each augmenter that was asked for new questions, the writer of most usable ones first.

    The first pair of each augmenter counts; among equals, the more diverse questions come first.
    """
    by_writer: dict[str, Piloted] = {}
    for one in found:
        if not one.error and one.usable is not None:
            by_writer.setdefault(one.writer, one)

    def rank(one: Piloted) -> tuple[float, float]:
        return (0.0 if one.usable is None else -one.usable.value, 1.0 if one.similarity is None else one.similarity.value)

    return sorted(by_writer.values(), key=rank)


def measured_strength(pilots: Sequence[Piloted]) -> Strength | None:
    """Return the strength of the first pair's augmenter: weak if another's questions are better and the intervals do not overlap.

    None if nothing was measured for it, or for no other.
    """
    found = writers(pilots)
    own = next((one for one in found if one.writer == pilots[0].writer), None)
    if own is None or own.usable is None or len(found) < 2:
        return None
    best = found[0]
    weak = best.usable is not None and own.usable.high < best.usable.low
    than = f"fewer usable new questions than {best.augmenter}" if weak else "usable new questions"
    return Strength(weak, f"{own.augmenter} wrote {than}, as the pilots measured")


def _overlap(name: str) -> str:
    return f" (the intervals overlap, so a larger N has to tell {name} apart)"


def _usd(cost: Value) -> str:
    return f"USD {_interval(cost.scaled(1000), short)} for 1,000"


def _seconds(cost: Value) -> str:
    return _interval(cost, short, " s")


def _percent(share: Value) -> str:
    return _interval(share.scaled(100), lambda one: f"{one:.0f}", " %")


def _interval(value: Value, shown: Callable[[float], str], unit: str = "") -> str:
    high = f" to {shown(value.high)}" if math.isfinite(value.high) else " and more"
    return f"{shown(value.value)}{unit} ({shown(value.low)}{high})"
