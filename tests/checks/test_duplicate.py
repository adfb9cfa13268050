"""Equal but for spelling: the second of two samples goes, and so does a question that was handed back."""

import pytest

from axolotl_synthetic.checks import duplicate
from axolotl_synthetic.checks.duplicate import normalised

from candidates import KEEPS, MATH, SEED, candidate


def test_the_second_of_two_equal_samples_is_rejected():
    judge = duplicate.make(MATH, KEEPS)
    first = candidate("6 * 10 = 60.\n#### 60")
    assert judge(first, SEED).passed is True
    judge.remember(first)
    assert judge(candidate("6 * 10  =  60\n\n####60"), SEED).passed is False
    assert judge(candidate("Six jars, ten each.\n#### 60"), SEED).passed is True


def test_a_sample_that_another_check_rejected_is_none_to_be_equal_to():
    judge = duplicate.make(MATH, KEEPS)
    assert judge(candidate(), SEED).passed is True
    assert judge(candidate(), SEED).passed is True


@pytest.mark.parametrize("strategy", ["question_rephrase", "new_question"])
def test_a_question_handed_back_as_it_was_is_rejected(strategy):
    judge = duplicate.make(MATH, KEEPS)
    verdict = judge(candidate(strategy=strategy, question="6 jars with 10 cards each.  How many cards?!"), SEED)
    assert (verdict.passed, verdict.detail) == (False, "the question is the seed's own")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("6 * 10 = 60.", "6 * 10 = 60", True),
        ("It is 2.5", "It is 25", False),
        ("x < 3", "x > 3", False),
        ("5 - 3", "5 + 3", False),
        ("Ａ ｗｉｄｅ letter", "a wide LETTER", True),
        ("10%", "10", False),
    ],
)
def test_only_what_carries_no_meaning_is_dropped(one, other, same):
    assert (normalised(one) == normalised(other)) is same
