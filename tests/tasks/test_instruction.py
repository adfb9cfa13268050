"""Open instructions, and what all tasks share: reading an augmenter's question and its yes or no."""

import json
from dataclasses import replace

import pytest

from axolotl_synthetic import config
from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.seeds import read_seeds
from axolotl_synthetic.tasks import BUILT_IN, load_task
from axolotl_synthetic.tasks.instruction import TASK
from axolotl_synthetic.tasks.replies import LONGEST_QUESTION, read_question, read_yes_no

from fake_replies import purpose_of, request_key
from fake_server import FakeServer
from projects import Project

SUMMARY = Question("Summarise the text.", context="Bees dance.")


def test_the_student_reads_the_instruction_and_its_context():
    assert TASK.prompt(SUMMARY) == "Summarise the text.\n\nBees dance."
    assert TASK.prompt(Question("Name a fruit.")) == "Name a fruit."


def test_there_is_no_final_answer_to_be_wrong():
    seed = Seed("s", SUMMARY, "Bees dance. #### 3")
    assert TASK.has_final_answer is False
    assert TASK.final_answer("#### 3", SUMMARY) is None
    assert (TASK.gold_answer(seed), TASK.solution(seed), TASK.problem(seed)) == (None, seed.answer, None)


def test_a_reworded_and_a_new_instruction_keep_the_context():
    assert TASK.read_rephrase("Sum up the text.", SUMMARY) == Question("Sum up the text.", context="Bees dance.")
    assert TASK.read_new_question("Instruction: Name the animal.", SUMMARY) == Question("Name the animal.", context="Bees dance.")
    assert TASK.read_new_question("Instruction: Name a tree.", Question("Name a fruit.")) == Question("Name a tree.")


def test_a_new_instruction_for_a_text_is_asked_for_with_the_text_after_others_for_it():
    others = [Seed("a", Question("Name the animal.", context="Bees dance.")), Seed("b", Question("Name a fruit."))]
    *patterns, asked = TASK.new_question_messages(SUMMARY, others)
    assert asked["content"].endswith("\n\nBees dance.")
    assert [turn["content"] for turn in patterns if turn["role"] == "assistant"] == ["Name the animal.", "Summarise the text."]


def test_a_new_instruction_without_a_text_is_asked_for_as_ever():
    assert TASK.new_question_messages(Question("Name a fruit."), [])[-1]["content"] == (
        "Write one new instruction of the same kind, about something else."
    )


def test_a_system_message_goes_with_every_question_made_of_its_seed_and_into_training(tmp_path):
    rows = [
        {"question": f"Name {kind}.", "context": "Be exact.", "answer": f"Some {kind}.", "rule": "Rhyme."} for kind in ("fish", "trees")
    ]
    project = Project(tmp_path / "p", seeds=1)
    (project.folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def reply(body):
        last, key = body["messages"][-1]["content"], request_key(body)
        asked = purpose_of(body)
        return {"self_check": "Yes", "new_question": f"Name {key % 9973} birds."}.get(asked, f"I rhyme on {last[:20]} and {key % 9973}.")

    with FakeServer(reply, vary_repeats=True) as server:
        seeds = {"path": "seeds.jsonl", "fields": {"system": "rule"}}
        project.configure(server, task="instruction", seeds=seeds, strategy="new_question", budget={"samples": 4})
        done = project.run()
        answered = [call.body["messages"] for call in server.calls if purpose_of(call.body) == "answer"]
    assert done.code == 0, done.err
    assert all(messages[0] == {"role": "system", "content": "Rhyme."} for messages in answered)
    for line in project.training_bytes.splitlines():
        system, user, assistant = json.loads(line)["messages"]
        assert system == {"role": "system", "content": "Rhyme."}
        assert user["content"].endswith("\n\nBe exact.")
        assert list(assistant) == ["role", "content"]


def test_a_column_that_happens_to_be_called_system_is_not_read(tmp_path):
    (tmp_path / "seeds.jsonl").write_text(json.dumps({"question": "Name a fish.", "system": "Rhyme."}) + "\n")
    settings = config.Seeds(path=str(tmp_path / "seeds.jsonl"))
    [seed] = read_seeds(settings, required=TASK.required, optional=TASK.optional, problem=TASK.problem, seed=1).seeds
    assert seed.question == Question("Name a fish.")


@pytest.mark.parametrize(
    ("reply", "question"),
    [
        ("How many?", "How many?"),
        ("Rephrased question: How many?", "How many?"),
        ("**Reworded Question:** How many?", "How many?"),
        ("Here is the reworded question:\n\nHow many?", "How many?"),
        ("Sure! Here's a new problem: How many?", "How many?"),
        ('"How many?"', "How many?"),
        ("“How many?”", "How many?"),
        ('New question: "How many?"', "How many?"),
        ("```text\nHow many?\n```", "How many?"),
        ('"Go" and "stop" are how many words?', '"Go" and "stop" are how many words?'),
        ("A question of time: how many?", "A question of time: how many?"),
        ("", None),
        ("  \n", None),
        ("Question:", None),
        ("...", None),
        ("a" * (LONGEST_QUESTION + 1), None),
    ],
)
def test_a_question_is_read_without_what_stands_around_it(reply, question):
    assert read_question(reply) == question


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("Yes", True),
        ("no.", False),
        ("It has all numbers.\n\n**Yes**", True),
        ("The number of jars is not given.\nNo", False),
        ("Yes, it can be solved.\nThe answer is 72.", True),
        ("Is it yes or no?", None),
        ("I know nothing", None),
        ("", None),
    ],
)
def test_a_self_check_ends_with_yes_or_no(reply, verdict):
    assert read_yes_no(reply) is verdict


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_task_has_all_its_prompts(name):
    task = load_task(name)
    question = Question("Which one?", ("this", "that"), ("A", "B")) if name == "multiple_choice" else Question("Which one?")
    question = replace(question, turns=(("system", "Be brief."),)) if name == "chat" else question
    example = Seed("s", question, None)
    for messages in (
        task.answer_messages(question, [example]),
        task.rephrase_messages(question, [example]),
        task.new_question_messages(question, [example]),
        task.self_check_messages(question),
    ):
        assert messages[-1]["role"] == "user"
        assert any("Which one?" in message["content"] for message in messages)
