"""Near duplicates: which samples are refused, which are not, and that only accepted samples count."""

import pytest

from axolotl_synthetic.checks import near_duplicate
from axolotl_synthetic.checks.near_duplicate import Options
from axolotl_synthetic.records import Candidate, Question, Seed
from axolotl_synthetic.tasks import load_task

from candidates import KEEPS, LONG_SEED, MATH, SEED, candidate

# 20 words, so 18 runs of three.
STORY = "On Monday the baker of our street sold forty loaves before noon and sixty after it. How many loaves altogether?"
ANSWER = "Forty and sixty are 100.\n#### 100"


def check(threshold: float = 0.8, seeds=()) -> near_duplicate.NearDuplicates:
    return near_duplicate.make(MATH, KEEPS, Options(threshold=threshold), seeds)


def new(question: str, answer: str = ANSWER, name: str = "new"):
    return candidate(answer, "new_question", question=question, id=name)


def accepted(judge: near_duplicate.NearDuplicates, one) -> None:
    assert judge(one, SEED).passed is True
    judge.remember(one)


def test_a_question_with_one_word_changed_is_nearly_the_earlier_one():
    judge = check()
    accepted(judge, new(STORY, name="first"))
    # The first word is in one run of 18: 17 are shared of 19 in total, 89 %.
    verdict = judge(new(STORY.replace("On Monday", "Each Monday"), "Another answer\n#### 100"), SEED)
    assert verdict.passed is False
    assert verdict.detail == "its question is 89% like that of first"


def test_the_threshold_is_the_users():
    judge = check(threshold=0.9)
    accepted(judge, new(STORY, name="first"))
    assert judge(new(STORY.replace("On Monday", "Each Monday"), "Quite another answer, in other words\n#### 100"), SEED).passed is True


def test_a_question_about_something_else_is_none():
    judge = check()
    accepted(judge, new(STORY))
    assert judge(new("A train with 12 wagons has 40 seats in each. How many people can sit in it?", "#### 480"), SEED).passed is True


def test_signs_and_decimals_tell_short_questions_apart():
    judge = check()
    accepted(judge, new("What is 12 + 7?", "#### 19"))
    for question, answer in (("What is 12 - 7?", "#### 5"), ("What is 1.2 + 7?", "#### 8.2"), ("What is 12 * 7?", "#### 84")):
        accepted(judge, new(question, answer))
    assert judge(new("what is 12 +  7 ?", "#### 19"), SEED).passed is False


def test_only_what_was_accepted_is_compared_with():
    judge = check()
    assert judge(new(STORY), SEED).passed is True
    assert judge(new(STORY), SEED).passed is True  # another check rejected the first, so `remember` was not called


def test_answers_to_the_seeds_own_question_are_compared_with_one_another():
    judge = check()
    first = candidate(LONG_SEED.answer, seed=LONG_SEED, id="first")
    accepted(judge, first)
    almost = candidate(LONG_SEED.answer.replace("altogether", "together"), seed=LONG_SEED, id="second")
    assert "its question and answer are" in judge(almost, LONG_SEED).detail
    other = "In summer it was half of 48, which is 24. Adding the 48 of spring to these 24 gives 72 for both.\n#### 72"
    assert judge(candidate(other, seed=LONG_SEED, id="third"), LONG_SEED).passed is True


def test_a_new_question_that_is_nearly_a_seeds_is_refused_whichever_seed_it_was():
    judge = check(seeds=[Seed("other", Question(STORY)), SEED])
    verdict = judge(new(STORY.replace("On Monday", "Each Monday")), SEED)
    assert verdict.detail == "its question is 89% like that of the seed other"
    # Answer Augmentation keeps the seed's question, so that similarity does not count.
    assert judge(candidate(ANSWER, seed=Seed("other", Question(STORY))), Seed("other", Question(STORY))).passed is True


@pytest.mark.parametrize("question", ["", "?", "一", "\u200b"])
def test_a_question_of_no_words_is_compared_too(question):
    judge = check()
    accepted(judge, new(question or "x"))
    assert judge(new(question or "x"), SEED).passed is False


HOURS = (("user", "When do you open in the week that begins on the third of May?"), ("assistant", "At nine, every day."))
FINES = (("user", "How much is the fine for a book that is late by a fortnight?"), ("assistant", "Two euros, at most."))


def turn(name, text, turns, answer="It is as you say."):
    return Candidate(0, name, "new_question", "s", question=Question(text, turns=turns), prompt=text, answer=answer)


def test_a_short_message_may_follow_on_two_conversations_and_not_twice_on_one():
    hours, fines = (Seed("s", Question("Thank you!", turns=turns), "Gladly.") for turns in (HOURS, FINES))
    judge = near_duplicate.make(load_task("chat"), KEEPS, Options(), [hours, fines])
    first, again, elsewhere = turn("a", "And on Sunday?", HOURS), turn("b", "And on Sunday?", HOURS), turn("c", "And on Sunday?", FINES)
    assert judge(first, hours).passed
    judge.remember(first)
    assert judge(again, hours).detail == "its question is 100% like that of a"
    assert judge(elsewhere, fines).passed


def test_whole_new_conversations_are_compared_by_all_that_the_user_says_in_them():
    seed = Seed("s", Question("Thank you!"), "Gladly.")
    judge = near_duplicate.make(load_task("chat"), KEEPS, Options(), [seed])
    first, same, other = turn("a", "And on Sunday?", HOURS), turn("b", "And on Sunday?", HOURS), turn("c", "And on Sunday?", FINES)
    assert judge(first, seed).passed
    judge.remember(first)
    assert judge(same, seed).detail == "its question is 100% like that of a"
    assert judge(other, seed).passed
