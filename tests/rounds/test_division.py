"""The parts of a budget, and the seeds' weights by their scores. Expected values are computed by hand."""

import math
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.config import Budget, Rounds
from axolotl_synthetic.pipelines.schedule import Phase, schedule
from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.rounds.division import LEAST, MOST, is_within, moved, parts, weights

SEEDS = [Seed(name, Question(f"What is {name}?")) for name in "abcd"]


def test_parts_grow_and_end_with_the_whole():
    # 700 = 100 + 200 + 400
    assert [one.samples for one in parts(Budget(samples=700), Rounds())] == [100, 300, 700]
    assert [one.samples for one in parts(Budget(samples=90), Rounds(growth=1))] == [30, 60, 90]
    assert [one.samples for one in parts(Budget(samples=40), Rounds(count=2, growth=3))] == [10, 40]


def test_every_limit_is_divided_and_dollars_are_not_rounded():
    first, _ = parts(Budget(samples=10, queries=31, usd=0.9), Rounds(count=2))
    assert (first.samples, first.queries, first.tokens) == (3, 10, None) and first.usd == pytest.approx(0.3)


def test_limits_that_hold_for_several_runs_together_stay_whole():
    first, _ = parts(Budget(samples=30, queries=31), Rounds(count=2), only_samples=True)
    assert (first.samples, first.queries) == (10, 31)


@given(st.integers(1, 10**9), st.integers(2, 20), st.floats(1, 10))
def test_parts_never_shrink_never_are_nothing_and_never_exceed_the_budget(samples, count, growth):
    ends = [one.samples for one in parts(Budget(samples=samples), Rounds(count=count, growth=growth))]
    assert len(ends) == count and ends[-1] == samples and ends == sorted(ends) and ends[0] >= 1


def test_weights_are_in_proportion_to_the_scores_within_their_bounds():
    # The mean is 2: a quarter of it, itself, and ten times it, which is limited to four.
    assert weights(list("abc"), {"a": 1.0, "b": 2.0, "c": 3.0}) == {"a": 0.5, "b": 1.0, "c": 1.5}
    found = weights(list("abcdefghijk"), {**dict.fromkeys("abcdefghij", 0.1), "k": 21.0})
    assert (found["a"], found["k"]) == (LEAST, MOST)


def test_a_seed_without_a_score_counts_as_one_of_mean_score():
    assert weights(list("abc"), {"a": 1.0, "b": 3.0}) == {"a": 0.5, "b": 1.5, "c": 1.0}


@pytest.mark.parametrize("scores", [{}, {"a": 0.0, "b": 0.0}])
def test_scores_that_say_nothing_leave_all_seeds_alike(scores):
    assert weights(list("ab"), scores) == {"a": 1.0, "b": 1.0}


def test_what_moved_is_half_of_what_the_shares_differ():
    # Shares 1/8, 1/8, 1/4, 1/2 where all would have 1/4: (1/8 + 1/8 + 0 + 1/4) / 2
    assert moved({"a": 0.5, "b": 0.5, "c": 1.0, "d": 2.0}) == pytest.approx(0.25)
    assert moved({"a": 1.0, "b": 1.0}) == 0


def test_seeds_come_in_proportion_to_their_weights_and_evenly_spread():
    phase = Phase(2, {"a": 1.0, "b": 2.0, "c": 1.0, "d": 4.0})
    planned = list(islice(schedule(SEEDS, {"one": 1.0}, None, [phase]), 10))
    # First each in turn; then d is due at 1/8, 3/8, 5/8, 7/8, b at 1/4 and 3/4, a and c at 1/2: eight candidates.
    assert [one.seed.id for one in planned] == [*"ab", *"dbdacdbd"]
    # A seed's rounds continue: its calls differ from earlier ones.
    assert [one.round for one in planned if one.seed.id == "b"] == [0, 1, 2]
    assert [one.candidate.number for one in planned] == list(range(10))


def test_a_later_phase_takes_the_place_of_the_one_before():
    first, then = Phase(0, dict.fromkeys("abcd", 1.0)), Phase(4, {"a": 4.0, "b": 0.25, "c": 0.25, "d": 0.25})
    planned = list(islice(schedule(SEEDS, {"one": 1.0}, None, [first, then]), 9))
    assert [one.seed.id for one in planned] == [*"abcd", *"aaaaa"]


def test_strategies_keep_their_shares_in_a_phase():
    phase = Phase(3, dict.fromkeys("abcd", 1.0))
    planned = islice(schedule(SEEDS, {"one": 0.75, "two": 0.25}, None, [phase]), 40)
    assert Counter(one.candidate.strategy for one in planned) == {"one": 30, "two": 10}


@given(st.dictionaries(st.sampled_from("abcd"), st.floats(0, 100), min_size=1), st.integers(0, 20), st.integers(50, 400))
def test_no_seed_is_dropped_and_none_is_chased(scores, start, number):
    weighted = weights(list("abcd"), scores)
    planned = list(islice(schedule(SEEDS, {"one": 1.0}, None, [Phase(start, weighted)]), start + number))
    came = Counter(one.seed.id for one in planned[start:])
    total = sum(weighted.values())
    for seed, weight in weighted.items():
        assert math.floor(number * weight / total) - 1 <= came[seed] <= math.ceil(number * weight / total) + 1
    assert len({one.candidate.id for one in planned}) == len(planned)


def test_a_budget_is_within_another_in_every_limit_that_both_have_and_in_none_where_they_have_none():
    assert is_within({"samples": 4, "usd": 9.0}, {"samples": 4})
    assert not is_within({"samples": 5, "queries": 1}, {"samples": 4, "queries": 8})
    assert not is_within({"samples": 4}, {"queries": 8})
