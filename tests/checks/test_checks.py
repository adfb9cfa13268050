"""Finding, validating and combining checks; each check's own tests are in the file of its name."""

import pytest

from axolotl_synthetic.checks import DEFAULTS, NAMES, Check, extra_calls, files_read, final_answer, load_checks, load_inquiries, self_check
from axolotl_synthetic.errors import ConfigError, StorageError
from axolotl_synthetic.records import Candidate, Seed, judged, passed
from axolotl_synthetic.tasks import load_task

from candidates import CHOICES, INSTRUCTION, KEEPS, MATH, SEED, candidate

SQL = load_task("text_to_sql")


def problems(*verify, task=MATH) -> str:
    with pytest.raises(ConfigError) as error:
        load_checks(verify, task, KEEPS)
    return str(error.value)


# The two checks that are too small for their own file.


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
    assert final_answer.make(INSTRUCTION, KEEPS)(candidate(), SEED).passed is None


@pytest.mark.parametrize(
    ("reply", "passed"), [("Yes", True), ("It is complete. Yes.", True), ("No, it lacks a number", False), ("Hm", False)]
)
def test_the_augmenter_must_stand_by_its_question(reply, passed):
    assert self_check.make(MATH, KEEPS)(candidate(strategy="new_question", self_check=reply), SEED).passed is passed


def test_a_candidate_that_was_never_self_checked_is_not_judged_by_it():
    assert self_check.make(MATH, KEEPS)(candidate(), SEED).passed is None


# Which checks run, and their order.


@pytest.mark.parametrize(
    ("task", "without"),
    [(MATH, {"execution"}), (CHOICES, {"execution"}), (INSTRUCTION, {"execution", "final_answer"}), (SQL, set())],
)
def test_the_defaults_cost_no_calls_want_no_options_and_are_those_that_the_task_has_use_for(task, without):
    assert {check.name for check in load_checks(None, task, KEEPS)} == set(DEFAULTS) - without
    assert load_inquiries(None, task) == ()


def test_the_first_check_that_fails_is_the_reason():
    checks = load_checks(None, MATH, KEEPS)
    made = judged(candidate("#### 61"), [check(candidate("#### 61"), SEED) for check in checks if not check.in_order])
    assert (made.status, made.reason) == ("rejected", "final_answer")
    assert [(verdict.name, verdict.passed) for verdict in made.checks] == [
        ("self_check", None),
        ("rephrase_fidelity", None),
        ("format", True),
        ("final_answer", False),
        ("decontamination", None),
    ]


def test_checks_of_the_config_run_and_no_others_and_those_in_order_come_last():
    verify = ["duplicate", {"diversity": {"per_seed": 3}}, {"format": {}}, "near_duplicate"]
    checks = load_checks(verify, MATH, KEEPS)
    assert [check.name for check in checks] == ["format", "duplicate", "near_duplicate", "diversity"]
    assert [check.in_order for check in checks] == [False, True, True, True]


def test_every_check_can_be_loaded_by_its_name():
    given = [{"diversity": {"per_seed": 1}} if name == "diversity" else name for name in NAMES]
    assert {check.name for check in load_checks(given, MATH, KEEPS)} == set(NAMES)


def test_a_check_that_breaks_fails_the_candidate_and_is_neither_passed_nor_a_rejection():
    def broken(candidate: Candidate, seed: Seed):
        raise ZeroDivisionError("oops")

    made = judged(candidate(), [Check("odd", broken)(candidate(), SEED)])
    assert made.status == "failed"
    assert made.reason == "check broken: odd: ZeroDivisionError: oops"


def test_an_error_that_ends_the_run_is_no_verdict():
    def out_of_space(candidate: Candidate, seed: Seed):
        raise StorageError("the disk is full")

    with pytest.raises(StorageError):
        Check("odd", out_of_space)(candidate(), SEED)


def test_only_checks_in_order_remember():
    Check("pure", lambda candidate, seed: passed()).remember(candidate())  # it has nothing to remember, and is not asked to


# All problems of a config are reported at once, before the first call.


def test_an_unknown_check_is_named_with_those_there_are():
    assert f"no check is named 'jugde'; there are {', '.join(NAMES)}" in problems("jugde")


def test_an_unknown_option_is_named_with_those_there_are():
    assert "synthetic.verify.format.strict: unknown option; format takes refusals, language" in problems({"format": {"strict": True}})
    assert "synthetic.verify.duplicate.x: unknown option; duplicate takes no options" in problems({"duplicate": {"x": 1}})


@pytest.mark.parametrize(
    ("check", "options", "said"),
    [
        ("self_consistency", {"k": 1}, "synthetic.verify.self_consistency.k: 1: input should be greater than or equal to 2"),
        ("self_consistency", {"k": "many"}, "synthetic.verify.self_consistency.k: 'many': input should be a valid integer"),
        (
            "self_consistency",
            {"threshold": 1.5},
            "synthetic.verify.self_consistency.threshold: 1.5: input should be less than or equal to 1",
        ),
        ("near_duplicate", {"threshold": 0}, "synthetic.verify.near_duplicate.threshold: 0: input should be greater than or equal to 0.5"),
        ("decontamination", {"words": 2}, "synthetic.verify.decontamination.words: 2: input should be greater than or equal to 5"),
        ("decontamination", {"files": "test.jsonl"}, "synthetic.verify.decontamination.files: 'test.jsonl': input should be a valid list"),
        ("decontamination", {"files": ["no.jsonl"]}, "synthetic.verify.decontamination.files: there is no file no.jsonl in "),
        ("length", {"at_least": 9, "at_most": 3}, "synthetic.verify.length: at_least (9) is above at_most (3); swap them or drop one"),
        ("length", {"tokenizer": "./nowhere"}, "synthetic.verify.length.tokenizer: './nowhere' cannot be loaded: "),
        ("diversity", {}, "synthetic.verify.diversity.per_seed: is required; write diversity: {per_seed: …}"),
        ("diversity", {"per_seed": 0}, "synthetic.verify.diversity.per_seed: 0: input should be greater than or equal to 1"),
        ("judge", {"scale": [5, 1]}, "synthetic.verify.judge: scale: [5, 1]: give the worst and the best score, such as [1, 5]"),
        ("judge", {"threshold": 6}, "synthetic.verify.judge: threshold: 6: must be above 1 and at most 5"),
        ("judge", {"threshold": 1}, "synthetic.verify.judge: threshold: 1: must be above 1 and at most 5"),
        ("judge", {"by": "me"}, "synthetic.verify.judge.by: 'me': input should be 'teacher' or 'augmenter'"),
        ("judge", {"rubric": "no.md"}, "synthetic.verify.judge.rubric: no.md: there is no such file in "),
        ("format", {"refusals": "perhaps"}, "synthetic.verify.format.refusals: 'perhaps': input should be a valid boolean"),
    ],
)
def test_an_option_that_cannot_be_is_named_with_its_path_its_value_and_the_remedy(check, options, said):
    assert said in problems({check: options})


def test_all_problems_of_a_config_are_said_at_once():
    said = problems({"self_consistency": {"k": 0}}, {"judge": {"by": "me"}}, "spelling")
    assert said.count("synthetic.verify") == 3


def test_self_consistency_is_refused_for_a_task_without_final_answers():
    said = problems("self_consistency", task=INSTRUCTION)
    assert said == ("synthetic.verify.self_consistency: instruction has no final answers that could agree; leave it out, or use judge")


# Information for the engine and the plan.


@pytest.mark.parametrize(
    ("strategy", "rounds", "calls"),
    [
        ("answer_augmentation", 1, 4.0),  # the first candidate of each seed requests all five
        ("answer_augmentation", 2, 1.5),  # five calls for two samples are 1.5 more than two
        ("answer_augmentation", 5, 0.0),  # its votes are the other candidates' answers
        ("answer_augmentation", 50, 0.0),
        ("question_rephrase", 1, 4.0),
        ("new_question", 50, 4.0),
    ],
)
def test_votes_on_a_seeds_own_question_are_paid_once_a_seed(strategy, rounds, calls):
    inquiries = load_inquiries(["self_consistency", "format"], MATH)
    assert extra_calls(inquiries, strategy, rounds) == {"answer": pytest.approx(calls)}


@pytest.mark.parametrize(
    ("strategy", "round", "calls"),
    [("answer_augmentation", 0, 4), ("answer_augmentation", 4, 4), ("answer_augmentation", 5, 5), ("new_question", 9, 4)],
)
def test_the_engine_makes_room_for_votes_that_nobody_has_asked_for_yet(strategy, round, calls):
    # Four votes besides its own; from the sixth answer of a seed on, its own is not among the five.
    [inquiry] = load_inquiries([{"self_consistency": {"k": 5}}], MATH)
    assert inquiry.calls(strategy, round) == calls


def test_a_judge_is_one_call_a_sample_beside_the_votes():
    inquiries = load_inquiries(["judge", {"self_consistency": {"k": 3}}], MATH)
    assert [inquiry.name for inquiry in inquiries] == ["self_consistency", "judge"]
    assert extra_calls(inquiries, "new_question", 7) == {"answer": 3.0}


def test_a_student_is_one_call_for_a_new_question_and_of_its_own_purpose():
    inquiries = load_inquiries(["judge", {"self_consistency": {"k": 3}}, "difficulty"], MATH)
    assert [inquiry.name for inquiry in inquiries] == ["self_consistency", "difficulty", "judge"]
    assert extra_calls(inquiries, "new_question", 7) == {"answer": 3.0, "difficulty": 1.0}
    assert extra_calls(inquiries, "question_rephrase", 7) == {"answer": 3.0, "difficulty": 0.0}


def test_the_files_that_a_run_depends_on_are_known(tmp_path):
    rubric, test = tmp_path / "rubric.md", tmp_path / "test.txt"
    rubric.write_text("Be kind.")
    test.write_text("What is asked in the test?")
    verify = [{"judge": {"rubric": str(rubric)}}, {"decontamination": {"files": [str(test)]}}, "duplicate"]
    assert files_read(verify, load_task("instruction")) == (rubric, test)
    assert files_read(None, MATH) == ()
