"""The cost of candidates, what a budget buys of them, and a pilot's estimates: every number is computed by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.config import Budget, load_settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.ledger import worst_prompt_tokens
from axolotl_synthetic.plan.costs import CALLS, Length, Rates, Value, assume, assumptions, blend, calls_per_sample, certain, sure
from axolotl_synthetic.plan.estimates import affordable, estimate, limits, of_each, refuse_too_small
from axolotl_synthetic.plan.pilot import Paid, mean, measure, proportion
from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.strategies import worked_examples
from axolotl_synthetic.strategies.lengths import lengths
from axolotl_synthetic.tasks import load_task

PRICE = {"input": 1.0, "output": 2.0}
LENGTHS = {
    "answer": Length(prompt=400, completion=100, worst_prompt=1_800),
    "rephrase": Length(prompt=100, completion=25, worst_prompt=600),
    "new_question": Length(prompt=200, completion=25, worst_prompt=1_000),
    "self_check": Length(prompt=80, completion=40, worst_prompt=500),
}


def settings(**block):
    return load_settings({"teacher": {"model": "Big-70B", "price": PRICE, "concurrency": 2}, **block})


def rates(**values) -> Rates:
    """Return a candidate of one call, 100 tokens, a cent and two seconds, of which every other is accepted."""
    made = {"accepted": sure(0.5), "queries": sure(1), "tokens": sure(100), "usd": sure(0.01)}
    return Rates(**{**made, "seconds": {"teacher": sure(2.0), "augmenter": sure(0.0)}, **values})


# Assumed costs


def test_the_tokens_dollars_and_seconds_of_a_strategy_are_those_of_its_calls():
    one = assume(settings(), LENGTHS)["new_question"]
    assert one.queries == sure(3)
    assert one.tokens.value == (200 + 25) + (80 + 40) + (400 + 100)
    assert one.usd.value == pytest.approx(((200 + 80 + 400) * 1 + (25 + 40 + 100) * 2) / 1e6)
    assert one.seconds == {"augmenter": sure(65 / 30), "teacher": sure(100 / 30)}  # 30 tokens per second
    assert one.accepted == sure(1)
    assert one.measured == 0
    # Budget that the ledger requires to be free: 3 calls at the worst length of the first, 1,000 and the 512 of max_new_tokens.
    assert one.least_tokens == 3 * 1_512
    assert one.least_usd == pytest.approx(3 * (1_000 * 1 + 512 * 2) / 1e6)


def test_the_augmenters_calls_have_the_augmenters_price_and_one_without_a_price_makes_the_cost_unknown():
    cheap = assume(settings(augmenter={"model": "Small-8B", "price": {"input": 0.1, "output": 0.1}}), LENGTHS)
    assert cheap["question_rephrase"].usd.value == pytest.approx((400 * 1 + 100 * 2 + 125 * 0.1) / 1e6)
    unknown = assume(settings(augmenter={"model": "Small-8B"}), LENGTHS)
    assert unknown["question_rephrase"].usd is None
    assert unknown["answer_augmentation"].usd.value == pytest.approx((400 * 1 + 100 * 2) / 1e6)  # it only asks the teacher


def test_a_students_calls_are_its_own_in_dollars_and_in_hours():
    calls = {"new_question": {"answer": 1.0, "difficulty": 1.0}}
    own = {"model": "weak", "concurrency": 1, "price": {"input": 3.0, "output": 4.0}}
    made = assume(settings(student=own, verify=["difficulty"]), LENGTHS, calls)["new_question"]
    # As long as an answer: 400 tokens and 100, at 30 tokens per second.
    assert made.usd.value == pytest.approx((400 * 1 + 100 * 2 + 400 * 3 + 100 * 4) / 1e6)
    assert made.seconds == {"teacher": sure(100 / 30), "augmenter": sure(0), "student": sure(100 / 30)}
    # The student makes one call at a time, the teacher two.
    hours = estimate(settings(student=own, verify=["difficulty"]), Budget(samples=10), made).hours
    assert hours.value == pytest.approx(10 * 100 / 30 / 3600)


def test_a_seeds_answer_that_is_kept_saves_the_call():
    kept = calls_per_sample(settings(reuse_seed_answers=True), answered=0.75)
    assert kept["question_rephrase"] == {"rephrase": 1, "answer": 0.25}
    assert kept["answer_augmentation"] == CALLS["answer_augmentation"]
    assert calls_per_sample(settings()) == {name: dict(calls) for name, calls in CALLS.items()}


def test_what_checks_ask_beyond_a_strategys_own_calls_is_counted():
    assert calls_per_sample(settings(), extra={"new_question": {"answer": 4}})["new_question"] == {
        "new_question": 1,
        "self_check": 1,
        "answer": 5,
    }


def test_a_kind_of_call_whose_length_is_unknown_is_taken_to_be_as_long_as_an_answer():
    judged = assume(settings(), LENGTHS, {"answer_augmentation": {"answer": 1, "judge": 1}})["answer_augmentation"]
    assert judged.tokens == sure(2 * 500)


def test_assumptions_are_named():
    text = assumptions(settings(), LENGTHS)
    for said in ("400 tokens for an answer", "replies of 100 tokens", "30 tokens/s", "every candidate accepted", "--pilot"):
        assert said in text


def test_a_mix_costs_the_mean_of_its_parts():
    parts = {"a": rates(queries=sure(1), accepted=Value(0.5, 0.2, 0.8)), "b": rates(queries=sure(3), accepted=Value(1, 0.6, 1))}
    mixed = blend(parts, {"a": 0.75, "b": 0.25})
    assert mixed.queries == sure(1.5)
    assert mixed.accepted == Value(0.625, pytest.approx(0.3), pytest.approx(0.85))
    assert blend({**parts, "b": rates(usd=None)}, {"a": 0.75, "b": 0.25}).usd is None


# Lengths of the prompts


def test_prompts_are_as_long_as_those_that_a_run_sends():
    seeds = [
        Seed(str(n), Question(f"There are {n} jars with 3 cards each. How many?"), f"{n} * 3 = {3 * n}\n#### {3 * n}")
        for n in range(10, 20)
    ]
    task, made = load_task("math"), settings()
    found = lengths(made, task, seeds, worst_prompt_tokens)
    examples = worked_examples(seeds, made.seed)
    sent = [task.answer_messages(seed.question, examples.beside(seed)) for seed in seeds]
    characters = sum(len(turn["content"]) for chat in sent for turn in chat)
    assert found["answer"].prompt == pytest.approx(characters / 10 / 4)  # four characters per token
    assert found["answer"].worst_prompt == min(worst_prompt_tokens(chat) for chat in sent)
    assert found["answer"].completion == 100  # these answers are short, and a bare value does not show a worked answer's length
    assert found["rephrase"].completion == pytest.approx(len(seeds[0].question.text) / 4)
    assert found["self_check"].prompt > found["rephrase"].completion


def test_a_reply_is_no_longer_than_it_may_be():
    seeds = [Seed("a", Question("How many?"), "x" * 4_000 + "\n#### 1")]
    long = lengths(settings(), load_task("math"), seeds, worst_prompt_tokens)["answer"]
    assert long.completion == 512
    short = {"model": "Big-70B", "generation": {"max_new_tokens": 20}}
    assert lengths(settings(teacher=short), load_task("math"), seeds, worst_prompt_tokens)["self_check"].completion == 20


def test_a_task_that_makes_no_prompt_at_all_is_told_of():
    class Broken(type(load_task("math"))):
        def rephrase_messages(self, question, examples):
            raise KeyError("table")

    with pytest.raises(ConfigError, match=r"synthetic\.task: math can make prompts for no seed: KeyError: 'table'"):
        lengths(settings(), Broken(), [Seed("a", Question("How many?"), "1")], worst_prompt_tokens)


# What a budget buys


@pytest.mark.parametrize(
    ("budget", "samples", "by"),
    [
        ({"samples": 10}, 10, "samples"),
        ({"queries": 30}, 15, "queries"),  # 30 candidates, every other accepted
        ({"tokens": 1_000}, 5, "tokens"),  # 10 candidates
        ({"usd": 1.0}, 50, "usd"),  # 100 candidates
        ({"samples": 100, "usd": 1.0}, 50, "usd"),
        ({"samples": 10, "usd": 1.0, "tokens": 1_000_000, "queries": 1_000}, 10, "samples"),
        ({"tokens": 99}, 0, "tokens"),  # less than one candidate
    ],
)
def test_the_first_limit_that_is_reached_decides(budget, samples, by):
    assert affordable(Budget(**budget), rates()) == (pytest.approx(samples), by)


def test_a_run_ends_after_20_candidates_for_each_sample_asked_for():
    assert affordable(Budget(samples=10), rates(accepted=sure(0.04))) == (pytest.approx(8), "candidates")  # 200 * 0.04
    assert affordable(Budget(samples=10), rates(accepted=sure(0.0))) == (0, "candidates")


def test_the_last_candidate_must_fit_at_its_worst_case():
    # 450 tokens must be free for a candidate, which then uses 100: at 1,000 tokens six fit (500 spent, 500 free, then 400 free).
    candidates, _ = affordable(Budget(tokens=1_000), rates(least_tokens=450, accepted=sure(1.0)))
    assert math.floor(candidates) == 6
    assert affordable(Budget(tokens=450), rates(least_tokens=450, accepted=sure(1.0)))[0] == 1
    assert affordable(Budget(tokens=449), rates(least_tokens=450, accepted=sure(1.0)))[0] == 0


COSTS = st.floats(0.001, 10_000)


@given(
    budget=st.builds(Budget, queries=st.integers(1, 10**6), tokens=st.integers(1, 10**9), usd=st.floats(0.001, 10**5)),
    queries=st.floats(1, 20),
    tokens=COSTS,
    usd=COSTS,
    least=COSTS,
    accepted=st.floats(0.01, 1),
)
def test_what_is_affordable_never_exceeds_the_budget(budget, queries, tokens, usd, least, accepted):
    one = rates(queries=sure(queries), tokens=sure(tokens), usd=sure(usd), least_tokens=least, accepted=sure(accepted))
    candidates = affordable(budget, one)[0] / accepted
    for limit, each in ((budget.queries, queries), (budget.tokens, tokens), (budget.usd, usd)):
        assert candidates * each <= limit * (1 + 1e-9)
    made = estimate(settings(), budget, one)
    assert made.queries.value <= budget.queries
    assert made.tokens.value <= budget.tokens
    assert made.usd.value <= budget.usd


def test_an_estimate_adds_up():
    # 10 samples with every other accepted: 20 candidates of one call, 100 tokens, a cent and two seconds, two calls open at once.
    made = estimate(settings(), Budget(samples=10), rates())
    assert (made.queries.value, made.tokens.value, made.usd.value) == (20, 2_000, pytest.approx(0.2))
    assert made.hours.value == pytest.approx(20 * 2 / 2 / 3600)
    assert made.accepted.value == 10
    assert made.usd_per_accepted.value == pytest.approx(0.02)
    assert made.meets_budget


def test_two_models_work_at_the_same_time_and_the_busier_one_sets_the_hours():
    two = settings(augmenter={"model": "Small-8B", "concurrency": 1})
    # 10 candidates: 20 s of the teacher's with two calls open are 10 s; 15 s of the augmenter's with one open are 15 s.
    busy = rates(accepted=sure(1.0), seconds={"teacher": sure(2.0), "augmenter": sure(1.5)})
    assert estimate(two, Budget(samples=10), busy).hours.value == pytest.approx(15 / 3600)
    # One model for both: 35 s with two open.
    assert estimate(settings(), Budget(samples=10), busy).hours.value == pytest.approx(17.5 / 3600)


def test_nothing_takes_less_time_than_one_candidate():
    wide = settings(teacher={"model": "Big-70B", "concurrency": 64})
    assert estimate(wide, Budget(samples=1), rates(accepted=sure(1.0))).hours.value == pytest.approx(2 / 3600)


def test_a_budget_below_one_candidate_buys_nothing():
    made = estimate(settings(), Budget(queries=2), rates(queries=sure(3)))
    assert (made.accepted.value, made.queries.value, made.hours.value) == (0, 0, 0)
    assert not made.meets_budget


def test_a_pilots_other_strategies_are_paid_for_out_of_the_budget():
    # 10 measured candidates of each: of 100 calls 10 were spent on the other one.
    both = {"answer_augmentation": rates(measured=10, accepted=sure(1.0)), "new_question": rates(measured=10, accepted=sure(1.0))}
    each, mix = of_each(settings(budget={"queries": 100}), both, {"answer_augmentation": 0.5, "new_question": 0.5})
    assert each["answer_augmentation"].accepted.value == 90
    assert mix.accepted.value == 100  # it uses the calls of both


# Intervals


def test_an_interval_spans_those_of_both_numbers_and_a_limit_has_none():
    measured = rates(accepted=Value(0.5, 0.25, 1.0), tokens=Value(100, 80, 160), measured=4)
    made = estimate(settings(), Budget(samples=10), measured)
    # 10 samples are 20 candidates, 10 to 40: tokens from 10 * 80 to 40 * 160.
    assert made.tokens == Value(2_000, 800, 6_400)
    assert made.accepted == Value(10, 10, 10)
    assert made.usd_per_accepted == Value(0.02, 0.01, 0.04)
    # 1,000 tokens are 10 candidates, 6.25 to 12.5, of which 5 are accepted, 6.25 * 0.25 to 12.5.
    limited = estimate(settings(), Budget(tokens=1_000), measured)
    assert limited.tokens == Value(1_000, 1_000, 1_000)
    assert limited.accepted == Value(5, 1.5625, 12.5)


def test_a_share_has_the_wilson_interval():
    # 8 of 10 at 97.5 %, z = 2.2414: middle (0.8 + z²/20) / (1 + z²/10) = 0.6997, half z * sqrt(0.016 + z²/400) / (1 + z²/10) = 0.2525.
    assert proportion(8, 10) == Value(0.8, pytest.approx(0.4472, abs=2e-3), pytest.approx(0.9522, abs=2e-3))
    assert proportion(0, 5).value == proportion(0, 5).low == 0
    assert 0.3 < proportion(0, 5).high < 0.6  # z² / (n + z²) = 5.02 / 10.02


def test_a_mean_has_the_t_interval():
    # 1, 2, 3: s = 1, t of 2 degrees at 98.75 % is 6.205: half 6.205 / sqrt(3) = 3.58, cut off at 0.
    assert mean([1, 2, 3]) == Value(2, 0, pytest.approx(5.58, abs=0.01))
    # 100 times as far from 0: 200 ± 3.58.
    assert mean([199, 200, 201]).low == pytest.approx(196.42, abs=0.01)
    assert mean([7, 7, 7]) == Value(7, 7, 7)
    assert mean([7]) == Value(7, 0, math.inf)


def row(strategy, status, requests, reason=None):
    return {"strategy": strategy, "status": status, "requests": requests, "reason": reason}


def test_a_pilot_measures_what_its_candidates_took():
    calls = {
        1: Paid("teacher", 400, 100, 2.0),
        2: Paid("teacher", 400, 120, 4.0),
        3: Paid("augmenter", 100, 20, 1.0),
        4: Paid("teacher", 300, 80, 2.0),
    }
    rows = [
        row("answer_augmentation", "accepted", [1]),
        row("answer_augmentation", "rejected", [2]),
        row("question_rephrase", "accepted", [3, 4]),
    ]
    assumed = assume(settings(), LENGTHS)
    found = measure(settings(), assumed, rows, calls)
    answers = found["answer_augmentation"]
    assert answers.measured == 2
    assert (answers.accepted.value, answers.queries.value, answers.tokens.value) == (0.5, 1, 510)  # 500 and 520
    assert answers.usd.value == pytest.approx((800 * 1 + 220 * 2) / 2 / 1e6)
    assert answers.seconds["teacher"].value == 3
    reworded = found["question_rephrase"]
    assert (reworded.queries.value, reworded.tokens.value) == (2, 500)
    assert {role: one.value for role, one in reworded.seconds.items()} == {"teacher": 2, "augmenter": 1}
    assert reworded.tokens.high == math.inf  # one candidate gives no spread
    assert found["new_question"] == assumed["new_question"]


def test_candidates_that_a_budget_cut_short_or_that_cost_nothing_are_no_measurement():
    calls = {1: Paid("augmenter", 100, 20, 1.0), 2: Paid("augmenter", 100, 20, 1.0)}
    rows = [
        row("new_question", "failed", [1], "budget: no queries left for the next call"),
        row("new_question", "failed", [], "http_500: …"),
        row("new_question", "rejected", [2], "self_check"),
    ]
    found = measure(settings(), assume(settings(), LENGTHS), rows, calls)["new_question"]
    assert (found.measured, found.queries.value, found.accepted.value) == (1, 1, 0)


def test_a_server_that_counts_no_tokens_leaves_them_assumed():
    found = measure(
        settings(), assume(settings(), LENGTHS), [row("answer_augmentation", "accepted", [1])], {1: Paid("teacher", None, None, 2.0)}
    )
    one = found["answer_augmentation"]
    assert (one.measured, one.tokens, one.seconds["teacher"].value) == (1, sure(500), 2)


# Too small budgets


def refusal(block, measured=None) -> str:
    made = settings(budget=block)
    with pytest.raises(ConfigError) as error:
        refuse_too_small(made.budget, measured or assume(made, LENGTHS))
    return str(error.value)


def test_too_few_calls_say_how_many_it_takes():
    text = refusal({"samples": 1_000, "queries": 10})
    assert "no strategy can make 1,000 samples with queries: 10" in text
    assert "answer_augmentation: 1,000 queries" in text
    assert "question_rephrase: 2,000 queries" in text
    assert "new_question: 3,000 queries" in text
    assert "ask for at most 10 samples" in text


def test_tokens_below_one_call_say_how_many_it_takes():
    # One answer: at most 1,800 of the prompt and 512 of the reply.
    text = refusal({"tokens": 2_311})
    assert "no strategy can make a single sample with tokens: 2,311" in text
    assert "answer_augmentation: 2,312 tokens" in text
    assert "ask for" not in text
    refuse_too_small(Budget(tokens=2_312), assume(settings(), LENGTHS))


def test_a_candidate_needs_room_for_its_last_call_beside_what_the_others_took():
    # Two calls at the worst length of the first, 2 * (600 + 512), are less than 125 for the question and 1,800 + 512 for the answer.
    assert assume(settings(), LENGTHS)["question_rephrase"].least_tokens == 125 + 2_312


def test_every_limit_is_told_of():
    text = refusal({"samples": 1_000, "queries": 5_000, "usd": 0.1})
    # 999 answers at 0.0006 and room for one at the worst case, (1,800 + 2 * 512) / 1e6.
    assert "answer_augmentation: 1,000 queries, 0.6 usd" in text


def test_a_budget_that_one_strategy_can_meet_is_let_through_and_the_others_are_marked():
    made = settings(budget={"samples": 1_000, "queries": 1_500})
    found = assume(made, LENGTHS)
    refuse_too_small(made.budget, found)
    each, _ = of_each(made, found, {"answer_augmentation": 1.0})
    assert {name: one.meets_budget for name, one in each.items()} == {
        "answer_augmentation": True,
        "question_rephrase": False,
        "new_question": False,
    }


def test_a_pilot_of_which_nothing_was_accepted_points_to_the_preview():
    text = refusal({"samples": 10}, {"answer_augmentation": rates(accepted=sure(0.0), measured=7)})
    assert "none of the pilot's 7 candidates was accepted" in text
    assert "preview" in text


def test_a_share_too_small_for_the_20_candidates_a_sample_is_told_of():
    text = refusal({"samples": 100}, {"answer_augmentation": rates(accepted=sure(0.04))})
    assert "2,500 candidates, where a run ends after 2,000" in text
    assert "ask for at most 80 samples" in text


def test_before_a_pilot_only_what_is_certain_counts():
    made = settings(budget={"samples": 100, "tokens": 5_000, "usd": 0.01})
    found = {name: certain(one) for name, one in assume(made, LENGTHS).items()}
    refuse_too_small(made.budget, found)  # 50 tokens per sample are few, but may suffice
    with pytest.raises(ConfigError):
        refuse_too_small(Budget(samples=100, queries=99), found)
    with pytest.raises(ConfigError):
        refuse_too_small(Budget(tokens=2_000), found)
    assert {limit.name for limit in limits(made.budget, rates())} == {"samples", "candidates", "tokens", "usd"}
