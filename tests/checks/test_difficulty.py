"""The student's attempt at a new question: the call, the verdict, and which easy questions are kept."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.checks import Check, difficulty, load_checks, load_inquiries
from axolotl_synthetic.checks.difficulty import Options, is_kept
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.records import Reply, Request
from axolotl_synthetic.seeds import seed_of_row
from axolotl_synthetic.strategies import Source
from axolotl_synthetic.tasks import load_task

from candidates import CHOICES, INSTRUCTION, KEEPS, MATH, SEED, STEM, candidate
from shop import make_shop

NEW = "Ben has 4 boxes with 9 pens each. How many pens?"


def verdict(attempt, answer="#### 36", keep_easy=0.0, seed=SEED, task=MATH, question=NEW, **more):
    made = candidate(answer, "new_question", seed, task, question=question, attempt=attempt, **more)
    return difficulty.make(task, KEEPS, Options(keep_easy=keep_easy))(made, seed)


@pytest.mark.parametrize(
    ("attempt", "passes", "detail"),
    [
        ("4 + 9 = 13\n#### 13", True, "the student says 13"),
        ("I cannot count pens.", True, "the student gives no final answer"),
        ("", True, "the student gives no final answer"),  # cut off
        ("4 * 9 = 36\n#### 36", False, "the student says 36 as well"),
        ("#### 36.0", False, "the student says 36 as well"),  # equal in value
        ("There are 36 pens", False, "the student says 36 as well"),  # right, but not in the task's form
    ],
)
def test_a_question_passes_where_the_student_fails_at_it(attempt, passes, detail):
    said = verdict(attempt)
    assert (said.passed, said.detail) == (passes, detail)


def test_all_easy_questions_are_kept_at_a_share_of_one():
    said = verdict("#### 36", keep_easy=1.0)
    assert (said.passed, said.detail) == (True, "the student says 36 as well; one of the easy questions that are kept")


def test_letters_are_compared_as_the_task_compares_them():
    question = STEM.question.text + " Why?"
    assert verdict("Answer: a", "Answer: A", seed=STEM, task=CHOICES, question=question).passed is False
    assert verdict("Answer: B", "Answer: A", seed=STEM, task=CHOICES, question=question).passed is True


@pytest.mark.parametrize("strategy", ["answer_augmentation", "question_rephrase"])
def test_other_strategies_are_left_alone(strategy):
    said = difficulty.make(MATH, KEEPS)(candidate("#### 60", strategy), SEED)
    assert (said.passed, said.detail) == (None, "the question is no new one")


def test_a_candidate_that_the_student_was_not_asked_about_is_for_the_votes_to_reject():
    assert verdict(None).passed is None
    made = candidate("#### 36", "new_question", question=NEW)
    votes, own = load_checks(["difficulty"], MATH, KEEPS)
    assert (votes.name, votes(made, SEED).passed) == ("self_consistency", False)
    assert (own.name, own(made, SEED).passed) == ("difficulty", None)


# The share of easy questions


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_what_is_kept_at_a_share_is_kept_at_every_larger_one(id, one, other):
    small, large = sorted([one, other])
    assert is_kept(id, small) <= is_kept(id, large)
    assert not is_kept(id, 0.0)
    assert is_kept(id, 1.0)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_of_many_easy_questions_the_share_is_kept(share):
    kept = sum(is_kept(f"new_question-{number % 97:016x}-{number // 97}", share) for number in range(20_000))
    # Five standard deviations of a binomial count.
    assert abs(kept - 20_000 * share) < 5 * (20_000 * share * (1 - share)) ** 0.5


# The calls


def asked(strategy: str = "new_question", finish: str = "stop", **more):
    requests: list[Request] = []

    async def ask(request: Request) -> Reply:
        requests.append(request)
        return Reply("#### 13", finish)

    one = candidate("#### 36", strategy, question=NEW, **more)
    return asyncio.run(difficulty.inquire(one, Source(SEED, (), 3), MATH, ask, Options())), requests


def test_the_student_is_asked_once_with_the_prompt_of_the_answer():
    made, [request] = asked()
    assert (request.purpose, request.role, request.sample) == ("difficulty", "student", 0)
    assert request.messages == MATH.answer_messages(made.question, ())
    assert made.attempt == "#### 13"


def test_an_attempt_that_was_cut_off_gives_no_answer():
    made, _ = asked(finish="length")
    assert made.attempt == ""


def test_nobody_is_asked_about_a_seeds_own_question():
    made, requests = asked("answer_augmentation")
    assert (made.attempt, requests) == (None, [])


@pytest.mark.parametrize(
    ("votes", "vain"),
    [
        (("36", "36", "36"), False),
        (("36", "36", "35"), False),  # two of three
        (("36", "35", "34"), True),
        (("35", "35", "36"), True),  # a majority for another answer
        ((), True),
    ],
)
def test_the_student_is_spared_what_the_votes_reject(votes, vain):
    inquiries = {one.name: one for one in load_inquiries([{"self_consistency": {"k": 3, "threshold": 0.6}}, "difficulty"], MATH)}
    # The state after generation: its final answer is not read yet.
    made = replace(candidate("#### 36", "new_question", question=NEW, votes=votes), final_answer=None)
    assert inquiries["difficulty"].is_vain(made, SEED, MATH) is vain
    assert inquiries["self_consistency"].is_vain(made, SEED, MATH) is False


def test_queries_are_compared_by_what_they_give_in_a_thread_as_the_engine_does(tmp_path):
    task = load_task("text_to_sql")
    make_shop(tmp_path / "shop.sqlite")
    row = {"question": "How many singers are there?", "database": "shop", "answer": "SELECT count(*) FROM singer"}
    seed = seed_of_row(row, task, str(tmp_path / "{database}.sqlite"))
    votes = ("SELECT count(*) FROM singer", "SELECT count(id) FROM singer", "SELECT 7 FROM singer LIMIT 1")
    written = "```sql\nSELECT count(*) FROM singer\n```"
    question = replace(seed.question, text="What is the number of singers?")
    made = candidate(written, "new_question", seed, task, question=question, votes=votes, attempt="SELECT count(id) FROM singer")
    *_, inquiry = load_inquiries([{"self_consistency": {"k": 3, "threshold": 0.6}}, "difficulty"], task)
    assert asyncio.run(asyncio.to_thread(inquiry.is_vain, made, seed, task)) is False
    assert asyncio.run(asyncio.to_thread(inquiry.is_vain, replace(made, votes=votes[2:] * 3), seed, task)) is True
    assert difficulty.make(task, KEEPS, Options(keep_easy=0))(made, seed).passed is False


# In a config


def test_votes_come_along_with_their_defaults_or_as_the_config_has_them():
    def options(verify):
        checks: dict[str, Check] = {check.name: check for check in load_checks(verify, MATH, KEEPS)}
        assert list(checks) == ["format", "self_consistency", "difficulty"]
        return checks["self_consistency"].options.k

    assert options(["format", "difficulty"]) == 5
    assert options(["format", {"difficulty": {"keep_easy": 0}}, {"self_consistency": {"k": 3}}]) == 3


def test_a_task_without_final_answers_is_refused_in_one_sentence():
    with pytest.raises(ConfigError) as said:
        load_checks(["difficulty"], INSTRUCTION, KEEPS)
    assert str(said.value) == (
        "synthetic.verify.difficulty: instruction has no final answers by which a student could be seen to fail; leave it out"
    )


@pytest.mark.parametrize("share", [-0.1, 1.1, "some"])
def test_a_share_that_cannot_be_is_refused_with_its_path(share):
    with pytest.raises(ConfigError, match=r"synthetic\.verify\.difficulty\.keep_easy: "):
        load_checks([{"difficulty": {"keep_easy": share}}], MATH, KEEPS)
