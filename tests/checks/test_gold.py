"""The seeds' own answers under the checks of a run."""

from dataclasses import dataclass, replace
from typing import Any

from axolotl_synthetic.checks import Check, load_checks
from axolotl_synthetic.checks.gold import as_candidate, failing_seeds
from axolotl_synthetic.records import Question, Seed, failed
from axolotl_synthetic.tasks import load_task

from candidates import CHOICES, INSTRUCTION, KEEPS, LONG_SEED, MATH, SEED, STEM, TALK


def failing(*seeds: Seed, task: Any = MATH, verify=None, held_out=()):
    checks = load_checks(verify, task, KEEPS, seeds=seeds, held_out=held_out)
    return [(seed.id, verdict.name) for seed, verdict in failing_seeds(seeds, task, checks)]


def test_good_seeds_pass_their_own_tasks_checks():
    assert failing(SEED, LONG_SEED, Seed("bare", Question("What is 5 + 7?"), "12")) == []
    assert failing(STEM, replace(STEM, id="text", answer="wet palms"), task=CHOICES) == []
    assert failing(TALK, task=INSTRUCTION) == []


def test_a_seed_without_an_answer_has_none_that_could_fail():
    assert as_candidate(Seed("none", SEED.question), MATH) is None
    assert failing(Seed("none", SEED.question)) == []


def test_a_refusal_and_another_language_as_a_gold_answer_are_found():
    refusal = Seed("refusal", Question("Name a fruit."), "I'm sorry, but I can't help with that.")
    assert failing(TALK, refusal, task=INSTRUCTION) == [("refusal", "format")]


def test_a_seeds_answer_may_stay_in_its_language_where_another_is_asked_for():
    question = Question("Where do I find the books about bees that were on the table by the window last week?")
    answer = "They are upstairs now, on the left behind the globe, together with the other books about animals."
    for name in ("instruction", "chat"):
        assert failing(Seed("english", question, answer), task=load_task(name, None, "German"), verify=["format"]) == []


def test_a_seed_that_gives_a_held_out_one_away_is_found():
    assert failing(SEED, LONG_SEED, held_out=[replace(SEED, id="twin")]) == [("s", "decontamination")]


def test_checks_that_compare_samples_or_ask_a_model_say_nothing_about_seeds():
    verify = ["duplicate", "near_duplicate", {"diversity": {"per_seed": 1}}, "judge", "self_consistency"]
    assert failing(SEED, replace(SEED, id="again"), verify=verify) == []


def test_the_first_verdict_against_a_seed_is_its_reason():
    checks = [Check("one", lambda candidate, seed: failed("this")), Check("two", lambda candidate, seed: failed("that"))]
    assert [(seed.id, verdict.detail) for seed, verdict in failing_seeds([SEED], MATH, checks)] == [("s", "this")]


def test_a_check_or_a_task_that_breaks_on_a_seed_is_a_failure_of_that_seed_alone():
    def breaks(candidate, seed):
        return 1 / 0

    @dataclass
    class Breaking(type(MATH)):
        def solution(self, seed: Seed) -> str | None:
            return None if seed.id == "s" else str(1 / 0)

    assert [verdict.broken for _, verdict in failing_seeds([SEED], MATH, [Check("odd", breaks)])] == [True]
    [(seed, verdict)] = failing_seeds([SEED, LONG_SEED], Breaking(), [])
    assert (seed.id, verdict.name, verdict.broken) == ("long", "task", True)
