"""Samples with people's decisions: each verdict, checks run again on edited samples, and everything can be undone."""

from contextlib import contextmanager

import pytest

from axolotl_synthetic import dataset, run
from axolotl_synthetic.records import Question
from axolotl_synthetic.review import kept
from axolotl_synthetic.review.applying import Applying, original, stand
from axolotl_synthetic.review.kept import Answer, Kept
from axolotl_synthetic.review.page import content_of
from axolotl_synthetic.seeds import seed_id

from finished import finish, gold, sample, seed, settings

WHEN = "2026-01-01T10:00:00Z"


def said(what, who="ann", **corrections):
    return Answer(who, f"id-{who}", WHEN, what, **corrections)


def book(rows, answers, **more):
    """Return all of these rows as pushed, with answers to some of them, by the rows' ids."""
    made = [Kept("synthetic/review", "d1", row["id"], content_of(row), answers=tuple(answers.get(row["id"], ())), **more) for row in rows]
    return {one.key: one for one in made}


@pytest.fixture
def applied(tmp_path):
    """Return a function that applies answers to rows of a real finished run; it returns the rows by id, and the effect."""

    @contextmanager
    def working(rows, **block):
        made = finish(tmp_path, rows, **block)
        with run.work_of(run.prepare(made)) as work:
            yield work

    def apply(rows, answers, annotators=1, **block):
        with working(rows, **block) as work:
            applying = Applying(work, book(rows, answers, annotators=annotators))
            return {row["id"]: row for row in applying.rows()}, applying.effect

    return apply


A, B, C, D = (f"answer_augmentation-{number}" for number in range(4))


def test_what_nobody_answered_stays_as_it_is(applied):
    rows = [sample(0), sample(1, wrong=True)]
    made, effect = applied(rows, {})
    assert list(made.values()) == rows
    assert not effect.decided


def test_an_accepted_sample_that_people_accept_changes_nothing_but_the_decision(applied):
    made, _ = applied([sample(0)], {A: [said("accept")]})
    assert made[A] == {**sample(0), "decision": {"what": "accept", "who": ["ann"], "when": WHEN, "before": {}, "after": {}}}


def test_people_overrule_a_check(applied):
    made, _ = applied([sample(0, wrong=True)], {A: [said("accept")]})
    assert (made[A]["status"], made[A]["reason"]) == ("accepted", None)
    assert made[A]["checks"] == sample(0, wrong=True)["checks"]
    assert made[A]["decision"]["before"] == {"status": "rejected", "reason": "final_answer"}
    assert made[A]["decision"]["after"] == {"status": "accepted", "reason": None}


def test_what_people_reject_is_rejected_by_review(applied):
    made, effect = applied([sample(0)], {A: [said("reject")]})
    assert (made[A]["status"], made[A]["reason"]) == ("rejected", "review")
    assert dict(effect.decided) == {"reject": 1}


def test_an_edited_answer_is_read_and_checked_again(applied):
    corrected = f"Counted anew: {gold(0)}.\n#### {gold(0)}"
    made, effect = applied([sample(0, wrong=True)], {A: [said("edit", answer=corrected)]})
    row = made[A]
    assert (row["answer"], row["final_answer"], row["status"], row["reason"]) == (corrected, str(gold(0)), "accepted", None)
    assert {check["name"]: check["passed"] for check in row["checks"]}["final_answer"] is True
    assert row["decision"]["before"]["answer"] == sample(0, wrong=True)["answer"]
    assert row["decision"]["after"]["answer"] == corrected
    assert not effect.failed_edits


def test_an_edit_that_is_wrong_is_rejected_by_the_check_and_told(applied):
    made, effect = applied([sample(0)], {A: [said("edit", answer="It is 1.\n#### 1")]})
    assert (made[A]["status"], made[A]["reason"], made[A]["answer"]) == ("rejected", "final_answer", "It is 1.\n#### 1")
    assert dict(effect.failed_edits) == {"final_answer": 1}


def test_an_edit_that_marks_no_final_answer_is_rejected_by_format(applied):
    made, _ = applied([sample(0)], {A: [said("edit", answer="I do not know")]})
    assert made[A]["reason"] == "format"


@pytest.mark.parametrize("places", [(0, 1), (1, 0)])
def test_an_edit_that_says_what_another_sample_says_is_a_duplicate_also_of_a_later_one(applied, places):
    # Both are answers to seed 0; one is edited to say what the other says.
    edited, other = (f"answer_augmentation-{place}" for place in places)
    rows = [sample(0, id=f"answer_augmentation-{number}", answer=f"way {number}\n#### {gold(0)}") for number in range(2)]
    made, _ = applied(rows, {edited: [said("edit", answer=f"WAY {places[1]}\n#### {gold(0)}")]})
    assert (made[edited]["status"], made[edited]["reason"]) == ("rejected", "duplicate")
    assert made[other]["status"] == "accepted"


def test_an_edit_may_say_what_a_sample_said_that_people_rejected(applied):
    rows = [sample(0, id=f"answer_augmentation-{number}", answer=f"way {number}\n#### {gold(0)}") for number in range(2)]
    made, _ = applied(rows, {A: [said("edit", answer=f"way 1\n#### {gold(0)}")], B: [said("reject")]})
    assert made[A]["status"] == "accepted"


def test_of_two_equal_edits_one_stays(applied):
    rows = [sample(0, id=f"answer_augmentation-{number}", answer=f"way {number}\n#### {gold(0)}") for number in range(2)]
    same = said("edit", answer=f"one way\n#### {gold(0)}")
    made, _ = applied(rows, {A: [same], B: [same]})
    assert [made[name]["status"] for name in (A, B)] == ["accepted", "rejected"]


def test_an_edited_question_is_what_the_student_reads(applied):
    made, _ = applied([sample(0)], {A: [said("edit", question="Ada has 2 jars of 3 cards. How many is that?")]})
    assert made[A]["question"] == "Ada has 2 jars of 3 cards. How many is that?"
    assert made[A]["decision"]["before"] == {
        **{"question": seed(0)["question"], "checks": sample(0)["checks"]},
        "parts": None,
    }


def test_accepting_what_has_no_answer_cannot_bring_it_into_the_training_file(applied):
    bare = sample(0, answer=None, final_answer=None, status="rejected", reason="self_check")
    made, _ = applied([bare], {A: [said("accept")]})
    assert (made[A]["status"], made[A]["reason"]) == ("rejected", "self_check")
    assert made[A]["decision"]["what"] == "accept"


def test_a_missing_answer_can_be_written(applied):
    bare = sample(0, answer=None, final_answer=None, status="rejected", reason="self_check")
    made, _ = applied([bare], {A: [said("edit", answer=f"It is {gold(0)}.\n#### {gold(0)}")]})
    assert made[A]["status"] == "accepted"


@pytest.mark.parametrize(("unreviewed", "status"), [("keep", "accepted"), ("wait", "accepted"), ("drop", "rejected")])
def test_ties_and_silence_go_by_unreviewed(applied, unreviewed, status):
    answers = {A: [said("accept", "ann"), said("reject", "bea")]}
    made, effect = applied([sample(0), sample(1)], answers, annotators=2, review={"unreviewed": unreviewed})
    assert [made[name]["status"] for name in (A, B)] == [status, status]
    assert effect.dropped == (2 if unreviewed == "drop" else 0)
    assert made[A]["reason"] == ("unreviewed" if unreviewed == "drop" else None)
    assert made[A]["decision"] is None


def test_dropping_leaves_alone_what_was_not_pushed_and_what_was_deleted_in_argilla(tmp_path):
    rows = [sample(0), sample(1), sample(2)]
    made = finish(tmp_path, rows, review={"unreviewed": "drop"})
    pushed = book(rows[:1], {}) | book(rows[1:2], {}, gone=True)
    with run.work_of(run.prepare(made)) as work:
        assert [row["status"] for row in Applying(work, pushed).rows()] == ["rejected", "accepted", "accepted"]


def test_a_decision_about_another_text_waits_for_that_text(tmp_path):
    former, now = sample(0), sample(0, answer=f"Another run's.\n#### {gold(0)}")
    decided = book([former], {A: [said("reject")]})
    standing = stand([now], decided)
    assert (standing.rulings, standing.open, standing.outdated) == ({}, set(), {A})
    assert stand([former], decided).rulings[A].what == "reject"


def test_in_two_rounds_the_later_decision_counts():
    row = sample(0)
    first = Kept("synthetic/one", "d1", A, content_of(row), answers=(said("reject"),))
    later = Answer("bea", "id-bea", "2026-02-01T00:00:00Z", "accept")
    second = Kept("synthetic/two", "d2", A, content_of(row), answers=(later,))
    assert stand([row], {one.key: one for one in (first, second)}).rulings[A].what == "accept"


def test_a_later_round_without_a_decision_leaves_the_former_one():
    row = sample(0)
    first = Kept("synthetic/one", "d1", A, content_of(row), answers=(said("reject"),))
    second = Kept("synthetic/two", "d2", A, content_of(row))
    standing = stand([row], {one.key: one for one in (first, second)})
    assert (standing.rulings[A].what, standing.open) == ("reject", set())


ANSWERS = {
    A: [said("reject")],
    B: [said("accept")],
    C: [said("edit", answer=f"It is {gold(2)}.\n#### {gold(2)}", question="How many?")],
    D: [said("edit", answer="It is 1.\n#### 1")],
}


def test_applying_again_changes_nothing_and_every_decision_can_be_taken_back(tmp_path):
    rows = [sample(0), sample(1, wrong=True), sample(2, wrong=True), sample(3), sample(4)]
    made = finish(tmp_path, rows, review={"unreviewed": "drop"})
    kept.write(made.folder, book(rows, ANSWERS))
    run.generate(made)  # the run is finished, so only the decisions are applied
    once = list(dataset.read_samples(made.folder / "samples.jsonl"))
    assert [row["status"] for row in once] == ["rejected", "accepted", "accepted", "rejected", "rejected"]
    assert [original(row) for row in once] == rows
    with run.work_of(run.prepare(made)) as work:
        assert list(Applying(work, kept.read(made.folder)).rows()) == once


def test_a_check_that_asked_a_model_is_not_held_against_a_correction(tmp_path):
    from dataclasses import dataclass

    from axolotl_synthetic.records import failed
    from axolotl_synthetic.review.work import Work

    @dataclass
    class Asking:
        name: str = "judge"
        in_order: bool = False
        asks: bool = True

        def __call__(self, candidate, seed):
            return failed("no model was asked")

    rows = [sample(0)]
    made = finish(tmp_path, rows)
    with run.work_of(run.prepare(made)) as work:
        asking = Work(made, work.task, work.seeds, work.ledger, work.rows, lambda: [Asking()])
        (row,) = Applying(asking, book(rows, {A: [said("edit", question="How many?")]})).rows()
    assert row["status"] == "accepted"
    assert row["checks"] == [
        {"name": "judge", "passed": None, "detail": "a person changed the text, and no model is asked about it again"},
    ]


# A run with decisions


def samples(made):
    return {row["id"]: row for row in dataset.read_samples(made.folder / "samples.jsonl")}


def test_a_run_that_goes_on_keeps_the_decisions(tmp_path):
    rows = [sample(0), sample(1)]
    made = finish(tmp_path, rows)
    kept.write(made.folder, book(rows, {A: [said("reject")]}))
    longer = settings(tmp_path, budget={"samples": 1001})
    from finished import generate

    outcome = generate(longer, [*rows, sample(2)])
    assert outcome.was_finished is False
    assert [row["status"] for row in samples(longer).values()] == ["rejected", "accepted", "accepted"]
    assert not list(longer.folder.glob("*.tmp"))
    # Finished with its decisions: nothing is left to do.
    assert run.training_file(longer) == longer.folder / outcome.manifest["files"]["train"]["path"]


def test_new_decisions_make_a_finished_run_write_its_training_file_anew_and_no_other_file_goes(tmp_path):
    rows = [sample(0), sample(1)]
    made = finish(tmp_path, rows)
    former = run.training_file(made)
    kept.write(made.folder, book(rows, {A: [said("reject")]}))
    assert run.training_file(made) is None
    outcome = run.generate(made)
    assert outcome.was_finished
    assert former.exists()
    assert run.training_file(made) != former
    assert outcome.manifest["rejections"] == {"review": 1}
    assert outcome.manifest["files"]["train"]["rows"] == 301  # 300 seeds and the sample that stays


def test_another_policy_for_the_undecided_is_another_training_file_without_another_run(tmp_path):
    rows = [sample(0), sample(1)]
    made = finish(tmp_path, rows)
    kept.write(made.folder, book(rows, {}))
    assert run.generate(made).manifest["counts"]["accepted"] == 2
    dropping = settings(tmp_path, review={"unreviewed": "drop"})
    assert run.training_file(dropping) is None
    assert run.generate(dropping).manifest["counts"]["accepted"] == 0
    assert run.generate(made).manifest["counts"]["accepted"] == 2


def test_without_its_review_file_a_run_is_as_the_checks_left_it(tmp_path):
    rows = [sample(0), sample(1)]
    made = finish(tmp_path, rows)
    first = run.training_file(made)
    kept.write(made.folder, book(rows, ANSWERS))
    run.generate(made)
    (made.folder / kept.FILE).unlink()
    run.generate(made)
    assert run.training_file(made) == first
    assert list(samples(made).values()) == rows


def test_a_command_killed_between_the_samples_and_the_manifest_is_made_good_by_the_next(tmp_path, monkeypatch):
    rows = [sample(0), sample(1)]
    made = finish(tmp_path, rows)
    kept.write(made.folder, book(rows, {A: [said("reject")]}))

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run, "_finish", killed)
        with pytest.raises(KeyboardInterrupt):
            run.generate(made)
    assert run.generate(made).manifest["counts"]["accepted"] == 1
    assert [row["status"] for row in samples(made).values()] == ["rejected", "accepted"]


def test_an_edited_message_of_a_chat_stays_behind_its_turns(tmp_path):
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "Good day."},
    ]
    before = [*turns, {"role": "user", "content": "Is it late?"}]
    said_before = "System message: Be brief.\n\nThe user: Hello?\n\nThe assistant: Good day.\n\nThe user: "
    row = sample(0, id="a", strategy="new_question", question=f"{said_before}Is it late?", answer="Not yet, come in.", final_answer=None)
    row |= {"messages": before, "seed_id": seed_id(Question("Hello?", turns=(("system", "Be brief."),)), "Good day.")}
    block = {"task": "chat", "verify": ["format", "duplicate"], "strategy": "new_question"}
    with run.work_of(run.prepare(finish(tmp_path, [row], rows=[{"messages": turns}], **block))) as work:
        answers = {"a": [said("edit", question="Is it too late to come in?")]}
        [made] = Applying(work, book([row], answers, annotators=1)).rows()
    assert made["status"] == "accepted"
    assert made["messages"] == [*turns, {"role": "user", "content": "Is it too late to come in?"}]
    assert made["question"] == f"{said_before}Is it too late to come in?"
    assert made["decision"]["before"]["messages"] == before
