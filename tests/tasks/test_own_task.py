"""A user's own task, by its dotted path."""

import subprocess
import sys
from pathlib import Path

import pytest

from axolotl_synthetic.config import load_settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.prepare import prepare
from axolotl_synthetic.records import Question
from axolotl_synthetic.tasks import TaskBase, load_task
from axolotl_synthetic.tasks.math import Math

from fake_server import FakeServer
from projects import Project


class Sums(Math):
    name = "sums"


class Half:
    name = "half"


def test_a_class_is_found_by_its_dotted_path():
    assert load_task(f"{__name__}.Sums").name == "sums"


def test_what_a_class_lacks_is_named():
    with pytest.raises(ConfigError, match=r"lacks .*answer_messages.*loose_answer.*required"):
        load_task(f"{__name__}.Half")


@pytest.mark.parametrize(
    ("marks", "asked"),
    [(True, "Write a letter. End with a last line of its own in the form:\nAnswer: <answer>"), (False, "Write a letter.")],
)
def test_a_last_line_is_asked_for_only_where_it_marks_a_final_answer(marks, asked):
    class Letters(TaskBase):
        name = "letters"
        instructions = "Write a letter."
        has_final_answer = marks

    system, question = Letters().answer_messages(Question("To whom?"), [])
    assert (system["content"], question["content"]) == (asked, "To whom?")


@pytest.mark.parametrize("name", ["poetry", "no_such_package.Task", "pathlib.NoSuchTask"])
def test_a_task_that_there_is_not_is_a_wrong_config(name):
    with pytest.raises(ConfigError, match=r"synthetic\.task"):
        load_task(name)


def test_a_modules_own_mistake_is_a_wrong_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name, text, says in (
        ("slip_of_a_pen", "class Task(:", "SyntaxError: "),
        ("misspelt_name", "Task = Taks", "NameError: name 'Taks' is not defined"),
        ("needs_a_file", "open('nowhere')", "FileNotFoundError: "),
    ):
        (tmp_path / f"{name}.py").write_text(text)
        with pytest.raises(ConfigError, match=f"synthetic.task: '{name}.Task' cannot be used: {says}"):
            load_task(f"{name}.Task")


def test_a_class_in_the_working_directory_is_found_by_the_script_as_by_python_m(tmp_path):
    project = Project(tmp_path / "p", seeds=6)
    (project.folder / "folder_of_tasks").mkdir()
    (project.folder / "folder_of_tasks" / "__init__.py").write_text(
        "from axolotl_synthetic.tasks.math import Math\n\n\nclass Sums(Math):\n    pass\n"
    )
    # A file with a library's name in that folder does not replace the library.
    (project.folder / "jinja2.py").write_text("raise RuntimeError('this is not jinja2')\n")
    script = Path(sys.executable).with_name("axolotl-synthetic")
    with FakeServer() as server:
        project.configure(server, task="folder_of_tasks.Sums", budget={"samples": 6})
        done = subprocess.run([script, "generate", "config.yml"], cwd=project.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert project.manifest["counts"]["accepted"] == 6
    # Axolotl's own script looks for the training file, also in a process whose path lacks the working directory.
    code = (
        "import yaml; from axolotl_synthetic.config import load_settings; from axolotl_synthetic import run;"
        "print(run.training_file(load_settings(yaml.safe_load(open('config.yml'))['synthetic'])))"
    )
    found = subprocess.run([sys.executable, "-P", "-c", code], cwd=project.folder, capture_output=True, text=True)
    assert found.stdout.strip() == f"out/{project.manifest['files']['train']['path']}", found.stderr


@pytest.mark.parametrize(("block", "base"), [({"turns": 2}, "chat.Chat"), ({"balance": "uniform"}, "classification.Classification")])
def test_what_a_task_of_ones_own_cannot_do_is_refused_with_the_class_that_can(tmp_path, monkeypatch, block, base):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"synthetic\.{next(iter(block))}: .*derive its class from axolotl_synthetic\.tasks\.{base}"):
        prepare(load_settings({"task": f"{__name__}.Sums", **block}))
