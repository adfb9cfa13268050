"""Chats: the questions within a conversation, the training data, and whole runs by the real command."""

import contextlib
import json

import pytest
from click.testing import CliRunner

from axolotl_synthetic.cli import synthetic
from axolotl_synthetic.dataset import axolotl_entry
from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.tasks.chat import TASK

from fake_replies import SCORE, purpose_of, request_key
from fake_server import FakeServer
from projects import Project

DESK = "You help at the desk of a library."
BEFORE = (("system", DESK), ("user", "Hello?"), ("assistant", "Good day."))
LATE = Question("Is it late?", turns=BEFORE)
TOPICS = ("maps", "bees", "trains", "bread", "boats", "clocks", "birds", "songs", "stones", "letters", "kites", "lamps")
WORDS = (
    *("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath"),
    *("inlet", "jetty", "knoll", "lodge", "marsh", "north", "orbit", "pearl"),
)


def seed_row(topic, *, earlier=False):
    turns = [
        {"role": "user", "content": f"Good morning, is anybody at the desk for {topic}?"},
        {"role": "assistant", "content": "Yes, I am."},
    ]
    return {
        "messages": [
            {"role": "system", "content": DESK},
            *(turns if earlier else []),
            {"role": "user", "content": f"Where do you keep the books about {topic} these days?"},
            {"role": "assistant", "content": f"You find {topic} upstairs, on the left behind the globe."},
        ]
    }


ROWS = [seed_row(topic, earlier=place % 3 == 0) for place, topic in enumerate(TOPICS)]


def invented(key):
    """Return four words that hardly any other key has."""
    return " ".join(WORDS[(key >> shift) % len(WORDS)] for shift in (3, 11, 19, 27))


def conversing(body):
    """Return a model's reply in these conversations, or about them."""
    last, key = body["messages"][-1]["content"], request_key(body)
    purpose = purpose_of(body)
    if purpose == "judge":
        return f"Good.\n{SCORE.findall(body['messages'][0]['content'])[-1]} 5"
    if purpose == "self_check":
        return "Yes"
    if purpose == "new_question":
        return f'Message: "Would you have {invented(key)} for {TOPICS[key % 12]} as well?"'
    if purpose == "rephrase":
        return f"In which place are those {last.rpartition('Message: ')[2].split('about ')[-1]} Books of {invented(key)} I mean."
    return f"They are by the window, near {invented(key)}, for all I know."


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path / "p", seeds=1)
    (made.folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return made


def training_rows(project):
    return [json.loads(line) for line in project.training_bytes.splitlines()]


def plan(project, *options):
    with contextlib.chdir(project.folder):
        return CliRunner().invoke(synthetic, ["plan", "config.yml", *options])


def test_the_teacher_is_sent_the_chat_itself_and_nothing_else():
    assert TASK.answer_messages(LATE, [Seed("s", Question("Hello?"), "Hi.")]) == (
        {"role": "system", "content": DESK},
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "Good day."},
        {"role": "user", "content": "Is it late?"},
    )


@pytest.mark.parametrize("messages", [TASK.rephrase_messages, TASK.new_question_messages])
def test_the_augmenter_is_asked_behind_the_turns_before_the_question(messages):
    *before, asked = messages(LATE, [])
    assert tuple((turn["role"], turn["content"]) for turn in before) == BEFORE
    assert asked["role"] == "user"
    assert asked["content"].endswith("Message: Is it late?")


def test_a_new_message_is_written_after_those_of_seeds_with_the_same_turns_before():
    same, other = Seed("a", Question("Is it\nearly?", turns=BEFORE)), Seed("b", Question("Is it cold?"))
    asked = TASK.new_question_messages(LATE, [same, other])[-1]["content"]
    assert "Others have sent here:\n- Is it early?\n\nMessage:" in asked
    assert "cold" not in asked


def test_a_reworded_and_a_new_message_stay_in_the_conversation():
    assert TASK.read_rephrase("Reworded: is it past ten?", LATE) == Question("is it past ten?", turns=BEFORE)
    for read in (TASK.read_rephrase, TASK.read_new_question):
        assert read('Message: "Is it past ten?"', LATE) == Question("Is it past ten?", turns=BEFORE)


@pytest.mark.parametrize("label", ["Assistant: ", "The assistant: ", "**Assistant:** ", "assistant:\n"])
def test_the_speakers_name_before_an_answer_is_not_learnt(label):
    assert TASK.read_answer(f"{label}It is past ten.", LATE) == "It is past ten."
    assert TASK.going_on(LATE, f"{label}It is past ten.").turns[-1] == ("assistant", "It is past ten.")


def test_an_answer_that_speaks_of_an_assistant_stays_as_it_is():
    for answer in ("Assistants are at the desk.", "Ask the assistant: she has the key."):
        assert TASK.read_answer(answer, LATE) == answer


def test_people_and_judges_read_the_conversation_as_one_text():
    assert TASK.prompt(LATE) == (f"System message: {DESK}\n\nThe user: Hello?\n\nThe assistant: Good day.\n\nThe user: Is it late?")
    assert TASK.prompt(Question("Is it late?")) == "Is it late?"


def test_a_system_message_in_a_prompt_of_ones_own_joins_the_conversations(tmp_path):
    (tmp_path / "rephrase.md").write_text("[system]\nYou reword.\n[user]\nReword: {{ question }}\n")
    from axolotl_synthetic.tasks import load_task

    system, *_, asked = load_task("chat", str(tmp_path)).rephrase_messages(LATE, [])
    assert system == {"role": "system", "content": f"{DESK}\n\nYou reword."}
    assert asked["content"] == "Reword: Is it late?"


def test_a_run_answers_reworded_and_new_messages_within_their_conversations(project):
    shares = {"answer_augmentation": 0.4, "question_rephrase": 0.3, "new_question": 0.3}
    with FakeServer(conversing, vary_repeats=True) as server:
        project.configure(server, task="chat", strategy=shares, budget={"samples": 20})
        done = project.run()
        asked = [call.body["messages"] for call in server.calls]
    assert done.code == 0, done.err
    assert project.manifest["counts"]["accepted"] == 20
    names = [check["name"] for check in project.samples[0]["checks"]]
    expected = ["self_check", "rephrase_fidelity", "format", "style", "judge", "decontamination", "duplicate", "near_duplicate"]
    assert names == expected
    assert project.manifest["queries"]["judge"] == project.manifest["counts"]["planned"]
    # The judge and the self-check read the conversation as one text; all other calls are within it.
    within = [messages for messages in asked if purpose_of({"messages": messages}) not in ("judge", "self_check")]
    assert all(messages[0] == {"role": "system", "content": DESK} for messages in within)
    for row in training_rows(project):
        roles = [turn["role"] for turn in row["messages"]]
        assert roles in (["system", "user", "assistant"], ["system", "user", "assistant", "user", "assistant"])
        assert row["messages"][0] == {"role": "system", "content": DESK, "train": False}
        trained = [turn["role"] for turn in row["messages"] if turn["train"]]
        # A seed's own row trains all its answers; a generated row trains only the new one.
        assert trained == (["assistant"] * roles.count("assistant") if row["strategy"] == "seed" else ["assistant"])
        assert row["messages"][-1]["train"]
    assert sum(row["strategy"] == "seed" for row in training_rows(project)) == len(ROWS)


def test_a_whole_conversation_of_so_many_turns_is_played_through(project):
    with FakeServer(conversing, vary_repeats=True) as server:
        block = {"strategy": "new_question", "turns": 3, "verify": ["self_check", "format", "duplicate"], "include_seeds": False}
        project.configure(server, task="chat", budget={"samples": 4}, **block)
        assert "calls" in plan(project).stdout
        done = project.run()
    assert done.code == 0, done.err
    for row in training_rows(project):
        roles = [turn["role"] for turn in row["messages"]]
        assert roles == ["system", *["user", "assistant"] * 3]
        assert [turn["train"] for turn in row["messages"]] == [False] * 6 + [True]
    # Three user messages, the judgement of the last, and three answers.
    assert project.manifest["queries"] == {
        **project.manifest["queries"],
        **{"total": 4 * 7, "new_question": 4 * 3, "self_check": 4, "answer": 4 * 3},
    }
    planned = json.loads(plan(project, "--json").stdout)
    assert planned["estimates"]["new_question"]["queries"] == 4 * 7


@pytest.mark.slow
def test_a_budget_of_calls_holds_for_whole_conversations_and_a_larger_one_goes_on(project):
    block = {"task": "chat", "strategy": "new_question", "turns": 2, "verify": ["self_check", "format", "duplicate"]}
    with FakeServer(conversing, vary_repeats=True) as server:
        project.configure(server, budget={"queries": 12}, **block)
        assert project.run().code == 0
        # Two user messages, two answers and a judgement each: two conversations are ten calls, and a third does not fit.
        assert (server.count, project.manifest["counts"]["accepted"]) == (10, 2)
        project.configure(server, budget={"queries": 15}, **block)
        assert project.run().code == 0
        assert (server.count, project.manifest["counts"]["accepted"], project.paid_twice) == (15, 3, 0)


@pytest.mark.slow
def test_every_command_knows_the_task_and_a_rerun_asks_nothing(project):
    with FakeServer(conversing, vary_repeats=True) as server:
        project.configure(server, task="chat", strategy="new_question", budget={"samples": 6}, turns=2)
        previewed = project.run("preview", "-n", "2")
        assert project.run().code == 0
        asked, before = server.count, project.training_bytes
        project.forget_all_but_the_ledger()
        assert project.run().code == 0
        assert (server.count, project.training_bytes) == (asked, before)
    assert f"System message: {DESK}" in previewed.out
    assert f"System message: {DESK}" in project.run("show", "-n", "1").out
    assert project.run("report").code == 0
    assert project.run("prompts").code == 0


@pytest.mark.slow
def test_axolotl_trains_on_the_answers_that_the_file_marks(tmp_path):
    from axolotl.prompt_strategies.chat_template import load
    from axolotl.utils.dict import DictDefault
    from transformers import AutoTokenizer

    from axolotl_synthetic.dataset import write_training_file

    from tiny_model import save_tiny_model

    tokenizer = AutoTokenizer.from_pretrained(save_tiny_model(tmp_path / "model"))
    seed = Seed("s", LATE, "Not yet.")
    sample = {"id": "x", "strategy": "new_question", "seed_id": "s", "status": "accepted", "question": "…", "answer": "At six."}
    sample["messages"] = [*LATE.chat[:-1], {"role": "user", "content": "When do you close?"}]
    (tmp_path / "samples.jsonl").write_text(json.dumps(sample) + "\n")
    made = write_training_file(
        tmp_path, tmp_path / "samples.jsonl", [seed], lambda one: TASK.prompt(one.question), TASK.solution, chats=True
    )
    entry = axolotl_entry(made.path, chats=True)
    cfg = DictDefault({"train_on_inputs": False, "sequence_len": 512, "chat_template": "tokenizer_default"})
    strategy = load(tokenizer, cfg, DictDefault(entry))
    learnt = []
    for line in made.path.read_text().splitlines():
        row = strategy.tokenize_prompt(json.loads(line))
        learnt.append(tokenizer.decode([token for token in row["labels"] if token != -100]))
    assert learnt == ["Good day.<|im_end|>Not yet.<|im_end|>", "At six.<|im_end|>"]


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({"task": "instruction", "turns": 2}, "synthetic.turns: is for `task: chat`, and the task is instruction"),
        ({"task": "chat", "turns": 0}, "synthetic.turns: 0"),
    ],
)
def test_turns_are_for_chats(project, block, says):
    project.configure("http://127.0.0.1:1/v1", **block)
    done = plan(project)
    assert done.exit_code == 2
    assert says in done.stderr


@pytest.mark.parametrize("task", ["chat", "instruction"])
def test_plan_says_when_a_budget_means_twenty_answers_to_the_same_message(project, task):
    if task == "instruction":
        project.write_seeds(range(12))
    for samples, says in ((239, False), (240, True)):
        project.configure("http://127.0.0.1:1/v1", task=task, budget={"samples": samples})
        assert ("would mean about 20 answers to the same question" in " ".join(plan(project).stdout.split())) is says


def test_turns_without_new_questions_are_told_to_mean_nothing(project):
    project.configure("http://127.0.0.1:1/v1", task="chat", turns=2, strategy="answer_augmentation")
    assert "turns: 2: is the length of whole new conversations, and the strategy makes none" in " ".join(plan(project).stderr.split())


def test_plan_promises_no_difference_in_right_answers_where_none_is_right_or_wrong(project):
    for task, says in (("chat", False), ("math", True)):
        if task == "math":
            project.write_seeds(range(12))
        project.configure("http://127.0.0.1:1/v1", task=task, seeds={"path": "seeds.jsonl", "holdout": 4})
        assert ("grading on 4 held-out questions shows" in " ".join(plan(project).stdout.split())) is says
