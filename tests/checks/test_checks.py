"""Each check on one candidate: what passes, what is rejected and why, what it does not apply to."""

import pytest

from axolotl_synthetic.checks import Check, duplicate, final_answer, format, load_checks, self_check
from axolotl_synthetic.checks.duplicate import normalised
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.records import Candidate, Question, Seed, judged
from axolotl_synthetic.tasks import load_task

MATH = load_task("math")
KEEPS = {"answer_augmentation": True, "question_rephrase": True, "new_question": False}
SEED = Seed("s", Question("6 jars with 10 cards each. How many cards?"), "6 * 10 = 60\n#### 60")


def candidate(answer: str | None = "6 * 10 = 60\n#### 60", strategy: str = "answer_augmentation", **more) -> Candidate:
    question = more.pop("question", SEED.question)
    final = MATH.final_answer(answer, question) if answer else None
    return Candidate(0, "id", strategy, "s", question=question, prompt=question.text, answer=answer, final_answer=final, **more)


def test_an_answer_with_a_marked_value_has_the_form():
    assert format.make(MATH, KEEPS)(candidate(), SEED).passed


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (candidate(None), "no answer"),
        (candidate("There are sixty cards or so"), "marks no final answer"),
        (candidate(answer_cut_off=True), "cut off"),
    ],
)
def test_an_answer_without_the_form_is_rejected_with_the_reason(made, why):
    verdict = format.make(MATH, KEEPS)(made, SEED)
    assert verdict.passed is False
    assert why in verdict.detail


def test_the_seeds_answer_is_required_where_the_strategy_keeps_it():
    judge = final_answer.make(MATH, KEEPS)
    assert judge(candidate("#### 60.0"), SEED).passed is True
    assert judge(candidate("#### 61"), SEED).passed is False
    assert judge(candidate("#### 61", "question_rephrase"), SEED).passed is False


def test_a_new_question_has_an_answer_of_its_own():
    assert final_answer.make(MATH, KEEPS)(candidate("#### 61", "new_question"), SEED).passed is None


def test_a_seed_without_an_answer_turns_the_comparison_off_and_says_so():
    verdict = final_answer.make(MATH, KEEPS)(candidate("#### 61"), Seed("s", SEED.question))
    assert verdict.passed is None
    assert verdict.detail == "off: the seed has no answer to compare with"


def test_a_task_without_final_answers_is_not_compared():
    assert final_answer.make(load_task("instruction"), KEEPS)(candidate(), SEED).passed is None


@pytest.mark.parametrize(
    ("reply", "passed"), [("Yes", True), ("It is complete. Yes.", True), ("No, it lacks a number", False), ("Hm", False)]
)
def test_the_augmenter_must_stand_by_its_question(reply, passed):
    assert self_check.make(MATH, KEEPS)(candidate(strategy="new_question", self_check=reply), SEED).passed is passed


def test_a_candidate_that_was_never_self_checked_is_not_judged_by_it():
    assert self_check.make(MATH, KEEPS)(candidate(), SEED).passed is None


def test_the_second_of_two_equal_samples_is_rejected():
    judge = duplicate.make(MATH, KEEPS)
    assert judge(candidate("6 * 10 = 60.\n#### 60"), SEED).passed is True
    assert judge(candidate("6 * 10  =  60\n\n####60"), SEED).passed is False
    assert judge(candidate("Six jars, ten each.\n#### 60"), SEED).passed is True


def test_a_question_handed_back_as_it_was_is_rejected():
    judge = duplicate.make(MATH, KEEPS)
    copied = Question("6 jars with 10 cards each.  How many cards?!")
    assert judge(candidate(strategy="question_rephrase", question=copied), SEED).passed is False


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


def test_the_first_check_that_fails_is_the_reason():
    checks = load_checks(None, MATH, KEEPS)
    made = judged(candidate("#### 61"), [check(candidate("#### 61"), SEED) for check in checks if not check.in_order])
    assert (made.status, made.reason) == ("rejected", "final_answer")
    assert [(verdict.name, verdict.passed) for verdict in made.checks] == [
        ("self_check", None),
        ("format", True),
        ("final_answer", False),
    ]


def test_a_check_that_breaks_fails_the_candidate_and_is_neither_passed_nor_a_rejection():
    def broken(candidate: Candidate, seed: Seed):
        raise ZeroDivisionError("oops")

    made = judged(candidate(), [Check("odd", broken)(candidate(), SEED)])
    assert made.status == "failed"
    assert made.reason == "check broken: odd: ZeroDivisionError: oops"


def test_checks_of_the_config_run_and_no_others():
    assert [check.name for check in load_checks(["duplicate", {"format": {}}], MATH, KEEPS)] == ["format", "duplicate"]


def test_an_unknown_check_is_named_with_those_there_are():
    with pytest.raises(ConfigError, match="no check is named 'jugde'; there are self_check, format, final_answer, duplicate"):
        load_checks(["jugde"], MATH, KEEPS)


def test_an_unknown_option_is_refused():
    with pytest.raises(ConfigError, match=r"synthetic.verify.format.strict: unknown option; format takes no options"):
        load_checks([{"format": {"strict": True}}], MATH, KEEPS)
