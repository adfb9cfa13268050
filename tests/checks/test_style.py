"""The seeds' own style: bounds of length and form that are read from their answers."""

import pytest

from axolotl_synthetic.checks import load_checks
from axolotl_synthetic.records import Candidate, Question, Seed
from axolotl_synthetic.tasks import load_task

CHAT = load_task("chat")


def seeds(*answers):
    return [Seed(str(place), Question(f"Question {place}?"), answer) for place, answer in enumerate(answers)]


def words(number):
    return " ".join(["word"] * number)


# From 8 to 20 words.
PLAIN = seeds(words(8), words(20), *[words(12)] * 8)


def judged(answer, of=PLAIN, **options):
    [check] = load_checks([{"style": options}], CHAT, {}, seeds=of)
    return check(Candidate(0, "c", "new_question", "0", question=of[0].question, answer=answer), of[0])


@pytest.mark.parametrize(("number", "passes"), [(3, False), (4, True), (50, True), (51, False)])
def test_an_answer_may_have_half_of_the_shortests_words_and_twice_the_longests_and_ten(number, passes):
    # 8 / 2 = 4; 20 * 2 + 10 = 50.
    assert judged(words(number)).passed is passes


def test_the_verdict_says_both_lengths():
    assert judged(words(51)).detail == "51 words, where the seeds' answers have 8 to 20"


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        (f"## First\n{words(10)}", "a heading"),
        (f"{words(10)}\n- one\n- two", "a list"),
        (f"{words(10)}\n1. one\n\n2. two", "a list"),
        (f"{words(10)}\n| a | b |\n|---|---|\n| 1 | 2 |", "a table"),
        (f"{words(10)}\n```\ncode\n```", "a block of code"),
        (f"**Note** {words(10)}", "bold text"),
        (f"{words(10)} 🎉", "an emoji"),
    ],
)
def test_a_form_that_no_seeds_answer_has_is_refused(answer, form):
    assert judged(answer).detail == f"it has {form}, and no seed's answer has one"
    assert judged(answer, forms=False).passed
    assert judged(answer, of=[*PLAIN, *seeds(answer)]).passed


@pytest.mark.parametrize("answer", [f"{words(10)} - so it is -", f"2 * 3 and 4 * 5 {words(6)}", f"© {words(9)} ™", f"{words(10)} #1"])
def test_plain_text_with_such_signs_has_no_form(answer):
    assert judged(answer).passed


def test_of_few_answers_no_bounds_are_read():
    verdict = judged(words(500), of=PLAIN[:9])
    assert verdict.passed is None
    assert verdict.detail == "off: 9 seeds have an answer, and 10 are needed"


def test_it_is_a_default_of_chats_alone():
    assert "style" in [check.name for check in load_checks(None, CHAT, {})]
    assert "style" not in [check.name for check in load_checks(None, load_task("instruction"), {})]
