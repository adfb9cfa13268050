"""A sample's question in its parts, as a row contains it, and the record that people see."""

import json
from dataclasses import replace

import pytest

from axolotl_synthetic import run
from axolotl_synthetic.config import Review
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.records import Candidate, Question, Seed, Verdict, question_of, to_json, to_sample
from axolotl_synthetic.review import page
from axolotl_synthetic.review.work import Work
from axolotl_synthetic.tasks import load_task

from finished import finish

SEED = Seed("s1", Question("Which is a metal?", ("iron", "wood"), ("A", "B")), "A")
NEW = "Which is a gas?\nA. air\nB. stone\nC. lead"


SEED_PROMPT = "Which is a metal?\nA. iron\nB. wood"
GAS = Question("Which is a gas?", ("air", "stone", "lead"), ("A", "B", "C"))


def row(strategy, question, answer="Air.\nAnswer: A", **more):
    return {
        **{"id": f"{strategy}-s1-0", "strategy": strategy, "seed_id": "s1", "question": question, "answer": answer},
        **{"final_answer": "A", "status": "accepted", "reason": None, "checks": [], "requests": [], "decision": None, **more},
    }


def written(question, seed=SEED, **more):
    """Return a candidate's row as a file holds it."""
    candidate = Candidate(0, "new_question-s1-0", "new_question", "s1", question=question, prompt=NEW, answer="Air.", tokens=75, **more)
    return json.loads(to_json(to_sample(candidate, seed)))


def test_a_row_holds_the_parts_of_its_question_that_are_not_the_seeds():
    assert written(GAS)["parts"] == {"text": "Which is a gas?", "choices": ["air", "stone", "lead"], "labels": ["A", "B", "C"]}
    assert "parts" not in written(SEED.question)


def test_a_questions_own_choices_are_read_back_from_its_row():
    assert question_of(written(GAS), SEED, SEED_PROMPT) == GAS


def test_a_reworded_question_has_the_seeds_choices():
    made = Question("What of these is a metal?", ("iron", "wood"), ("A", "B"))
    assert written(made)["parts"] == {"text": "What of these is a metal?"}
    assert question_of(written(made), SEED, SEED_PROMPT) == made


def test_a_schema_is_the_seeds_and_where_its_database_lies_is_not_written():
    seed = Seed("s1", Question("How many?", context="CREATE TABLE t (a)", database="shop", database_file="/here/shop.sqlite"), "SELECT 1")
    made = replace(seed.question, text="Which one?")
    row = written(made, seed)
    assert row["parts"] == {"text": "Which one?"} and "/here" not in json.dumps(row)
    found = question_of(row, seed, "How many?")
    assert found == made and found.database_file == "/here/shop.sqlite"


def test_the_turns_before_a_question_come_from_its_messages():
    seed = Seed("s1", Question("And then?", turns=(("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"))), "Yes.")
    made = replace(seed.question, text="What else?")
    assert question_of(written(made, seed), seed, "And then?") == made


def test_a_row_of_format_1_is_the_seeds_question_or_one_text():
    assert question_of(row("answer_augmentation", SEED_PROMPT), SEED, SEED_PROMPT) == SEED.question
    assert question_of(row("new_question", NEW), SEED, SEED_PROMPT) == Question(NEW)


def test_numbers_that_a_check_measured_stand_beside_its_words():
    checks = (Verdict("judge", True, "4 on a scale from 1 to 5", data={"score": 4}), Verdict("format", True))
    assert written(GAS, checks=checks)["checks"] == [
        {"name": "judge", "passed": True, "detail": "4 on a scale from 1 to 5", "data": {"score": 4}},
        {"name": "format", "passed": True, "detail": ""},
    ]


def test_the_choices_stand_beside_the_question():
    record = page.record(written(GAS, status="accepted"), SEED, SEED_PROMPT)
    assert record["fields"]["question"] == "Which is a gas?"
    assert record["fields"]["context"] == "A. air\nB. stone\nC. lead"
    assert record["fields"]["seed"] == "Which is a metal?\nA. iron\nB. wood\n\n---\n\nA"
    assert record["suggestions"]["corrected_question"]["value"] == "Which is a gas?"
    assert record["metadata"]["tokens"] == 75


def test_a_question_without_more_has_no_empty_field_beside_it():
    assert "context" not in page.record(row("new_question", "How many?"), SEED, "")["fields"]


def test_where_the_teacher_was_not_asked_a_remark_stands_and_the_box_for_the_answer_is_empty():
    made = {**row("new_question", "How many?", answer=None), "status": "rejected", "reason": "self_check"}
    record = page.record(made, SEED, "")
    assert record["fields"]["answer"] == page.NO_ANSWER
    assert "corrected_answer" not in record["suggestions"]
    assert record["suggestions"]["verdict"]["value"] == "reject"


def test_the_content_is_the_question_and_the_answer_alone():
    made = row("new_question", "How many?")
    assert page.content_of({**made, "status": "rejected", "id": "x"}) == page.content_of(made)
    assert page.content_of({**made, "answer": "B"}) != page.content_of(made) != page.content_of({**made, "question": "B"})


def test_the_default_guidelines_name_the_task():
    assert "task: math" in page.guidelines(Review(), "math")


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read"), (b"\xff\xfe", "is not UTF-8"), (b" \n", "is empty"), (b"x" * 10_001, "10,001 characters")],
)
def test_guidelines_that_cannot_be_shown_are_named(tmp_path, content, says):
    path = tmp_path / "guidelines.md"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"synthetic\.review\.guidelines: .*{says}"):
        page.guidelines(Review(guidelines=str(path)), "math")


def test_a_path_that_is_none_is_named():
    with pytest.raises(ConfigError, match=r"synthetic\.review\.guidelines: 'a\\x00b' is no path"):
        page.guidelines(Review(guidelines="a\0b"), "math")


def test_an_edited_stem_keeps_its_choices_and_the_answer_is_read_by_them(tmp_path):
    from axolotl_synthetic.review.applying import Applying

    from test_applying import book, said

    rows = [{"question": "Which is the metal?", "choices": ["iron", "wood"], "answer": "A"}]
    settings = finish(tmp_path, [], rows=rows, task="multiple_choice")
    (first,) = run.prepare(settings).seeds.seeds
    prompt = load_task("multiple_choice").prompt(first.question)
    made = {**row("answer_augmentation", prompt), "seed_id": first.id, "answer": "Wood.\nAnswer: B", "final_answer": "B"}
    corrected = said("edit", question="Which of these is a metal?", answer="Iron.\nAnswer: iron")
    with run.work_of(run.prepare(settings)) as work:
        with_row = Work(work.settings, work.task, work.seeds, work.ledger, lambda: [made], work.load_checks)
        (edited,) = Applying(with_row, book([made], {made["id"]: [corrected]})).rows()
    assert edited["question"] == "Which of these is a metal?\nA. iron\nB. wood"
    assert (edited["final_answer"], edited["status"]) == ("A", "accepted")
