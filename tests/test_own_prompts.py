"""The user's own prompts: the questions made with them, refusals, and that a change makes another run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from axolotl_synthetic.cli import synthetic
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.tasks import BUILT_IN, load_task, own_prompts
from axolotl_synthetic.tasks.base import TaskBase

from fake_server import FakeServer
from projects import Project

QUESTION = Question("How many?", ("one", "two"), ("A", "B"), "CREATE TABLE t (a)", "t")


def files(folder, **texts):
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text)
    return str(folder)


def test_a_file_takes_the_place_of_the_tasks_and_the_others_stay(tmp_path):
    own = files(tmp_path / "prompts", answer="[system]\nBe brief.\n[user]\nSolve: {{ question }}\n")
    task = load_task("math", own)
    assert [dict(turn) for turn in task.answer_messages(QUESTION, [])] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Solve: How many?"},
    ]
    assert task.self_check_messages(QUESTION) == load_task("math").self_check_messages(QUESTION)
    assert own_prompts(task) == [tmp_path / "prompts" / "answer.md"]


def test_the_tasks_own_prompts_are_what_they_were_where_nobody_changes_them():
    (turn,) = load_task("instruction").answer_messages(Question("Name a fruit."), [])
    assert turn == {"role": "user", "content": "Name a fruit."}


@pytest.mark.parametrize("task", [name for name in BUILT_IN if name != "text_to_sql"])
def test_every_copied_prompt_of_a_task_is_accepted_as_it_is(tmp_path, task):
    config = tmp_path / "config.yml"
    config.write_text(json.dumps({"synthetic": {"task": task, "prompts": str(tmp_path / "prompts")}}))
    done = CliRunner().invoke(synthetic, ["prompts", str(config), "--write"])
    assert done.exit_code == 0, done.output
    copied = own_prompts(load_task(task, str(tmp_path / "prompts")))
    others = {"chat": {"next_message.md"}, "classification": {"answer.md", "question.md"}}.get(task, {"answer.md"})
    assert {file.name for file in copied} == {"new_question.md", "rephrase.md", "self_check.md", *others}
    assert load_task(task, str(tmp_path / "prompts")).answer_messages(QUESTION, []) == load_task(task).answer_messages(QUESTION, [])
    again = CliRunner().invoke(synthetic, ["prompts", str(config), "--write"])
    assert "which was there" in again.output


def test_the_command_prints_the_users_own_where_there_is_one(tmp_path):
    own = files(tmp_path / "prompts", answer="[user]\nMINE {{ question }}\n")
    config = tmp_path / "config.yml"
    config.write_text(json.dumps({"synthetic": {"prompts": own}}))
    done = CliRunner().invoke(synthetic, ["prompts", str(config)])
    assert done.exit_code == 0, done.output
    assert "MINE {{ question }}" in done.stdout
    assert "You reword math problems." in done.stdout


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("anwser", "[user]\n{{ question }}\n", "is none of this task's prompts; there are answer.md, new_question.md, rephrase.md"),
        (
            "answer",
            "[user]\n{{ qestion }}\n",
            "names `qestion`; there are `about`, `context`, `has_final_answer`, `instructions`, `prompt`, `question`",
        ),
        ("answer", "[user]\n{{ question \n", "is no Jinja2 template"),
        ("answer", "{{ question }}\n", "must begin with a line `[system]` or `[user]`"),
        ("answer", "Hello\n[user]\n{{ question }}\n", "must begin with a line `[system]` or `[user]`"),
        ("answer", "[system]\n{{ question }}\n", "must end with a turn of the `[user]`"),
    ],
)
def test_what_is_no_prompt_is_refused_with_what_to_do(tmp_path, name, text, says):
    task = load_task("math", files(tmp_path / "prompts", **{name: text}))
    with pytest.raises(ConfigError) as refused:
        own_prompts(task)
    assert says in str(refused.value)
    assert f"{name}.md" in str(refused.value)


def test_a_folder_without_prompts_names_the_command_that_fills_it(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no prompts; `axolotl synthetic prompts CONFIG --write`"):
        own_prompts(load_task("math", str(tmp_path)))


def test_a_template_reaches_nothing_but_its_texts(tmp_path):
    task = load_task("math", files(tmp_path / "p", answer="[user]\n{{ question.__class__.__mro__[1].__subclasses__() }}\n"))
    with pytest.raises(Exception, match="unsafe"):
        task.answer_messages(QUESTION, [])


def test_a_task_that_makes_its_prompts_by_itself_takes_none(monkeypatch):
    class Alone:
        name = "alone"

    monkeypatch.setattr("axolotl_synthetic.tasks._found", lambda name: Alone())
    with pytest.raises(ConfigError, match="makes its prompts by itself"):
        load_task("my.Alone", "prompts")


@pytest.mark.parametrize(("shown", "turns"), [(None, 4), (0, 0), (1, 1), (6, 6)])
def test_as_many_worked_examples_are_shown_as_the_config_says(tmp_path, shown, turns):
    project = Project(tmp_path / "p", seeds=9)
    with FakeServer() as server:
        examples = {} if shown is None else {"examples": shown}
        project.configure(server, strategy="answer_augmentation", budget={"samples": 1}, **examples)
        done = subprocess.run(
            [Path(sys.executable).with_name("axolotl-synthetic"), "generate", "config.yml"],
            cwd=project.folder, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        roles = [turn["role"] for turn in server.calls[0].body["messages"]]
    assert roles.count("assistant") == turns


def test_an_instructions_answers_are_examples_as_well():
    task = load_task("instruction")
    seed = Seed("s", Question("Name a fruit."), "Pear, says the shop.")
    assert [turn["content"] for turn in task.answer_messages(Question("Name a tree."), [seed])] == [
        *("Name a fruit.", "Pear, says the shop.", "Name a tree.")
    ]


def test_changed_prompts_are_another_run_and_what_was_paid_for_is_kept(tmp_path):
    project = Project(tmp_path / "p", seeds=6)

    def generate():
        command = [Path(sys.executable).with_name("axolotl-synthetic"), "generate", "config.yml"]
        done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    with FakeServer() as server:
        own = files(project.folder / "prompts", answer="[user]\nSolve, and end with #### and the answer: {{ question }}\n")
        project.configure(server, strategy="answer_augmentation", budget={"samples": 3}, prompts=own)
        generate()
        assert server.calls[0].body["messages"][-1]["content"].startswith("Solve, and end")
        assert "finished before" in generate()
        files(project.folder / "prompts", answer="[user]\nWork out, and end with #### and the answer: {{ question }}\n")
        assert "finished before" not in generate()
        assert server.calls[-1].body["messages"][-1]["content"].startswith("Work out")
    assert project.manifest["queries"]["total"] == 6


def test_the_base_class_takes_prompts_of_its_own_like_every_task():
    assert TaskBase.own_prompts is None
