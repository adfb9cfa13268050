"""The paper's decision: the ratio of budget to seeds says which strategy is worth it. Pure functions; each constant has its source.

`decide` is the way in. Where the lead changes stands in `crossing.py`, whether the augmenter is strong in `augmenter.py`, what the
strategies cost in `costs.py` (measured: `pilot.py`), what a budget buys in `estimates.py`, what grading can show in `power.py`, reasons in
`words.py`, output in `show.py`, several models in `side_by_side.py`, `words_of_pilots.py` and
`show_pilots.py`.
A finished study of the user's own decides instead of the paper: `measured.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from axolotl_synthetic.config import Settings
from axolotl_synthetic.plan import words
from axolotl_synthetic.plan.augmenter import Strength, strength
from axolotl_synthetic.plan.costs import Rates, blend
from axolotl_synthetic.plan.crossing import band, crossover, share_of_new_prompts
from axolotl_synthetic.plan.estimates import Estimate, affordable
from axolotl_synthetic.plan.measured import Measured, choose, lead_changes
from axolotl_synthetic.plan.priced import Priced
from axolotl_synthetic.plan.side_by_side import Piloted
from axolotl_synthetic.plan.words import Case
from axolotl_synthetic.records import ANSWER_AUGMENTATION, NEW_QUESTION, QUESTION_REPHRASE

__all__ = ["Case", "Forecast", "Plan", "decide"]


@dataclass(frozen=True)
class Plan:
    """What `auto` decided, or what the user did.

    Attributes:
        strategy: name and share; the shares add up to 1.
        budget_ratio: samples that the budget buys for each seed: of new prompts under `auto`, whatever is then chosen, so that it
            can be held against the crossover and rises with the budget; of the strategy that the user named otherwise. None when
            what limits the budget costs nothing.
        crossover: the ratio at which new prompts take the lead for this many seeds.
        band: the ratios between which `auto` mixes.
        reasons: why, in words that a user can check.
    """

    strategy: Mapping[str, float]
    budget_ratio: float | None
    crossover: float
    band: tuple[float, float]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Forecast:
    """All that `axolotl synthetic plan` says.

    Attributes:
        case: what was decided about.
        plan: the decision. It is the run's own, so it never rests on a pilot.
        estimates, planned: what the budget buys of each strategy by itself, and of what was decided.
        assumed: what stands in for a measurement, in words.
        pilot: candidates of each strategy that a pilot was asked for, None without one.
        by_pilot: what `auto` would decide at the costs that it measured, None without one.
        prices: what the models cost; see `priced.py`.
        graded_on: held-out questions whose answers are right or wrong, 0 where there are none.
        pilots: of several teachers and augmenters, the config's own first; empty where no others were measured.
    """

    case: Case
    plan: Plan
    estimates: Mapping[str, Estimate]
    planned: Estimate
    assumed: str
    pilot: int | None = None
    by_pilot: Plan | None = None
    prices: Priced = field(default_factory=dict)
    graded_on: int = 0
    pilots: Sequence[Piloted] = ()


def decide(
    settings: Settings, case: Case, rates: Mapping[str, Rates], measured: Measured | None = None, by_pilots: Strength | None = None
) -> Plan:
    """Which strategies to use.

    Args:
        settings: the user's.
        case: what the decision is about beside them.
        rates: each strategy's cost; they matter where calls, tokens or dollars limit the samples.
        measured: a finished study, by which `auto` then decides.
        by_pilots: the augmenter's strength as pilots measured it; it counts where the config says nothing of it.
    """
    if measured is not None and settings.strategy == "auto":
        return _by_study(measured, settings, case, rates)
    augmenter = strength(settings.model_for("augmenter").strength, augmenter=case.augmenter, teacher=case.teacher)
    if by_pilots is not None and not augmenter.said:
        augmenter = by_pilots
    new_prompts = QUESTION_REPHRASE if augmenter.weak else NEW_QUESTION
    samples, by = affordable(settings.budget, rates[new_prompts])
    ratio = samples / case.seeds
    share = 1.0 if case.one_answer else share_of_new_prompts(case.seeds, ratio)
    shares = {ANSWER_AUGMENTATION: round(1 - share, 2), new_prompts: share}
    shares = {name: one for name, one in shares.items() if one > 0}
    found = words.Found(case, augmenter, new_prompts, ratio, share, samples, by)
    if settings.strategy == "auto":
        reasons = words.reasons(settings, found, rates)
    else:
        reasons = words.reasons_of_the_user(settings, found, shares, rates)
        named = settings.strategy if isinstance(settings.strategy, dict) else {settings.strategy: 1.0}
        shares = {name: float(one) for name, one in named.items() if one > 0}
        ratio = affordable(settings.budget, blend(rates, shares))[0] / case.seeds
    return Plan(shares, None if math.isinf(ratio) else ratio, crossover(case.seeds), band(case.seeds), reasons)


def _by_study(measured: Measured, settings: Settings, case: Case, rates: Mapping[str, Rates]) -> Plan:
    """The study's decision, with what the paper would say."""
    chosen = choose(measured, settings, case, rates)
    paper = decide(settings, case, rates)
    change = lead_changes(measured, case.seeds)
    middle, around = paper.crossover, paper.band
    if change is not None and change.samples is not None:
        middle = change.samples / change.seeds
        around = (change.low / change.seeds, change.high / change.seeds)
    without = f"without the study: {words.shares(paper.strategy)}, by the paper ({paper.reasons[0]})"
    return Plan({chosen.strategy: 1.0}, chosen.ratio, middle, around, (*chosen.reasons, *case.piloted, without))
