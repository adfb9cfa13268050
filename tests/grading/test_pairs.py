"""The difference of two models that answered the same questions: standard error, exact test and interval, derived by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.grading import Score, compare, notes
from axolotl_synthetic.grading.child import each_score
from axolotl_synthetic.grading.evaluate import choose
from axolotl_synthetic.grading.pairs import mcnemar, paired


def right(*values: float) -> dict[str, float]:
    return {str(number): float(value) for number, value in enumerate(values)}


def test_the_standard_error_is_that_of_the_differences():
    # Differences 1, 1, 0, -1, 1, 0: mean 1/3, sum of squares 4 - 6/9 = 10/3, variance 2/3, over the root of 6: a third.
    found = paired(right(0, 0, 1, 1, 0, 0), right(1, 1, 1, 0, 1, 0))
    assert found is not None
    assert found.stderr == pytest.approx(1 / 3)
    assert (found.better, found.worse) == (3, 1)


@pytest.mark.parametrize(
    ("better", "worse", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 2 / 2**5),
        (6, 1, 2 * (1 + 7) / 2**7),  # no heads or one in seven throws, or equally few tails
        (3, 3, 1.0),
        (10, 2, 2 * (1 + 12 + 66) / 2**12),
    ],
)
def test_mcnemars_test_counts_throws_of_a_coin(better, worse, p):
    assert mcnemar(better, worse) == pytest.approx(p)
    assert mcnemar(worse, better) == mcnemar(better, worse)


def test_what_both_answer_alike_says_nothing_to_the_test():
    few, many = paired(right(0, 0, 1), right(1, 1, 1)), paired(right(0, 0, *[1] * 98), right(1, 1, *[1] * 98))
    assert few is not None and many is not None
    assert few.p == many.p == mcnemar(2, 0)


def test_scores_between_right_and_wrong_have_an_interval_and_no_test():
    found = paired(right(0.2, 0.4, 0.6, 0.3), right(0.3, 0.5, 0.7, 0.4))
    assert found is not None
    assert found.p is None
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.1))  # each question's difference is 0.1


def test_the_interval_of_many_questions_is_twice_the_standard_error_to_each_side():
    first = right(*[0] * 100, *[1] * 100)
    found = paired(first, right(*[0] * 60, *[1] * 40, *[1] * 90, *[0] * 10))
    assert found is not None
    difference = 30 / 200
    assert found.low == pytest.approx(difference - 1.96 * found.stderr, abs=0.01)
    assert found.high == pytest.approx(difference + 1.96 * found.stderr, abs=0.01)


@pytest.mark.parametrize(("first", "second"), [({}, {}), (right(1), right(0)), (right(1, 0), right(1, 0, 1))])
def test_without_the_same_two_questions_there_is_no_pair(first, second):
    assert paired(first, second) is None


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=200))
def test_pairs_are_never_further_off_than_both_errors_together(pairs):
    first, second = right(*(one for one, _ in pairs)), right(*(two for _, two in pairs))
    found = paired(first, second)
    assert found is not None
    assert found.low <= sum(second.values()) / len(pairs) - sum(first.values()) / len(pairs) + 1e-9
    assert found.stderr <= math.sqrt(2 / (len(pairs) - 1)) + 1e-9
    assert found.p is not None and 0 < found.p <= 1


def graded(first: dict[str, float], second: dict[str, float]):
    scores = [Score(sum(one.values()) / len(one), 0.06, "exact_match", len(one), one) for one in (first, second)]
    return compare(base="b", student="s", base_scores={"t": scores[0]}, student_scores={"t": scores[1]})


def test_a_grade_keeps_each_questions_two_scores_and_both_errors_of_the_difference():
    grade = graded(right(0, 0, 0, 0, 1, 1), right(1, 1, 1, 1, 1, 0))
    [row] = grade.rows
    assert grade.to_dict()["questions"]["t"] == {"0": (0, 1), "1": (0, 1), "2": (0, 1), "3": (0, 1), "4": (1, 1), "5": (1, 0)}
    assert row.unpaired_stderr == pytest.approx(math.hypot(0.06, 0.06))
    # Differences 1, 1, 1, 1, 0, -1: mean 1/2, sum of squares 5 - 6/4 = 3.5, variance 0.7.
    assert row.difference_stderr == pytest.approx(math.sqrt(0.7 / 6))
    assert row.p == pytest.approx(2 * (1 + 5) / 2**5)
    [note] = notes(grade.rows)
    assert note.startswith("t: the student is better on 4 of 6 questions and worse on 1: the difference is ")
    assert "McNemar's exact test: p = 0.38; unpaired, the difference would be known to ± 8.5 %" in note


def test_each_score_is_read_by_metric_and_filter_and_what_is_no_number_is_left_out():
    samples = [
        {"doc_id": 0, "filter": "none", "metrics": ["exact_match", "macro_f1"], "exact_match": True, "macro_f1": ("a", "b")},
        {"doc_id": 1, "filter": "none", "metrics": ["exact_match", "macro_f1"], "exact_match": 0.0, "macro_f1": ("a", "a")},
        {"doc_id": 0, "filter": "strict", "metrics": ["exact_match"], "exact_match": 0},
    ]
    assert each_score(samples) == {"exact_match,none": {"0": 1.0, "1": 0.0}, "exact_match,strict": {"0": 0.0}}


def test_scores_whose_mean_is_not_the_metric_are_no_pairs():
    each = {"word_perplexity,none": {"0": 3.0, "1": 5.0}, "acc,none": {"0": 1.0, "1": 0.0}}
    assert choose({"word_perplexity,none": 3.9}, 2, each).each == {}
    assert choose({"acc,none": 0.5}, 2, each).each == {"0": 1.0, "1": 0.0}


def test_a_likelihood_of_which_less_is_better_makes_no_pairs_even_where_its_mean_is_the_metric():
    # A single chat: the mean over chats is the metric, and a student that finds it likelier would count as worse on it.
    assert choose({"bits_per_byte,none": 2.5}, 1, {"bits_per_byte,none": {"0": 2.5}}).each == {}
