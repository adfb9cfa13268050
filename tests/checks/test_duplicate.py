"""Samples that differ only in spelling: the second is refused, and so is a copy of the seed's question."""

from dataclasses import replace

import pytest

from axolotl_synthetic.checks import duplicate, load_checks
from axolotl_synthetic.checks.duplicate import normalised

from candidates import CHOICES, INSTRUCTION, KEEPS, MATH, SEED, STEM, TALK, candidate


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


BARE = replace(SEED, answer="60")


@pytest.mark.parametrize(
    ("task", "seed", "answer", "same"),
    [
        (MATH, SEED, "6 * 10 = 60.\n\n#### 60", True),
        (MATH, SEED, "Six jars of ten.\n#### 60", False),
        # In training, a gold answer that is a bare value is written as `#### 60`.
        (MATH, BARE, "#### 60", True),
        (MATH, BARE, "6 * 10 = 60\n#### 60", False),
        # A bare letter is written as `Answer: A`.
        (CHOICES, STEM, "A", True),
        (CHOICES, STEM, "Answer: A", True),
        (CHOICES, STEM, "**Answer: A**", True),
        (CHOICES, STEM, "Steel keeps heat in.\nAnswer: A", False),
        (INSTRUCTION, TALK, str(TALK.answer).upper(), True),
        (INSTRUCTION, TALK, "Apples.", False),
    ],
)
def test_an_answer_that_the_seeds_own_pair_gives_is_a_duplicate_where_that_pair_is_trained_on(task, seed, answer, same):
    sample = candidate(answer, seed=seed, task=task)
    [with_seeds] = load_checks(["duplicate"], task, KEEPS, seeds=[seed], include_seeds=True)
    assert with_seeds(sample, seed).passed is not same
    [without] = load_checks(["duplicate"], task, KEEPS, seeds=[seed], include_seeds=False)
    assert without(sample, seed).passed is True


def test_the_verdict_names_the_seed_whose_pair_it_is():
    other = replace(SEED, id="t", question=replace(SEED.question, text="How many cards are in 6 jars of 10?"))
    judge = duplicate.make(MATH, KEEPS, [SEED, other], include_seeds=True)
    verdict = judge(candidate(question=other.question.text, strategy="new_question"), SEED)
    assert (verdict.passed, verdict.detail) == (False, "the pair of the seed t, which is trained on, has the same question and answer")


def test_a_seed_without_an_answer_has_no_pair():
    bare = replace(SEED, answer=None)
    judge = duplicate.make(MATH, KEEPS, [bare], include_seeds=True)
    assert judge(candidate("#### 60", seed=bare), bare).passed is True
