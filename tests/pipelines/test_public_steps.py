"""The steps of `axolotl_synthetic.steps` alone: they treat replies as a run does, and report failures."""

from __future__ import annotations

import asyncio
import inspect
import json
from types import SimpleNamespace
from typing import Any

import pytest
from distilabel.steps import StepResources
from distilabel.utils.docstring import parse_google_docstring

from axolotl_synthetic import steps
from axolotl_synthetic.config import load_settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.pipelines.verification import Verification
from axolotl_synthetic.records import Candidate, Reply, Request
from axolotl_synthetic.seeds import seed_of_row
from axolotl_synthetic.steps import AnswerAugmentation, NewQuestion, QuestionRephrase, Verify, WriteAxolotl
from axolotl_synthetic.strategies import Source, load_strategies
from axolotl_synthetic.tasks import load_task

from fake_replies import purpose_of
from scripted_llm import BREAKS, ScriptedAsyncLLM, ScriptedLLM
from shop import make_shop

STRATEGIES = {"answer_augmentation": AnswerAugmentation, "question_rephrase": QuestionRephrase, "new_question": NewQuestion}
ROW = {"question": "There are 6 jars with 10 cards each. How many cards are there?", "answer": "60"}
MATH = {
    "answer": "6 * 10 = 60\n#### 60",
    "rephrase": "Each of 6 jars holds 10 cards. How many cards are there in all?",
    "new_question": "There are 4 boxes with 5 pens each. How many pens are there?",
    "self_check": "Nothing is missing.\nYes",
}
CHOICE = {"question": "What is 6 * 10?", "choices": ["16", "60", "610"], "answer": "B"}
# Task, row, and the model's replies.
CASES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "math": (ROW, MATH),
    "multiple_choice": (
        CHOICE,
        {
            "answer": "That is the second.\nAnswer: B",
            "rephrase": "How much is 6 times 10?",
            "new_question": "What is 3 * 4?\nA. 7\nB. 12",
            "self_check": "Yes",
        },
    ),
    "text_to_sql": (
        {"question": "How many singers are there?", "database": "shop", "answer": "SELECT count(*) FROM singer"},
        {
            "answer": "```sql\nSELECT count(id) FROM singer\n```",
            "rephrase": "What is the number of singers?",
            "new_question": "How many stadiums are there?",
            "self_check": "Yes",
        },
    ),
    "instruction": (
        {"question": "Name three red fruits.", "context": "Fruit is healthy."},
        {
            "answer": "Apples, cherries and strawberries are red.",
            "rephrase": "Which three fruits are red?",
            "new_question": "Name three green vegetables.",
            "self_check": "Yes",
        },
    ),
    "classification": (
        {"text": "I was charged twice for May.", "label": "billing", "labels": ["billing", "shipping"]},
        {
            "answer": "Billing.",
            "rephrase": "For May there are two charges on my card, I see.",
            "new_question": "Why is there a fee on my invoice?",
            "self_check": "Yes",
        },
    ),
}


def made(step: Any, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows that a step makes from one batch."""
    step.load()
    try:
        return next(step.process([dict(row) for row in rows]))
    finally:
        step.unload()


def new_question(llm: Any = ScriptedLLM, tokens: int = 0, **says: Any) -> NewQuestion:
    return NewQuestion(llm=llm(says={**MATH, **says}, output_tokens=tokens))


def of_the_engine(strategy: str, task_name: str, row: dict[str, Any], says: dict[str, str], databases: str | None) -> Candidate:
    """Return the candidate that the strategy makes from the same replies when the engine asks."""
    task = load_task(task_name)
    seed = seed_of_row(row, task, databases)

    async def ask(request: Request) -> Reply:
        return Reply(says[purpose_of({"messages": list(request.messages)})])

    first = Candidate(0, f"{strategy}-{seed.id}-0", strategy, seed.id)
    return asyncio.run(load_strategies()[strategy](first, Source(seed, (), 0), task, ask))  # type: ignore[arg-type]


@pytest.mark.parametrize("llm", [ScriptedLLM, ScriptedAsyncLLM])
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("task", CASES)
def test_a_step_makes_the_sample_that_the_engine_makes_of_the_same_replies(task, strategy, llm, tmp_path):
    row, says = CASES[task]
    make_shop(tmp_path / "shop.sqlite")
    databases = str(tmp_path / "{database}.sqlite") if task == "text_to_sql" else None
    (columns,) = made(STRATEGIES[strategy](llm=llm(says=says), task=task, databases=databases), row)
    expected = of_the_engine(strategy, task, row, says, databases)
    assert (columns["instruction"], columns["generation"]) == (expected.prompt, expected.answer) != ("", "")
    assert (columns["sample_id"], columns["strategy"], columns["seed_id"]) == (expected.id, strategy, expected.seed_id)
    assert (columns["status"], columns["reason"], columns["model_name"]) == ("generated", "", "scripted")
    assert [turn["content"] for turn in columns["messages"]] == [expected.prompt, expected.answer]
    assert {name: columns[name] for name in row} == row
    # Verify restores the candidate: the teacher's answer to the seed's own question is right, and a new question is sound.
    (judged,) = made(Verify(task=task, databases=databases), columns)
    assert (judged["status"], judged["reason"]) == ("accepted", ""), judged["checks"]
    assert judged["messages"] == columns["messages"]


def test_a_chats_turns_are_in_the_messages_and_the_file_says_what_is_trained_on(tmp_path):
    turns = [("system", "Be brief."), ("user", "Hello?"), ("assistant", "Good day."), ("user", "Is it late?"), ("assistant", "No.")]
    row = {"messages": [{"role": role, "content": text} for role, text in turns]}
    says = {"answer": "Not yet.", "new_question": "When do you close?", "self_check": "Yes"}
    # A step that is called directly does not apply distilabel's mapping of columns.
    (columns,) = made(NewQuestion(llm=ScriptedLLM(says=says), task="chat", output_mappings={"messages": "chat"}), row)
    said = [*row["messages"][:3], {"role": "user", "content": "When do you close?"}, {"role": "assistant", "content": "Not yet."}]
    assert columns["messages"] == said
    made(WriteAxolotl(path=str(tmp_path / "train.jsonl"), unverified=True), columns)
    [written] = map(json.loads, (tmp_path / "train.jsonl").read_text().splitlines())
    assert [turn["content"] for turn in written["messages"]] == [turn["content"] for turn in said]
    assert [turn["train"] for turn in written["messages"]] == [False, False, False, False, True]


def test_a_step_that_would_write_over_the_seeds_chat_is_refused():
    with pytest.raises(ValueError, match=r"add output_mappings=\{'messages': 'another_name'\}"):
        AnswerAugmentation(llm=ScriptedLLM(says={}), task="chat")


def test_a_batch_of_new_questions_takes_three_calls_of_the_llm_and_asks_no_more_where_a_question_fell():
    step = new_question(self_check=["Yes", "No", "Yes"], new_question=["One: 2 + 2?", "Two: 2 + 3?", "\n", "Four: 2 + 5?"])
    rows = made(step, *[ROW] * 4)
    assert [len(chats) for chats in step.llm._asked] == [4, 3, 2]
    assert [row["status"] for row in rows] == ["generated", "rejected", "failed", "generated"]


def test_samples_of_a_row_are_numbered_and_go_on_from_round():
    rows = made(AnswerAugmentation(llm=ScriptedLLM(says=MATH), num_generations=2, round=3), ROW, {"question": "2 + 2?"})
    assert [row["sample_id"].rsplit("-", 1)[1] for row in rows] == ["3", "3", "4", "4"]
    assert [row["question"] for row in rows] == [ROW["question"], "2 + 2?"] * 2


def test_grouped_samples_are_lists_in_the_row_of_their_question():
    llm = ScriptedLLM(says={"answer": ["#### 1", "#### 2", "#### 3", "#### 4"]})
    step = AnswerAugmentation(llm=llm, num_generations=2, group_generations=True)
    rows = made(step, ROW, {"question": "2 + 2?"})
    assert [row["generation"] for row in rows] == [["#### 1", "#### 3"], ["#### 2", "#### 4"]]


def test_questions_are_written_by_the_augmenter_and_answered_by_the_teacher():
    teacher, augmenter = ScriptedLLM(says={"answer": "#### 20"}), ScriptedLLM(says={**MATH, "answer": BREAKS})
    (row,) = made(NewQuestion(llm=teacher, augmenter=augmenter), ROW)
    assert (row["status"], row["augmenter_name"]) == ("generated", "scripted")
    assert (len(teacher._asked), len(augmenter._asked)) == (1, 2)


def test_worked_examples_are_shown_and_never_the_row_itself():
    step = AnswerAugmentation(llm=ScriptedLLM(says=MATH), examples=[ROW, {"question": "2 + 2?", "answer": "2 + 2 = 4\n#### 4"}])
    made(step, ROW)
    ((chat,),) = step.llm._asked
    assert [turn["content"] for turn in chat[1:]] == ["2 + 2?", "2 + 2 = 4\n#### 4", ROW["question"]]


def test_a_reworded_question_can_keep_the_rows_answer():
    (row,) = made(QuestionRephrase(llm=ScriptedLLM(says={**MATH, "answer": BREAKS}), reuse_seed_answers=True), ROW)
    assert (row["status"], row["generation"]) == ("generated", "#### 60")


@pytest.mark.parametrize(
    ("says", "tokens", "status", "reason"),
    [
        ({"new_question": " \n"}, 0, "failed", "empty_reply"),
        ({"new_question": None}, 0, "failed", "empty_reply"),
        ({"answer": 60}, 0, "failed", "empty_reply"),
        ({"answer": BREAKS}, 0, "failed", "RuntimeError: the model broke"),
        ({"answer": "<think>6 * 10"}, 0, "failed", "empty_reply: the model gave its reasoning and no answer behind it"),
        ({"answer": "\ud800 60"}, 0, "failed", "no_text: the reply holds half of a surrogate pair"),
        ({"self_check": "Something is missing.\nNo"}, 0, "rejected", "self_check: the augmenter does not stand by its question"),
        ({"self_check": "Perhaps."}, 0, "rejected", "self_check: the augmenter's judgement cannot be read"),
        # ScriptedLLM's own limit is 128 tokens.
        ({}, 128, "failed", "the augmenter's reply holds no new question (cut off)"),
        ({}, 127, "generated", ""),
    ],
)
@pytest.mark.parametrize("llm", [ScriptedLLM, ScriptedAsyncLLM])
def test_a_row_without_a_sample_says_why_and_holds_no_none(says, tokens, status, reason, llm):
    (row,) = made(new_question(llm, tokens, **says), ROW)
    assert row["status"] == status
    assert row["reason"].startswith(reason)
    assert None not in row.values() and [] not in row.values()
    assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"][: 2 if status == "generated" else 1]
    # A failed row is neither judged nor trained on.
    (judged,) = made(Verify(checks=["format"]), row)
    assert judged["status"] == ("accepted" if status == "generated" else status)
    assert judged["checks"] and None not in judged.values()


def test_an_answer_that_was_cut_off_is_no_sample():
    (row,) = made(AnswerAugmentation(llm=ScriptedLLM(says=MATH, output_tokens=64, generation_kwargs={"max_new_tokens": 64})), ROW)
    assert row["status"] == "failed"
    assert row["reason"] == "the answer was cut off at the limit of its tokens; raise max_new_tokens in the LLM's generation_kwargs"
    assert len(row["messages"]) == 1


def test_thoughts_are_no_part_of_what_is_trained_on():
    says = {"new_question": f"<think>Pens.</think>{MATH['new_question']}", "answer": "<think>4 * 5</think>4 * 5 = 20\n#### 20</s>"}
    (row,) = made(new_question(**says), ROW)
    assert (row["instruction"], row["generation"], row["final_answer"]) == (MATH["new_question"], "4 * 5 = 20\n#### 20", "20")


@pytest.mark.parametrize("llm", [ScriptedLLM, ScriptedAsyncLLM])
def test_a_row_that_the_llm_breaks_on_spoils_no_other(llm):
    rows = [{"question": f"{n} + 1?" if n != 5 else "Break it."} for n in range(8)]
    columns = made(AnswerAugmentation(llm=llm(says=MATH, marked="Break it.")), *rows)
    assert [row["status"] for row in columns] == ["generated"] * 5 + ["failed"] + ["generated"] * 2
    assert columns[5]["reason"] == "RuntimeError: the model broke on this"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "unusable row: no question"),
        ({"question": None}, "unusable row: no question"),
        ({"question": " "}, "unusable row: question is empty"),
        ({"question": ["a"]}, "unusable row: question is list, not text"),
        ({"question": "\udfff"}, "unusable row: question holds half a character"),
    ],
)
def test_a_row_that_holds_no_question_fails_with_the_reason(row, reason):
    asked, judged = made(new_question(), row, ROW), made(Verify(), {**row, "generation": "#### 60"}, {**ROW, "generation": "#### 60"})
    assert [one["status"] for one in (*asked, *judged)] == ["failed", "generated", "failed", "accepted"]
    assert asked[0]["reason"].startswith(reason)
    assert judged[0]["reason"].startswith(reason)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda: NewQuestion(llm=ScriptedLLM(says={}), task="maths"), "'maths' is no task"),
        (lambda: NewQuestion(llm=ScriptedLLM(says={}), examples=[{"answer": "4"}]), r"examples\[0\]: no question"),
        (lambda: Verify(checks=["formatt"]), "no check is named 'formatt'"),
        (lambda: Verify(checks=[{"length": {"most": 5}}]), "verify.length.most: unknown option"),
        (lambda: Verify(checks=[]), "names no check"),
        (lambda: Verify(checks=["judge"]), "judge asks an LLM; give Verify an `llm`"),
        (lambda: Verify(checks=["difficulty"], llm=ScriptedLLM(says=MATH)), "difficulty asks the student; give Verify a `student`"),
        (lambda: made(Verify(resources=StepResources(replicas=2)), ROW), "duplicate compares rows with those before"),
    ],
)
def test_a_wrong_argument_is_refused_where_the_step_is_made(step, message):
    with pytest.raises((ConfigError, ValueError), match=message):
        step()


ANSWERED = [
    {**ROW, "generation": "6 * 10 = 60\n#### 60"},
    {**ROW, "generation": "6 * 10 = 60\n#### 60"},
    {**ROW, "generation": "6 + 10 = 16\n#### 16"},
    {**ROW, "generation": "I cannot help with that."},
    {**ROW, "generation": "Sixty cards, for 10 + 10 + 10 + 10 + 10 + 10 = 60.\n#### 60"},
]


@pytest.mark.parametrize(
    "checks",
    [
        None,
        ["format"],
        ["final_answer"],
        ["duplicate"],
        ["near_duplicate"],
        ["rephrase_fidelity", "self_check", "execution", "decontamination"],
        [{"length": {"at_most": 5}}],
        [{"diversity": {"per_seed": 2}}],
    ],
    ids=str,
)
def test_verify_says_of_each_row_what_a_run_says_of_the_same_candidates(checks, tmp_path):
    rows = made(Verify(checks=checks), *({**row, "sample_id": str(number)} for number, row in enumerate(ANSWERED)))
    seed, spool = seed_of_row(ROW, load_task("math")), tmp_path / "spool"
    settings = load_settings({"verify": checks, "include_seeds": False})
    job: Any = SimpleNamespace(settings=settings, seeds=(seed,), held_out=(), ledger=tmp_path / "ledger", spool=spool, most_candidates=None)
    verification = Verification(job)
    asked = {"question": seed.question, "prompt": ROW["question"]}
    verification.take(
        [Candidate(n, f"{n}", "answer_augmentation", seed.id, answer=row["generation"], **asked) for n, row in enumerate(ANSWERED)]
    )
    verification.close()
    samples = [json.loads(line) for line in spool.read_text().splitlines()]
    assert [(row["status"], row["reason"], row["final_answer"]) for row in rows] == [
        (sample["status"], sample["reason"] or "", sample["final_answer"] or "") for sample in samples
    ]
    for row, sample in zip(rows, samples, strict=True):
        told = [(check["name"], check["passed"] is not False, check["detail"]) for check in sample["checks"]]
        assert [(check["name"], check["passed"], check["detail"]) for check in row["checks"]] == told


def test_self_consistency_counts_the_batchs_own_answers_and_asks_for_the_rest_once():
    first = made(AnswerAugmentation(llm=ScriptedLLM(says={"answer": ["#### 60", "#### 16"]}), num_generations=2), ROW)
    verify = Verify(checks=[{"self_consistency": {"k": 3}}], llm=ScriptedLLM(says={"answer": "It is #### 60"}))
    rows = made(verify, *first)
    # Two of the three votes exist; the third is requested once, and both rows count it.
    assert [len(chats) for chats in verify.llm._asked] == [1]
    assert [(row["status"], row["reason"]) for row in rows] == [("accepted", ""), ("rejected", "self_consistency")]


def test_a_student_is_asked_the_new_questions_that_the_votes_let_pass():
    says = {"new_question": [f"There are 4 boxes with {number} pens each. How many pens are there?" for number in (5, 6, 7)]}
    rows = made(NewQuestion(llm=ScriptedLLM(says={**MATH, **says, "answer": ["#### 20", "#### 24", "#### 28"]}), num_generations=3), ROW)
    # The teacher repeats 20 for the first question and 24 for the second, but answers 1 to the third.
    teacher, student = ScriptedLLM(says={"answer": ["#### 20", "#### 24", "#### 1"]}), ScriptedLLM(says={"answer": ["#### 20", "#### 9"]})
    checks = [{"self_consistency": {"k": 2}}, {"difficulty": {"keep_easy": 0}}]
    (solved, failed, unsure) = made(Verify(checks=checks, llm=teacher, student=student), *rows)
    assert [(row["status"], row["reason"]) for row in (solved, failed)] == [("rejected", "difficulty"), ("accepted", "")]
    assert (unsure["status"], unsure["reason"]) == ("rejected", "self_consistency")
    assert [len(chats) for chats in student._asked] == [2]


def test_a_judge_whose_reply_holds_no_score_fails_the_row_and_an_earlier_rejection_costs_no_call():
    rows = made(Verify(checks=["final_answer"]), *ANSWERED[1:3])
    second = Verify(checks=["judge"], llm=ScriptedLLM(says={"judge": "Good."}))
    judged = made(second, *rows)
    assert [row["status"] for row in judged] == ["failed", "rejected"]
    assert judged[0]["reason"].startswith("judge: its reply does not end in a score")
    assert [len(chats) for chats in second.llm._asked] == [1]
    assert [[check["name"] for check in row["checks"]] for row in judged] == [["final_answer", "sample"], ["final_answer"]]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"answer": "16"}, "the seed's columns are not those that the row was made from"),
        ({"question": "What is 6 + 10?"}, "the seed's columns are not those that the row was made from"),
        ({"instruction": "There are 4 boxes with 9 pens each. How many?"}, "instruction: was changed since the sample was made"),
        ({"candidate": "{}"}, "candidate: cannot be read"),
        ({"generation": None}, "generation: there is no answer"),
        ({"strategy": "magic"}, "strategy: 'magic' is none of"),
    ],
)
def test_a_sample_that_was_changed_on_its_way_is_not_accepted(changed, reason):
    (row,) = made(new_question(), ROW)
    (judged,) = made(Verify(checks=["format"]), {**row, **changed})
    assert judged["status"] == "failed"
    assert judged["reason"].startswith(f"unusable row: {reason}")


def test_an_answer_that_another_step_edited_is_judged_as_it_is_now():
    (row,) = made(AnswerAugmentation(llm=ScriptedLLM(says=MATH)), ROW)
    (judged,) = made(Verify(checks=["final_answer"]), {**row, "generation": "#### 61"})
    assert (judged["status"], judged["final_answer"]) == ("rejected", "61")


def test_a_question_of_another_step_must_say_what_it_is():
    row = {**ROW, "instruction": "There are 4 boxes with 5 pens each. How many pens are there?", "generation": "#### 20"}
    unsaid, said = made(Verify(checks=["final_answer"]), row, {**row, "strategy": "new_question"})
    assert (unsaid["status"], said["status"]) == ("failed", "accepted")
    assert "say in a column `strategy`" in unsaid["reason"]


def test_only_accepted_rows_are_written_and_all_are_passed_on(tmp_path):
    rows = made(Verify(), *ANSWERED)
    path = tmp_path / "new" / "train.jsonl"
    assert made(WriteAxolotl(path=str(path)), *rows) == rows
    (line, other) = [json.loads(line) for line in path.read_text().splitlines()]
    assert list(line) == ["messages", "id", "strategy", "seed_id"]
    assert [turn["content"] for turn in line["messages"]] == [ROW["question"], ANSWERED[0]["generation"]]
    assert other["messages"][1]["content"] == ANSWERED[4]["generation"]
    assert [file.name for file in path.parent.iterdir()] == ["train.jsonl"]


@pytest.mark.parametrize("name", steps.__all__)
def test_the_docstring_lists_every_column_and_attribute_in_distilabels_form(name):
    step_class = getattr(steps, name)
    llm = ScriptedLLM(says={})
    told = parse_google_docstring(step_class)
    step = {"Verify": Verify, "WriteAxolotl": lambda: WriteAxolotl(path="train.jsonl")}.get(name, lambda: step_class(llm=llm))()
    tasks = [task for task in (*CASES, "chat") if name != "WriteAxolotl"]
    wanted = set(step.inputs).union(*({*load_task(task).required, *load_task(task).optional} for task in tasks))
    assert set(told["input_columns"]) == wanted
    assert set(told["output_columns"]) == set(step.outputs)
    bases = [base for base in step_class.__mro__ if base.__module__.startswith("axolotl_synthetic.")]
    own = {field for base in bases for field in inspect.get_annotations(base) if field in step_class.model_fields}
    assert own <= set(told["attributes"])
    assert told["categories"] and told["examples"]


@pytest.mark.parametrize("make", [lambda **more: NewQuestion(llm=ScriptedLLM(says={}), **more), Verify])
def test_a_step_that_would_write_over_the_seeds_question_is_refused_where_it_is_made(make):
    says = r"reads `question` from the column `instruction` .* add output_mappings=\{'instruction': "
    with pytest.raises(ValueError, match=says):
        make(input_mappings={"question": "instruction"})
    make(input_mappings={"question": "problem"})
    make(input_mappings={"question": "instruction"}, output_mappings={"instruction": "new_question"})


def test_a_rejection_by_a_strategys_step_has_the_checks_name_as_its_reason_in_verify():
    verify = Verify()
    verify.load()
    row = {"question": "What is 1 + 1?", "generation": "", "status": "rejected", "reason": "self_check: the augmenter says 'No'"}
    ((judged,),) = verify.process([row])
    assert (judged["status"], judged["reason"]) == ("rejected", "self_check")
    assert [(check["name"], check["passed"], check["detail"]) for check in judged["checks"]] == [
        ("self_check", False, "the augmenter says 'No'")
    ]
