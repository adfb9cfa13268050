"""The ruling of several people's answers, and how a response of Argilla's is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.review.kept import Answer
from axolotl_synthetic.review.ruling import read_answer, rule, verdict


def said(what, who="ann", when="2026-01-01T10:00:00Z", question=None, answer=None):
    return Answer(who, f"id-{who}", when, what, question, answer)


def test_one_persons_verdict_decides_where_one_is_enough():
    ruling = rule([said("reject")], annotators=1)
    assert (ruling.what, ruling.who, ruling.when) == ("reject", ("ann",), "2026-01-01T10:00:00Z")


def test_as_long_as_an_answer_is_missing_nothing_is_decided():
    assert rule([said("reject")], annotators=2) is None
    assert rule([], annotators=1) is None


def test_two_against_one_decide_and_only_they_are_named():
    ruling = rule([said("accept", "cem"), said("reject", "bea"), said("accept", "ann")], annotators=3)
    assert (ruling.what, ruling.who) == ("accept", ("ann", "cem"))


@pytest.mark.parametrize(
    "verdicts",
    [["accept", "reject"], ["accept", "edit", "reject"], ["accept", "accept", "reject", "reject"], ["accept", "accept", "edit", "reject"]],
)
def test_no_more_than_half_is_a_tie(verdicts):
    answers = [said(what, who=str(at), answer="new" if what == "edit" else None) for at, what in enumerate(verdicts)]
    assert rule(answers, annotators=2) is None


def test_the_decision_is_as_old_as_its_last_vote():
    ruling = rule([said("accept", "ann", "2026-01-02T00:00:00Z"), said("accept", "bea", "2026-01-01T00:00:00Z")], annotators=2)
    assert ruling.when == "2026-01-02T00:00:00Z"


def test_of_two_corrections_the_later_one_counts():
    first = said("edit", "ann", "2026-01-02T00:00:00Z", answer="later")
    ruling = rule([first, said("edit", "bea", "2026-01-01T00:00:00Z", answer="earlier")], annotators=2)
    assert (ruling.what, ruling.answer, ruling.who) == ("edit", "later", ("ann", "bea"))


def test_of_three_corrections_the_one_that_two_wrote_counts():
    answers = [
        said("edit", "ann", "2026-01-01T00:00:00Z", answer="same"),
        said("edit", "bea", "2026-01-02T00:00:00Z", answer="same"),
        said("edit", "cem", "2026-01-03T00:00:00Z", answer="other"),
    ]
    assert rule(answers, annotators=3).answer == "same"


def test_an_edit_that_corrects_nothing_is_no_vote():
    assert verdict(said("edit")) is None
    assert rule([said("edit")], annotators=1) is None


def test_who_corrected_and_left_accept_standing_has_edited():
    assert verdict(said("accept", answer="new")) == "edit"
    assert verdict(said("accept", question="new")) == "edit"


def test_who_rejects_has_rejected_whatever_stands_in_the_boxes():
    assert verdict(said("reject", answer="new")) == "reject"


VERDICTS = st.lists(st.sampled_from(["accept", "edit", "reject", None]), max_size=7)


@given(VERDICTS, st.integers(1, 5), st.randoms())
def test_the_order_of_the_answers_decides_nothing(verdicts, annotators, random):
    answers = [said(what, who=str(at), answer=f"by {at}") for at, what in enumerate(verdicts)]
    ruling = rule(answers, annotators)
    random.shuffle(answers)
    assert rule(answers, annotators) == ruling


# Values of Argilla's HTTP API.

SHOWN = {"corrected_question": "What is 2 + 2?", "corrected_answer": "It is\n4.\n#### 4"}


def response(values):
    return {"id": "r", "status": "submitted", "user_id": "u", "updated_at": "2026-01-01T10:00:00.5", "values": values}


def test_a_whole_response_is_read():
    values = {
        "verdict": {"value": "edit"},
        "corrected_answer": {"value": "It is 5.\n#### 5"},
        "corrected_question": {"value": "What is 2 + 3?"},
        "reason": {"value": " wrong sum "},
        "quality": {"value": 2},
    }
    assert read_answer(response(values), "ann", SHOWN) == Answer(
        "ann", "u", "2026-01-01T10:00:00.5Z", "edit", "What is 2 + 3?", "It is 5.\n#### 5", "wrong sum", 2
    )


@pytest.mark.parametrize(
    "values",
    [
        None,
        {},
        {"verdict": None},
        {"verdict": {"value": None}, "corrected_answer": {"value": None}, "quality": {"value": None}},
        {"verdict": {}},
        {"verdict": {"value": "perhaps"}, "quality": {"value": 9}},
        {"verdict": {"value": ["accept"]}, "reason": {"value": "  "}},
    ],
)
def test_what_is_missing_null_or_unknown_in_a_response_is_nothing(values):
    assert read_answer(response(values), "ann", SHOWN) == Answer("ann", "u", "2026-01-01T10:00:00.5Z", None)


def test_boxes_left_as_they_were_are_no_correction_also_when_a_browser_changed_their_white_space():
    values = {"verdict": {"value": "accept"}, "corrected_question": {"value": "What is 2 + 2?"}}
    values["corrected_answer"] = {"value": "It is 4.\r\n\n####\u00a04 "}
    answer = read_answer(response(values), "ann", SHOWN)
    assert (answer.question, answer.answer) == (None, None)


def test_a_browsers_spaces_that_do_not_break_become_plain_ones():
    values = {"corrected_answer": {"value": "It\u00a0is\u00a0 5"}}
    assert read_answer(response(values), "ann", SHOWN).answer == "It is  5"
