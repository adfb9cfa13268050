"""Prompts begin with their shared part, byte for byte, and prompts that share it are sent together."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.checks import judge
from axolotl_synthetic.config import load_settings
from axolotl_synthetic.ledger import worst_prompt_tokens
from axolotl_synthetic.pipelines.schedule import schedule
from axolotl_synthetic.plan import costs
from axolotl_synthetic.records import Candidate, Question, Seed
from axolotl_synthetic.strategies import NEAR, near, worked_examples
from axolotl_synthetic.strategies.lengths import lengths, shared_beginning
from axolotl_synthetic.tasks import load_task

SCHEMA = "CREATE TABLE singer (name TEXT, age INTEGER)"


def beginning(one: str, other: str) -> str:
    return one[: shared_beginning(one, other)]


@given(one=st.text("ab"), other=st.text("ab"))
def test_what_two_texts_begin_with_alike_is_found(one, other):
    length = shared_beginning(one, other)
    assert one[:length] == other[:length]
    assert one == other or one[: length + 1] != other[: length + 1]


def seeds_of(task: str, count: int) -> list[Seed]:
    found = []
    for number in range(count):
        text = f"Question {number}: how many are there?"
        if task == "multiple_choice":
            question, answer = Question(text, ("one", "two"), ("A", "B")), "A"
        elif task == "text_to_sql":
            question, answer = Question(text, context=SCHEMA, database="d"), "SELECT count(*) FROM singer"
        else:
            question, answer = Question(text), f"There are {number}.\n#### {number}"
        found.append(Seed(f"s{number}", question, answer))
    return found


@pytest.mark.parametrize("task", ["math", "multiple_choice", "text_to_sql", "instruction"])
@pytest.mark.parametrize("purpose", ["answer", "rephrase", "new_question"])
def test_two_prompts_differ_in_nothing_before_what_is_the_seeds(task, purpose):
    tasks, seeds = load_task(task), seeds_of(task, 20)
    examples = worked_examples(seeds, 42)
    others = [seed for seed in seeds if seed not in examples.drawn][:2]
    one, other = (getattr(tasks, f"{purpose}_messages")(seed.question, examples.beside(seed)) for seed in others)
    assert len(one) == len(other)
    differ = [at for at, (first, second) in enumerate(zip(one, other, strict=True)) if first != second]
    texts = [turns[differ[0]]["content"] for turns in (one, other)]
    shared = beginning(*texts)
    # The seed's own text is the first difference, and no shared turn follows it.
    assert texts[0][len(shared) :].startswith(others[0].question.text.removeprefix("Question ")[:1])
    assert all(at >= differ[0] for at in differ)
    assert not [turn for turn in one[differ[-1] + 1 :] if len(turn["content"]) > 120]
    if task == "text_to_sql":
        before = "".join(turn["content"] for turn in one[: differ[0]]) + shared
        assert (SCHEMA in before) == (purpose != "rephrase")


def test_a_judges_prompts_share_the_rubric():
    def prompt(number: int) -> str:
        candidate = Candidate(number, f"c{number}", "answer_augmentation", "s", prompt="What is 6 * 10?", answer=f"{number}")
        return "\0".join(turn["content"] for turn in judge.messages(candidate, judge.Options()))

    shared = beginning(prompt(1), prompt(2))
    assert shared.endswith("The mark is ")
    assert "from 1 (worst) to 5 (best)" in shared
    assert (judge.FOLDER / "judge_rubric.md").read_text().strip() in shared


def contexts(pattern: str) -> list[Seed]:
    return [Seed(f"{place}{name}", Question("?", context=None if name == "-" else name)) for place, name in enumerate(pattern)]


def test_seeds_of_one_context_are_asked_one_after_the_other_in_every_round():
    planned = list(islice(schedule(contexts("abcab"), {"one": 1.0}), 10))
    assert [one.seed.id for one in planned] == ["0a", "3a", "1b", "4b", "2c"] * 2
    # A candidate and its calls in the ledger are still identified by seed and round.
    assert [one.candidate.id for one in planned[:2]] == ["one-0a-0", "one-3a-0"]
    assert [one.round for one in planned] == [0] * 5 + [1] * 5


def test_without_contexts_the_order_is_the_seeds_own():
    seeds = contexts("-" * 200)
    assert near(seeds) == seeds


@given(pattern=st.text("abc-", max_size=300))
def test_no_seed_moves_further_than_a_stretch_and_none_is_lost(pattern):
    seeds = contexts(pattern)
    ordered = near(seeds)
    assert sorted(seed.id for seed in ordered) == sorted(seed.id for seed in seeds)
    for place, seed in enumerate(ordered):
        assert seeds.index(seed) // NEAR == place // NEAR


# The plan's statements about it


def test_the_plan_counts_what_prompts_share_and_whole_prompts_of_later_rounds():
    settings, task = load_settings({"budget": {"samples": 80}}), load_task("math")
    seeds = seeds_of("math", 20)
    found = lengths(settings, task, seeds, worst_prompt_tokens)
    # All but the question's number on: `Question 1: how many are there?` of a prompt with four worked examples.
    assert 0.8 < found["answer"].shared < 1
    once = costs.assume(settings, found)["answer_augmentation"]
    assert once.cacheable_tokens / once.prompt_tokens == pytest.approx(found["answer"].shared)
    # Four rounds: three quarters are complete repetitions; of the other quarter, the shared part repeats.
    often = costs.assume(settings, found, rounds=4)["answer_augmentation"]
    assert often.cacheable_tokens / often.prompt_tokens == pytest.approx(0.75 + 0.25 * found["answer"].shared)
    # An answer to a new question is requested once.
    new, lone = (costs.assume(settings, found, rounds=rounds)["new_question"] for rounds in (4, 1))
    assert new.cacheable_tokens - lone.cacheable_tokens == pytest.approx(
        0.75 * (1 - found["new_question"].shared) * found["new_question"].prompt
    )


def test_the_plan_pays_once_for_a_prompt_whose_answers_come_together():
    task, seeds = load_task("math"), seeds_of("math", 20)
    price = {"input": 1.0, "output": 10.0}
    made = []
    for per_call in (1, 4):
        settings = load_settings({"budget": {"samples": 80}, "teacher": {"samples_per_call": per_call, "price": price}})
        found = lengths(settings, task, seeds, worst_prompt_tokens)
        made.append(costs.assume(settings, found, rounds=4))
    one, four = (rates["answer_augmentation"] for rates in made)
    assert four.prompt_tokens == pytest.approx(one.prompt_tokens / 4)
    assert one.usd.value - four.usd.value == pytest.approx(0.75 * one.prompt_tokens / 1e6)
    assert four.queries == one.queries
    # Answers to new questions are requested one by one.
    assert made[0]["new_question"].prompt_tokens == made[1]["new_question"].prompt_tokens
