"""The paper's decision: the ratio of budget to seeds determines the best strategy. Pure functions; each constant has its source.

`decide` is the entry point.

- `crossing.py`: where new prompts take the lead
- `augmenter.py`: whether the augmenter is strong
- `costs.py`: what the strategies cost, assumed; `pilot.py`: the same, measured
- `estimates.py`: what a budget buys
- `power.py`: what difference grading can show
- `words.py`: the reasons; `show.py`: the output
- `side_by_side.py`, `words_of_pilots.py`, `show_pilots.py`: comparison of several models
- `measured.py`: the decision by a finished study of the user's, which replaces the paper's
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
    """A run's strategy, chosen by `auto` or by the user, and why.

    Attributes:
        strategy: name and share; the shares add up to 1.
        budget_ratio: samples that the budget buys per seed. Under `auto` these are samples of new prompts, whatever is then chosen, so
            the ratio is comparable with the crossover and rises with the budget. Otherwise they are samples of the strategy that the
            user named. None if what limits the budget costs nothing.
        crossover: the ratio at which new prompts take the lead for this many seeds.
        band: the ratios between which `auto` mixes.
        reasons: explanations that a user can check.
    """

    strategy: Mapping[str, float]
    budget_ratio: float | None
    crossover: float
    band: tuple[float, float]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Forecast:
    """Result of `axolotl synthetic plan`.

    Attributes:
        case: the case that was decided.
        plan: the decision. It is the run's own, so it never depends on a pilot.
        estimates, planned: what the budget buys of each strategy by itself, and of the planned mix.
        assumed: the assumptions used instead of measurements, in words.
        pilot: candidates of each strategy that a pilot was asked for, None without one.
        by_pilot: the decision of `auto` at the costs that the pilot measured, None without one.
        prices: the models' prices; see `priced.py`.
        graded_on: number of held-out questions whose answers are right or wrong, 0 if there are none.
        pilots: of several teachers and augmenters, the config's own first; empty if no others were measured.
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
    """Choose the strategies.

    Args:
        settings: the user's.
        case: facts other than the settings.
        rates: each strategy's cost; they matter if calls, tokens or dollars limit the samples.
        measured: a finished study, by which `auto` then decides.
        by_pilots: the augmenter's strength as pilots measured it, used if the config does not state it.
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
    """Return the study's decision; its last reason states the paper's."""
    chosen = choose(measured, settings, case, rates)
    paper = decide(settings, case, rates)
    change = lead_changes(measured, case.seeds)
    middle, around = paper.crossover, paper.band
    if change is not None and change.samples is not None:
        middle = change.samples / change.seeds
        around = (change.low / change.seeds, change.high / change.seeds)
    without = f"without the study: {words.shares(paper.strategy)}, by the paper ({paper.reasons[0]})"
    return Plan({chosen.strategy: 1.0}, chosen.ratio, middle, around, (*chosen.reasons, *case.piloted, without))
