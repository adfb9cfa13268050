"""Votes: which samples are requested, and which majorities accept a candidate."""

import asyncio
import json
from dataclasses import replace
from itertools import permutations

import pytest

from axolotl_synthetic.checks import self_consistency
from axolotl_synthetic.checks.self_consistency import Options
from axolotl_synthetic.records import Reply, Request
from axolotl_synthetic.strategies import Source

from candidates import CHOICES, KEEPS, MATH, SEED, STEM, candidate


def verdict(votes, answer: str = "#### 60", threshold: float = 0.5, seed=SEED, task=MATH):
    made = replace(candidate(answer, seed=seed, task=task), votes=tuple(votes))
    return self_consistency.make(task, KEEPS, Options(k=max(2, len(votes)), threshold=threshold))(made, seed)


@pytest.mark.parametrize(
    ("votes", "threshold", "passes"),
    [
        (["60", "60", "60", "60", "60"], 1.0, True),
        (["60", "60", "60", "61", "62"], 0.5, True),  # 3 of 5
        (["60", "60", "60", "61", "62"], 0.6, True),
        (["60", "60", "60", "61", "62"], 0.61, False),
        (["60", "60", "61", "62", "63"], 0.5, False),  # the most common, but only 2 of 5
        (["60", "60", "61", "62", "63"], 0.4, True),
        (["60", "60", "60", None, None], 0.6, True),  # replies without an answer count among the k
        (["60", "60", None, None, None], 0.5, False),
        (["60", "60", "61", "61"], 0.5, False),  # equally many give another answer
        (["61", "61", "61", "60", "60"], 0.5, False),  # a majority for another answer
        ([None, None, None], 0.1, False),
        (["60.0", "$60", "60", "59", "58"], 0.6, True),  # equal in value
    ],
)
def test_the_majority_must_be_large_enough_and_the_candidates_own(votes, threshold, passes):
    assert verdict(votes, threshold=threshold).passed is passes


@pytest.mark.parametrize("votes", list(permutations(["60", "60 apples", "60 pears"])))
def test_votes_that_differ_are_no_majority_in_any_order_though_a_third_equals_both(votes):
    assert verdict(votes, "#### 60").detail.startswith("no majority: 2 of 3 answers (67%) say ")


@pytest.mark.parametrize("votes", list(permutations(["60", "60 apples", "60 apples", "60 pears"])))
def test_the_larger_set_of_votes_that_agree_wins_in_any_order(votes):
    assert verdict(votes, "#### 60 apples").detail.startswith("3 of 4 answers (75%) say 60")
    assert not verdict(votes, "#### 60 pears").passed


def test_the_votes_are_kept_in_the_detail_where_a_program_can_read_them():
    said = verdict(["60", "61", None, "60", "60"]).detail
    assert said.startswith("3 of 5 answers (60%) say 60; votes: ")
    assert json.loads(said.partition("votes: ")[2]) == ["60", "61", None, "60", "60"]


@pytest.mark.parametrize(
    ("votes", "answer", "why"),
    [
        (["61", "61", "61"], "#### 60", "3 of 3 answers (100%) say 61, and this one 60; "),
        (["60", "61"], "#### 60", "no majority: 1 of 2 answers (50%) say 60, and as many 61; "),
        (["60", "62", "61", None, "60"], "#### 60", "2 of 5 answers (40%) say 60, fewer than 50%; "),
        ([None, None], "#### 60", "none of 2 answers marks a final answer; "),
        (["60", "60"], "sixty of them", "2 of 2 answers (100%) say 60, and this one None; "),
    ],
)
def test_a_rejection_says_which_majority_there_was(votes, answer, why):
    assert verdict(votes, answer).detail.startswith(why)


def test_letters_are_compared_as_the_task_compares_them():
    assert verdict(["a", "A", "B"], "Answer: A", seed=STEM, task=CHOICES).passed is True


def test_a_candidate_that_nobody_voted_on_is_not_accepted():
    assert verdict([], "#### 60").passed is False


def test_a_vote_of_any_length_leaves_a_detail_that_can_be_read():
    assert len(verdict(["9" * 100_000] * 3).detail) < 600


# The requested samples


def asked(strategy: str, round: int, k: int = 3, reply: str = "#### 60", finish: str = "stop", **made):
    requests: list[Request] = []

    async def ask(request: Request) -> Reply:
        requests.append(request)
        return Reply(reply, finish)

    source = Source(SEED, (), round)
    one = candidate("#### 60", strategy, **made)
    return asyncio.run(self_consistency.inquire(one, source, MATH, ask, Options(k=k))), requests


@pytest.mark.parametrize("round", [0, 1, 7])
def test_all_candidates_of_a_seeds_own_question_share_the_same_votes(round):
    voted, requests = asked("answer_augmentation", round)
    assert [request.sample for request in requests] == [0, 1, 2]
    assert voted.votes == ("60", "60", "60")


@pytest.mark.parametrize(("round", "samples"), [(0, [0, 1, 2]), (1, [1, 0, 2]), (7, [7, 0, 1])])
def test_a_question_of_its_own_is_voted_on_by_its_own_answer_and_others(round, samples):
    _, requests = asked("question_rephrase", round, question="How many cards are in 6 jars of 10?")
    assert [request.sample for request in requests] == samples


def test_the_votes_are_asked_for_as_the_answer_is():
    _, requests = asked("answer_augmentation", 0)
    assert {(request.purpose, request.role) for request in requests} == {("answer", "teacher")}
    assert all(request.messages == MATH.answer_messages(SEED.question, ()) for request in requests)


def test_a_vote_that_was_cut_off_says_nothing():
    voted, _ = asked("answer_augmentation", 0, finish="length")
    assert voted.votes == (None, None, None)
