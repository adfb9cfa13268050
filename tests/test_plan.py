"""The decision, against cases worked out by hand from the paper's numbers."""

import json

import pytest

from axolotl_synthetic.config import load_settings
from axolotl_synthetic.plan import crossover, decide, estimate, to_dict
from axolotl_synthetic.records import Question, Seed


def strategy(seeds: int, **block):
    return dict(decide(load_settings(block), seeds).strategy)


@pytest.mark.parametrize(
    ("seeds", "ratio"),
    [
        (100, 37.11),  # the geometric mean of 27 and 51: sqrt(1377)
        (1_000, 17.6),
        (7_473, 16.4),
        (10, 37.11),  # outside the measured sizes: as at the nearest
        (1_000_000, 16.4),
        (316, 27.36),  # halfway between 100 and 1,000 over the logarithm: (37.11 + 17.6) / 2 = 27.35
    ],
)
def test_the_crossover_is_the_papers_and_lies_between_where_it_was_not_measured(seeds, ratio):
    assert crossover(seeds) == pytest.approx(ratio, abs=0.02)


@pytest.mark.parametrize(
    ("seeds", "samples", "expected"),
    [
        (100, 1_000, "answer_augmentation"),  # ratio 10, below 37
        (100, 3_600, "answer_augmentation"),  # 36
        (100, 3_800, "new_question"),  # 38
        (1_000, 17_000, "answer_augmentation"),  # 17, below 17.6
        (1_000, 18_000, "new_question"),  # 18
        (7_473, 122_000, "answer_augmentation"),  # 16.3
        (7_473, 123_000, "new_question"),  # 16.5
    ],
)
def test_auto_takes_new_questions_above_the_crossover(seeds, samples, expected):
    assert strategy(seeds, budget={"samples": samples}) == {expected: 1.0}


def test_a_weak_augmenter_rewords_instead_of_inventing():
    assert strategy(100, budget={"samples": 5_000}, augmenter={"strength": "weak"}) == {"question_rephrase": 1.0}


def test_a_budget_of_calls_counts_three_for_a_new_question():
    # 100 seeds: 9,000 calls are 3,000 new questions (ratio 30, below 37), 12,000 are 4,000 (ratio 40).
    assert strategy(100, budget={"queries": 9_000}) == {"answer_augmentation": 1.0}
    assert strategy(100, budget={"queries": 12_000}) == {"new_question": 1.0}


def test_a_budget_that_says_nothing_of_samples_takes_the_cheapest_and_says_so():
    plan = decide(load_settings({"budget": {"tokens": 1_000_000}}), 100)
    assert dict(plan.strategy) == {"answer_augmentation": 1.0}
    assert plan.budget_ratio is None
    assert "say nothing of the number of samples" in plan.reasons[0]


def test_a_strategy_that_the_user_names_is_left_alone():
    shares = {"answer_augmentation": 0.5, "new_question": 0.5, "question_rephrase": 0.0}
    assert strategy(100, strategy=shares) == {"answer_augmentation": 0.5, "new_question": 0.5}


def test_a_size_that_the_paper_did_not_measure_is_said():
    assert any("outside" in reason for reason in decide(load_settings({}), 20).reasons)
    assert not any("outside" in reason for reason in decide(load_settings({}), 500).reasons)


def test_the_estimate_counts_calls_tokens_and_dollars():
    # 40 characters a question are 10 tokens; an answer of 4 characters says nothing of its length, so 100 tokens are assumed.
    seeds = [Seed("a", Question("x" * 40), "1234")]
    price = {"input": 1.0, "output": 2.0}
    block = {"budget": {"samples": 10}, "teacher": {"price": price, "concurrency": 1}}
    one = estimate(load_settings(block), seeds)["answer_augmentation"]
    # Four worked examples of 110 tokens and the question: 450 prompt tokens, 100 completion tokens.
    assert one.queries == 10
    assert one.tokens == pytest.approx(10 * (450 + 100))
    assert one.usd == pytest.approx(10 * (450 * 1 + 100 * 2) / 1e6)
    assert one.hours == pytest.approx(10 * (100 / 30) / 3600)
    assert estimate(load_settings(block), seeds)["new_question"].queries == 30


def test_the_json_has_the_contracts_keys():
    settings = load_settings({"budget": {"samples": 10}})
    seeds = [Seed("a", Question("how many?"), "1")]
    data = json.loads(json.dumps(to_dict(decide(settings, 1), estimate(settings, seeds))))
    assert set(data) == {"strategy", "budget_ratio", "crossover", "reasons", "estimates"}
    assert set(data["estimates"]) == {"answer_augmentation", "question_rephrase", "new_question"}
    for one in data["estimates"].values():
        assert set(one) == {"queries", "tokens", "usd", "hours", "accepted", "usd_per_accepted"}
    assert data["estimates"]["new_question"]["usd"] is None
