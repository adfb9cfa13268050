"""A sample's question in its parts, from a real ledger, and the record that people see."""

import pytest

from axolotl_synthetic import run
from axolotl_synthetic.config import Generation, Review
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.ledger import Call, Ledger, Settled
from axolotl_synthetic.records import Question, Reply, Request, Seed
from axolotl_synthetic.review import page
from axolotl_synthetic.review.origin import Origins
from axolotl_synthetic.review.work import Work
from axolotl_synthetic.tasks import load_task

from finished import finish

SEED = Seed("s1", Question("Which is a metal?", ("iron", "wood"), ("A", "B")), "A")
NEW = "Which is a gas?\nA. air\nB. stone\nC. lead"


@pytest.fixture
def origins(tmp_path):
    """Return functions on a ledger: `called` adds a test's calls and returns their ids; the other reads the ledger."""
    from axolotl_synthetic.config import load_settings

    path = tmp_path / "ledger.sqlite"

    def called(*calls):
        made = [
            Call(Request(purpose, "teacher", ({"role": "user", "content": f"{number}"},)), "m", Generation(), None)
            for number, (purpose, _) in enumerate(calls)
        ]
        with Ledger(path) as ledger:
            ids = ledger.commit(made, [])
            replies = [Reply(text, "stop", 10, 5) for _, text in calls]
            ledger.commit([], [Settled(*pair, reply=reply) for pair, reply in zip(zip(ids, made, strict=True), replies, strict=True)])
        return ids

    called()
    with Ledger(path) as ledger:
        settings = load_settings({"task": "multiple_choice", "output_dir": str(tmp_path)})
        work = Work(settings, load_task("multiple_choice"), (SEED,), ledger, list, list)
        yield called, Origins(work)


def row(strategy, question, requests, answer="Air.\nAnswer: A"):
    return {
        **{"id": f"{strategy}-s1-0", "strategy": strategy, "seed_id": "s1", "question": question, "answer": answer},
        **{"final_answer": "A", "status": "accepted", "reason": None, "checks": [], "requests": requests, "decision": None},
    }


def test_a_new_question_has_its_own_choices_again(origins):
    called, from_ledger = origins
    # Two more answers after the sample's own, as self-consistency requests them.
    ids = called(("new_question", NEW), ("self_check", "YES"), ("answer", "Air.\nAnswer: A"), ("answer", "x"), ("answer", "y"))
    candidate = from_ledger.candidate(row("new_question", NEW, ids))
    assert candidate.question == Question("Which is a gas?", ("air", "stone", "lead"), ("A", "B", "C"))
    assert (candidate.self_check, candidate.answer, candidate.final_answer) == ("YES", "Air.\nAnswer: A", "A")
    # Five calls of 10 prompt and 5 completion tokens.
    assert from_ledger.tokens(row("new_question", NEW, ids)) == 75


def test_a_reworded_question_has_the_seeds_choices(origins):
    called, from_ledger = origins
    ids = called(("rephrase", "What of these is a metal?"), ("answer", "Iron.\nAnswer: A"))
    candidate = from_ledger.candidate(row("question_rephrase", "What of these is a metal?\nA. iron\nB. wood", ids))
    assert candidate.question == Question("What of these is a metal?", ("iron", "wood"), ("A", "B"))


def test_an_answer_to_the_seeds_own_question_needs_no_ledger(origins):
    _, from_ledger = origins
    candidate = from_ledger.candidate(row("answer_augmentation", "Which is a metal?\nA. iron\nB. wood", []))
    assert candidate.question == SEED.question


@pytest.mark.parametrize("replies", [[], [("new_question", "Which is a gas?")], [("new_question", NEW.replace("air", "fog"))]])
def test_what_the_ledger_does_not_bear_out_stays_in_one_part(origins, replies):
    called, from_ledger = origins
    candidate = from_ledger.candidate(row("new_question", NEW, called(*replies) if replies else [99]))
    assert candidate.question == Question(NEW)
    assert candidate.prompt == NEW


def test_the_choices_stand_beside_the_question(origins):
    called, from_ledger = origins
    made = row("new_question", NEW, called(("new_question", NEW), ("self_check", "YES"), ("answer", "Air.\nAnswer: A")))
    record = page.record(made, from_ledger.candidate(made), SEED, "Which is a metal?\nA. iron\nB. wood", 45)
    assert record["fields"]["question"] == "Which is a gas?"
    assert record["fields"]["context"] == "A. air\nB. stone\nC. lead"
    assert record["fields"]["seed"] == "Which is a metal?\nA. iron\nB. wood\n\n---\n\nA"
    assert record["suggestions"]["corrected_question"]["value"] == "Which is a gas?"
    assert record["metadata"]["tokens"] == 45


def test_a_question_without_more_has_no_empty_field_beside_it(origins):
    _, from_ledger = origins
    made = row("new_question", "How many?", [])
    assert "context" not in page.record(made, from_ledger.candidate(made), SEED, "", 0)["fields"]


def test_where_the_teacher_was_not_asked_a_remark_stands_and_the_box_for_the_answer_is_empty(origins):
    _, from_ledger = origins
    made = {**row("new_question", "How many?", [], answer=None), "status": "rejected", "reason": "self_check"}
    record = page.record(made, from_ledger.candidate(made), SEED, "", 0)
    assert record["fields"]["answer"] == page.NO_ANSWER
    assert "corrected_answer" not in record["suggestions"]
    assert record["suggestions"]["verdict"]["value"] == "reject"


def test_the_content_is_the_question_and_the_answer_alone():
    made = row("new_question", "How many?", [])
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
    made = {**row("answer_augmentation", prompt, []), "seed_id": first.id, "answer": "Wood.\nAnswer: B", "final_answer": "B"}
    corrected = said("edit", question="Which of these is a metal?", answer="Iron.\nAnswer: iron")
    with run.work_of(run.prepare(settings)) as work:
        with_row = Work(work.settings, work.task, work.seeds, work.ledger, lambda: [made], work.load_checks)
        (edited,) = Applying(with_row, book([made], {made["id"]: [corrected]})).rows()
    assert edited["question"] == "Which of these is a metal?\nA. iron\nB. wood"
    assert (edited["final_answer"], edited["status"]) == ("A", "accepted")
