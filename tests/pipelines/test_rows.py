"""Candidates as texts: additions of a user's own task to a question arrive unchanged."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.pipelines.rows import from_text, to_text
from axolotl_synthetic.records import Candidate, Question


@dataclass(frozen=True)
class Own(Question):
    value: Any = None
    made: list[Any] = field(default_factory=list)
    counted: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counted", self.counted + 1)


def arrived(candidate: Candidate) -> Candidate:
    return from_text(to_text(candidate))


@pytest.mark.parametrize(
    "question",
    [
        None,
        Question("How many?"),
        Question("Which?", choices=("1", "2"), labels=("A", "B"), context="c", database_file="d", decimal="comma"),
    ],
)
def test_a_candidate_with_any_of_our_own_questions_arrives_as_it_was(question):
    candidate = Candidate(3, "id", "answer_augmentation", "seed", question, votes=("1", None), requests=(4, 5), answer="a\n\u2028")
    assert arrived(candidate) == candidate
    assert arrived(candidate).question.__repr__() == question.__repr__()  # shows what comparison leaves out


@pytest.mark.parametrize(
    "value",
    [3, 10**30, (1, (2, 3)), [1, [(2,)]], {1: (2,)}, datetime.date(2026, 1, 2), {4}, b"5", float("inf"), Question("6"), "\ud800"],
    ids=repr,
)
def test_any_value_of_a_question_of_the_users_own_class_arrives_as_it_was(value):
    candidate = Candidate(3, "id", "question_rephrase", "seed", Own("How many?", value=value, made=[value]), votes=("1", None))
    there = arrived(candidate)
    assert there == candidate
    assert (type(there.question), type(there.question.value)) == (Own, type(value))
    assert there.question.counted == 1


def test_a_question_that_no_other_process_can_be_told_is_a_wrong_task():
    @dataclass(frozen=True)
    class Local(Question):
        pass

    for question in (Local("How many?"), Own("How many?", value=lambda: 1), Question("\ud800"), Question({1, 2})):  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="its questions or prompts cannot be handed from one process to another"):
            to_text(Candidate(3, "id", "question_rephrase", "seed", question))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
MAYBE = st.none() | TEXTS
QUESTIONS = st.builds(
    Question, TEXTS, st.lists(TEXTS, max_size=3).map(tuple), st.lists(TEXTS, max_size=3).map(tuple), MAYBE, MAYBE, MAYBE, st.none()
)
CANDIDATES = st.builds(
    Candidate,
    *(st.integers(0, 2**53), TEXTS, TEXTS, TEXTS, st.none() | QUESTIONS, MAYBE, MAYBE, st.booleans()),
    answer_tokens=st.none() | st.integers(0, 2**31),
    self_check=MAYBE,
    votes=st.lists(MAYBE, max_size=3).map(tuple),
    judgement=MAYBE,
    status=st.sampled_from([None, "failed"]),
    reason=MAYBE,
    requests=st.lists(st.integers(0, 2**62), max_size=4).map(tuple),
    tokens=st.integers(0, 2**40),
)


@given(CANDIDATES)
def test_a_candidate_comes_back_as_it_went(candidate):
    back = from_text(to_text(candidate))
    assert back == candidate
    # Compare what equality ignores.
    assert back.question is None or vars(back.question) == vars(candidate.question)
