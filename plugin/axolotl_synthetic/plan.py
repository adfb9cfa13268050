"""The paper's decision: the ratio of budget to seeds says which strategy is worth it. Pure functions; each constant has its source.

Facts from arXiv 2409.19759: at a low ratio more answers to the seed questions (Answer Augmentation) serve best, at a high one
new prompts do, New Question before Question Rephrase. Where the lead changes depends on the number of seeds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from axolotl_synthetic.config import Budget, Settings
from axolotl_synthetic.records import ANSWER_AUGMENTATION, NEW_QUESTION, QUESTION_REPHRASE, STRATEGIES, Seed

# |S| and the budget ratio at which new prompts take the lead. 27 to 51 was measured at 100 seeds, so their geometric mean stands
# for it; 16.4 is for the full sets, of which GSM8K's 7,473 is the size.
CROSSOVERS = ((100, math.sqrt(27 * 51)), (1_000, 17.6), (7_473, 16.4))

# Calls for one sample (arXiv 2409.19759): New Question asks for a question, for its author's judgement, and for the answer.
CALLS = {ANSWER_AUGMENTATION: 1, QUESTION_REPHRASE: 2, NEW_QUESTION: 3}


@dataclass(frozen=True)
class Plan:
    """What `auto` decided, or what the user did.

    Attributes:
        strategy: name and share.
        budget_ratio: accepted samples asked for (or affordable) per seed; None when the budget says nothing of samples.
        crossover: the ratio at which new prompts take the lead for this many seeds.
        reasons: why, in words that a user can check.
    """

    strategy: Mapping[str, float]
    budget_ratio: float | None
    crossover: float
    reasons: tuple[str, ...]


def crossover(seeds: int) -> float:
    """The budget ratio at which new prompts take the lead, interpolated over log |S|, constant outside the measured sizes."""
    points = [(math.log(size), ratio) for size, ratio in CROSSOVERS]
    here = math.log(max(1, seeds))
    if here <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in itertools.pairwise(points):
        if here <= right:
            return low + (high - low) * (here - left) / (right - left)
    return points[-1][1]


def affordable_samples(budget: Budget, calls: float) -> float | None:
    """Samples that the budget allows at so many calls each, None when only tokens or dollars limit it."""
    limits = [float(budget.samples)] if budget.samples is not None else []
    if budget.queries is not None:
        limits.append(budget.queries / calls)
    return min(limits) if limits else None


def decide(settings: Settings, seeds: int, extra: Mapping[str, float] | None = None) -> Plan:
    """Which strategies to use.

    Args:
        settings: the user's.
        seeds: |S|, without the held-out ones.
        extra: for each strategy, the calls a sample that the checks make beyond the strategy's own.
    """
    extra = extra or {}
    turn = crossover(seeds)
    if settings.strategy != "auto":
        shares = settings.strategy if isinstance(settings.strategy, dict) else {settings.strategy: 1.0}
        shares = {name: float(share) for name, share in shares.items() if share > 0}
        calls = sum((CALLS[name] + extra.get(name, 0)) * share for name, share in shares.items())
        samples = affordable_samples(settings.budget, calls)
        return Plan(shares, _ratio(samples, seeds), turn, ("the config names the strategy",))
    weak = settings.augmenter is not None and settings.augmenter.strength == "weak"
    above = QUESTION_REPHRASE if weak else NEW_QUESTION
    samples = affordable_samples(settings.budget, CALLS[above] + extra.get(above, 0))
    ratio = _ratio(samples, seeds)
    measured = f"the paper saw the lead change at a budget ratio of about {turn:.1f} for {seeds} seeds"
    outside = () if 100 <= seeds <= CROSSOVERS[-1][0] else (f"{seeds} seeds are outside the 100 to 7,473 that the paper measured",)
    if ratio is None:
        reason = "tokens and dollars say nothing of the number of samples, so the cheapest strategy a sample was taken"
        return Plan({ANSWER_AUGMENTATION: 1.0}, None, turn, (reason, *outside))
    if ratio < turn:
        reason = f"{ratio:.1f} samples a seed, if they were new questions, are few: more answers to the seeds' own questions serve best"
        samples = affordable_samples(settings.budget, CALLS[ANSWER_AUGMENTATION] + extra.get(ANSWER_AUGMENTATION, 0))
        return Plan({ANSWER_AUGMENTATION: 1.0}, _ratio(samples, seeds), turn, (reason, measured, *outside))
    reason = f"{ratio:.1f} samples a seed are many: new questions serve best"
    because = ("a weak augmenter rewords well but invents badly",) if weak else ()
    return Plan({above: 1.0}, ratio, turn, (reason, measured, *because, *outside))


@dataclass(frozen=True)
class Estimate:
    """What one strategy would cost. None where it cannot be known.

    Attributes:
        queries: calls to all models.
        tokens: prompt and completion together.
        usd: None without prices.
        hours: at the teacher's concurrency.
        accepted: samples.
        usd_per_accepted: US dollars for one of them.
        assumed: what stands in for a measurement, in words.
    """

    queries: float | None
    tokens: float | None
    usd: float | None
    hours: float | None
    accepted: float | None
    usd_per_accepted: float | None
    assumed: str


# Where nothing was measured. Four characters a token is the usual rule for English; 30 tokens a second is what a served model
# of tens of billions of parameters gives one of many open calls.
CHARACTERS_PER_TOKEN = 4
TOKENS_PER_SECOND = 30
SHOWN_EXAMPLES = 4


def estimate(settings: Settings, seeds: Sequence[Seed], extra: Mapping[str, float] | None = None) -> dict[str, Estimate]:
    """Each strategy's cost within the budget, from the seeds' own lengths, with every candidate taken to be accepted.

    Args:
        settings, seeds: as they are.
        extra: for each strategy, the calls a sample that the checks make beyond the strategy's own, each taken to cost an answer.
    """
    extra = extra or {}
    question = sum(len(seed.question.text) for seed in seeds) / len(seeds) / CHARACTERS_PER_TOKEN
    answers = [len(seed.answer) for seed in seeds if seed.answer]
    written = sum(answers) / len(answers) / CHARACTERS_PER_TOKEN if answers else 0.0
    # A bare value as the seed's answer says nothing of the length of a worked one.
    answer = min(max(written, 100.0), settings.teacher.generation.max_new_tokens)
    assumed = (
        f"{question:.0f} tokens a question and {answer:.0f} an answer ({CHARACTERS_PER_TOKEN} characters a token, from the seeds),"
        f" {SHOWN_EXAMPLES} worked examples a prompt, {TOKENS_PER_SECOND} tokens/s a call, every candidate accepted"
    )
    return {name: _estimate(settings, name, question, answer, assumed, extra.get(name, 0)) for name in STRATEGIES}


def _estimate(settings: Settings, name: str, question: float, answer: float, assumed: str, extra: float) -> Estimate:
    calls = CALLS[name]
    shown = SHOWN_EXAMPLES * (question + answer)
    # Prompt and completion tokens by the model that is asked: the answer, then the augmenter's calls.
    teacher = ((1 + extra) * (shown + question), (1 + extra) * answer)
    augmenter = ((calls - 1) * (SHOWN_EXAMPLES * question), (calls - 1) * question)
    tokens = sum(teacher) + sum(augmenter)
    price, other = settings.teacher.price, settings.model_for("augmenter").price
    usd = None
    if price is not None and other is not None:
        usd = (teacher[0] * price.input + teacher[1] * price.output + augmenter[0] * other.input + augmenter[1] * other.output) / 1e6
    budget = settings.budget
    limits = [
        None if budget.samples is None else float(budget.samples),
        None if budget.queries is None else budget.queries / (calls + extra),
        None if budget.tokens is None else budget.tokens / tokens,
        None if budget.usd is None or not usd else budget.usd / usd,
    ]
    accepted = min(limit for limit in limits if limit is not None)
    seconds = (teacher[1] + augmenter[1]) / TOKENS_PER_SECOND
    return Estimate(
        queries=accepted * (calls + extra),
        tokens=accepted * tokens,
        usd=None if usd is None else accepted * usd,
        hours=accepted * seconds / settings.teacher.concurrency / 3600,
        accepted=accepted,
        usd_per_accepted=usd,
        assumed=assumed,
    )


def to_dict(plan: Plan, estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    """What `plan --json` prints."""
    fields = ("queries", "tokens", "usd", "hours", "accepted", "usd_per_accepted")
    return {
        "strategy": dict(plan.strategy),
        "budget_ratio": plan.budget_ratio,
        "crossover": plan.crossover,
        "reasons": list(plan.reasons),
        "estimates": {name: {field: getattr(one, field) for field in fields} for name, one in estimates.items()},
    }


def _ratio(samples: float | None, seeds: int) -> float | None:
    return None if samples is None else samples / seeds
