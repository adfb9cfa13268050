"""Candidates as the texts that distilabel's batches carry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.pipelines.rows import from_text, to_text
from axolotl_synthetic.records import Candidate, Question

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
    # What equality leaves out of account.
    assert back.question is None or vars(back.question) == vars(candidate.question)


@dataclass(frozen=True)
class Drawn(Question):
    """A question of a user's own, with more to it."""

    hints: tuple[str, ...] = ()
    _hidden: int = 0


@dataclass(frozen=True)
class Held(Question):
    """A question that holds what JSON cannot."""

    thing: Any = field(default=None, compare=False)


def test_a_question_of_a_users_own_class_comes_back_as_one():
    question = Drawn("How many?", hints=("two", "three"), _hidden=7)
    assert from_text(to_text(Candidate(0, "a", "new_question", "s", question))).question == question


@pytest.mark.parametrize("thing", [lambda: None, object(), {1, 2}, 2j], ids=["a function", "an object", "a set", "a complex number"])
def test_a_question_that_json_cannot_hold_is_refused_in_words(thing):
    with pytest.raises(ConfigError, match=r"synthetic\.task: its questions cannot be handed from one process to another"):
        to_text(Candidate(0, "a", "new_question", "s", Held("How many?", thing=thing)))


def test_a_question_of_a_class_that_another_process_cannot_find_is_refused_in_words():
    @dataclass(frozen=True)
    class Local(Question):
        pass

    with pytest.raises(ConfigError, match="at the top of a module"):
        to_text(Candidate(0, "a", "new_question", "s", Local("How many?")))
