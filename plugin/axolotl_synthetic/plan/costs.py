"""Cost of a candidate of each strategy: calls, tokens, dollars, seconds. `estimates.py` computes what a budget buys at that cost.

`assume` computes the costs from the lengths of the seeds and prompts; `pilot.py` measures them. Every number has an interval, whose width
is zero if nothing was measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from axolotl_synthetic.config import BATCH_SHARE, EmbeddedModel, Model, OpenAIModel, Price, Settings
from axolotl_synthetic.records import ANSWER_AUGMENTATION, NEW_QUESTION, QUESTION_REPHRASE, Purpose, Role
from axolotl_synthetic.wording import number_of

# Calls for one sample, in their order (arXiv 2409.19759: 1, 2 and 3).
CALLS: Mapping[str, Mapping[Purpose, float]] = {
    ANSWER_AUGMENTATION: {"answer": 1},
    QUESTION_REPHRASE: {"rephrase": 1, "answer": 1},
    NEW_QUESTION: {"new_question": 1, "self_check": 1, "answer": 1},
}
# For each strategy, the call whose prompt is the same in every round of a seed.
REPEATED: Mapping[str, Purpose] = {ANSWER_AUGMENTATION: "answer", QUESTION_REPHRASE: "rephrase", NEW_QUESTION: "new_question"}
ROLES: Mapping[Purpose, Role] = {
    "answer": "teacher",
    "rephrase": "augmenter",
    "new_question": "augmenter",
    "self_check": "augmenter",
    "judge": "teacher",
    "difficulty": "student",
}

# Assumed without a measurement. Four characters per token is OpenAI's rule of thumb for English; the other constants are our own.
CHARACTERS_PER_TOKEN = 4
# If a seed's answer is a bare value, the length of a worked answer is unknown; assume at least this many tokens.
SHORTEST_ANSWER = 100.0
# Our prompt asks: "Think briefly, then end with one word."
SELF_CHECK_TOKENS = 40.0
# Speed of one call among many to a served model with tens of billions of parameters.
TOKENS_PER_SECOND = 30.0
# SmolLM2-135M on two cores gave about 130 tokens/s over its 8 slots.
EMBEDDED_TOKENS_PER_SECOND = 16.0


@dataclass(frozen=True, slots=True)
class Value:
    """A mean and its interval; `high` is infinite if there are too few observations."""

    value: float
    low: float
    high: float

    def scaled(self, by: float) -> Value:
        return Value(self.value * by, self.low * by, self.high * by)


def sure(value: float) -> Value:
    """Return a value without an interval: it is assumed or known exactly."""
    return Value(value, value, value)


@dataclass(frozen=True, slots=True)
class Length:
    """Length of one kind of call, in tokens.

    Attributes:
        prompt, completion: expected lengths.
        worst_prompt: the prompt tokens that the ledger would reserve for the shortest prompt of its kind.
        shared: share of a prompt that is also the beginning of the prompt before it.
    """

    prompt: float
    completion: float
    worst_prompt: int
    shared: float = 0.0


@dataclass(frozen=True)
class Rates:
    """Average cost of one candidate of a strategy.

    Attributes:
        accepted: share of the candidates, 0 to 1.
        queries: calls.
        tokens: prompt and completion together.
        usd: US dollars; None if a model's price is unknown.
        seconds: seconds of each model's replies.
        prompt_tokens, cacheable_tokens: tokens of the prompts, and those of them that a server's prefix cache can serve.
        least_tokens, least_usd: budget that must be free to admit a candidate, since calls are reserved at their worst case.
        measured: candidates that this was measured on; 0 if it is assumed.
    """

    accepted: Value
    queries: Value
    tokens: Value
    usd: Value | None
    seconds: Mapping[Role, Value]
    least_tokens: float = 0.0
    least_usd: float = 0.0
    measured: int = 0
    prompt_tokens: float = 0.0
    cacheable_tokens: float = 0.0


def calls_per_sample(
    settings: Settings, answered: float = 1.0, extra: Mapping[str, Mapping[Purpose, float]] | None = None
) -> dict[str, dict[Purpose, float]]:
    """Return the calls for one sample of each strategy under these settings, by purpose, in their order.

    Args:
        settings: the user's.
        answered: share of the seeds that have an answer.
        extra: for each strategy, additional calls made by checks, by purpose.
    """
    calls = {name: dict(purposes) for name, purposes in CALLS.items()}
    if settings.reuse_seed_answers:
        calls[QUESTION_REPHRASE]["answer"] = 1 - answered
    if settings.turns is not None:
        calls[NEW_QUESTION] |= {"new_question": settings.turns, "answer": settings.turns}
    for name, further in (extra or {}).items():
        for purpose, number in further.items():
            calls[name][purpose] = calls[name].get(purpose, 0) + number
    return calls


def assume(
    settings: Settings, lengths: Mapping[Purpose, Length], calls: Mapping[str, Mapping[Purpose, float]] | None = None, rounds: float = 1
) -> dict[str, Rates]:
    """Return each strategy's costs without a measurement: every candidate is accepted and no call retried.

    Args:
        settings: provide the prices.
        lengths: of each kind of call; a missing kind is assumed to be as long as an answer.
        calls: calls for one sample; by default the paper's.
        rounds: samples per seed.
    """
    return {name: _assumed(settings, lengths, purposes, REPEATED[name], rounds) for name, purposes in (calls or CALLS).items()}


def _assumed(
    settings: Settings, lengths: Mapping[Purpose, Length], calls: Mapping[Purpose, float], repeated: Purpose, rounds: float
) -> Rates:
    prompts = cacheable = 0.0
    tokens = usd = least_tokens = least_usd = 0.0
    priced = True
    seconds: dict[Role, float] = dict.fromkeys(settings.models, 0.0)
    # A candidate is admitted if all its calls fit at the worst case of the first (`pipelines/admission.py`).
    promised = sum(max(1, math.ceil(number)) for number in calls.values())
    for purpose, number in calls.items():
        if not number:
            continue
        length, role = lengths.get(purpose, lengths["answer"]), ROLES[purpose]
        model = settings.model_for(role)
        longest = model.generation.max_new_tokens
        price = model.charged or Price(input=0, output=0)
        priced = priced and model.charged is not None
        # A later call must fit after the actual cost of the earlier ones.
        least_tokens = max(least_tokens, tokens + promised * (length.worst_prompt + longest))
        least_usd = max(least_usd, usd + promised * price.worst_usd(length.worst_prompt, longest))
        promised = 1
        # Several answers requested in one call share its prompt tokens.
        together = max(1.0, min(model.at_once, math.floor(rounds))) if purpose == repeated == "answer" else 1.0
        prompt = length.prompt / together
        # In later rounds of a seed, the whole prompt repeats an earlier one.
        again = 1 - min(1.0, together / max(1.0, rounds)) if purpose == repeated else 0.0
        tokens += number * (prompt + length.completion)
        prompts += number * prompt
        cacheable += number * prompt * (again + (1 - again) * length.shared)
        usd += number * price.usd(prompt, length.completion)
        seconds[role] += number * length.completion / _speed(model)
    return Rates(
        accepted=sure(1.0),
        queries=sure(sum(calls.values())),
        tokens=sure(tokens),
        usd=sure(usd) if priced else None,
        seconds={role: sure(one) for role, one in seconds.items()},
        least_tokens=least_tokens,
        least_usd=least_usd,
        prompt_tokens=prompts,
        cacheable_tokens=cacheable,
    )


def _speed(model: Model) -> float:
    return EMBEDDED_TOKENS_PER_SECOND if isinstance(model, EmbeddedModel) else TOKENS_PER_SECOND


def assumptions(settings: Settings, lengths: Mapping[Purpose, Length]) -> str:
    """Describe the assumptions of `assume`."""
    answer = lengths["answer"]
    return (
        f"prompts as they will be sent, {answer.prompt:.0f} tokens for an answer ({CHARACTERS_PER_TOKEN} characters a token), replies of"
        f" {number_of(round(answer.completion), 'token')}, {_speed(settings.teacher):.0f} tokens/s a call, every candidate accepted and no"
        " call repeated"
        " (of the answers that the paper's teacher gave for Spider about 10 % were wrong); `--pilot 20` measures instead"
        + batches(settings)
    )


def batches(settings: Settings) -> str:
    """Describe how batches change cost and time; return an empty text without batches."""
    sent = [model.known_price for model in settings.models.values() if isinstance(model, OpenAIModel) and model.batch is not None]
    if not sent:
        return ""
    shares = {
        f"{BATCH_SHARE if price.batch is None else price.batch:.0%}" + (" (the default)" if price.batch is None else "")
        for price in sent
        if price is not None
    }
    cost = f" cost {' or '.join(sorted(shares))} of the price (`price.batch`) and" if shares else ""
    return f"; calls in batches{cost} may take a day for each wave, whatever the time above says"


def blend(rates: Mapping[str, Rates], shares: Mapping[str, float]) -> Rates:
    """Return the costs of a candidate of a mix. Adding up the parts' intervals gives an interval that is wide enough."""
    parts = [(rates[name], share) for name, share in shares.items() if share > 0]
    usd = [(one.usd, share) for one, share in parts if one.usd is not None]
    return Rates(
        accepted=total((one.accepted, share) for one, share in parts),
        queries=total((one.queries, share) for one, share in parts),
        tokens=total((one.tokens, share) for one, share in parts),
        usd=total(usd) if len(usd) == len(parts) else None,
        seconds={role: total((one.seconds[role], share) for one, share in parts) for role in parts[0][0].seconds},
        least_tokens=min(one.least_tokens for one, _ in parts),
        least_usd=min(one.least_usd for one, _ in parts),
        measured=min(one.measured for one, _ in parts),
        prompt_tokens=sum(share * one.prompt_tokens for one, share in parts),
        cacheable_tokens=sum(share * one.cacheable_tokens for one, share in parts),
    )


def certain(rates: Rates) -> Rates:
    """Return what is known without a measurement: calls per candidate, the budget to admit the first, and that none is quite free."""
    usd = None if rates.usd is None else sure(rates.usd.value * 1e-9)
    return replace(rates, tokens=sure(1.0), usd=usd)


def total(parts: Iterable[tuple[Value, float]]) -> Value:
    """Return the weighted sum of values and of their intervals."""
    scaled = [value.scaled(share) for value, share in parts]
    return Value(sum(one.value for one in scaled), sum(one.low for one in scaled), sum(one.high for one in scaled))
