"""The page about users' own tasks and checks, and the skeletons: the real commands run what it shows."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from axolotl_synthetic.cli import synthetic
from axolotl_synthetic.tasks import TaskBase

from fake_server import FakeServer
from projects import Project

PAGE = (Path(__file__).parents[1] / "plugin" / "docs" / "tasks.md").read_text(encoding="utf-8")
TASK, CHECK = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
TICKETS = [
    {"question": "I was charged twice for May.", "answer": "billing"},
    {"question": "My parcel is late.", "answer": "The customer waits for a parcel.\nAnswer: shipping"},
    {"question": "I cannot sign in.", "answer": "account"},
]


def sorted_ticket(body):
    """Return a model's reply about a ticket: the right team, and a link in one answer."""
    text = body["messages"][-1]["content"]
    team = next((row["answer"].rpartition(" ")[2] for row in TICKETS if row["question"] in text), "billing")
    link = " See http://example.com." if "sign in" in text else ""
    return f"The customer wants help.{link}\nAnswer: {team.title()}."


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path / "p", seeds=3)
    (made.folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in TICKETS))
    return made


def generate(project):
    command = [Path(sys.executable).with_name("axolotl-synthetic"), "generate", "config.yml"]
    return subprocess.run(command, cwd=project.folder, capture_output=True, text=True, timeout=120)


def test_the_pages_task_is_twenty_lines_and_makes_a_training_file(project):
    assert len([line for line in TASK.splitlines() if line.strip()]) <= 20
    (project.folder / "support_ticket.py").write_text(TASK)
    with FakeServer(sorted_ticket) as server:
        project.configure(server, task="support_ticket.SupportTicket", strategy="answer_augmentation", budget={"samples": 3})
        done = generate(project)
        asked = [call.body["messages"] for call in server.calls]
    assert done.returncode == 0, done.stderr
    samples = [json.loads(line) for line in (project.folder / "out" / "samples.jsonl").read_text().splitlines()]
    assert {row["final_answer"] for row in samples if row["status"] == "accepted"} == {"billing", "shipping", "account"}
    assert all("Say in one sentence what the customer wants" in json.dumps(messages) for messages in asked)


def test_the_pages_task_refuses_an_answer_that_is_no_team(project):
    (project.folder / "support_ticket.py").write_text(TASK)
    (project.folder / "seeds.jsonl").write_text(json.dumps({"question": "Hello?", "answer": "nobody"}) + "\n")
    with FakeServer() as server:
        project.configure(server, task="support_ticket.SupportTicket", budget={"samples": 3})
        done = generate(project)
    assert done.returncode == 2
    assert "answer is no team; write one of billing, shipping, account" in done.stderr


def test_the_pages_check_rejects_and_is_the_samples_reason(project):
    (project.folder / "support_ticket.py").write_text(TASK)
    (project.folder / "no_links.py").write_text(CHECK)
    with FakeServer(sorted_ticket) as server:
        verify = ["format", "final_answer", "duplicate", "no_links.no_links"]
        project.configure(server, task="support_ticket.SupportTicket", strategy="answer_augmentation", budget={"queries": 3}, verify=verify)
        done = generate(project)
    assert done.returncode == 0, done.stderr
    assert project.manifest["rejections"] == {"no_links.no_links": 1}
    assert project.manifest["counts"]["accepted"] == 2


def test_when_a_check_has_changed_the_samples_are_judged_anew_from_the_ledger(project):
    (project.folder / "support_ticket.py").write_text(TASK)
    (project.folder / "no_links.py").write_text(CHECK)
    with FakeServer(sorted_ticket) as server:
        verify = ["final_answer", "no_links.no_links"]
        project.configure(server, task="support_ticket.SupportTicket", strategy="answer_augmentation", budget={"queries": 3}, verify=verify)
        generate(project)
        assert project.manifest["counts"]["accepted"] == 2
        (project.folder / "no_links.py").write_text(CHECK.replace('"http"', '"ftp"'))
        done = generate(project)
    assert done.returncode == 0, done.stderr
    assert project.manifest["counts"]["accepted"] == 3
    assert project.manifest["queries"]["total"] == 3


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("x = 1", "no_links.no_links' cannot be used: AttributeError"),
        ("no_links = 3", "is no function"),
        ("def no_links(candidate): ...", "does not take a candidate and its seed"),
    ],
)
def test_what_is_no_check_is_refused_before_any_call(project, code, says):
    (project.folder / "no_links.py").write_text(code)
    with FakeServer() as server:
        project.configure(server, task="instruction", budget={"samples": 3}, verify=["format", "no_links.no_links"])
        done = generate(project)
        assert server.calls == []
    assert done.returncode == 2
    assert says in done.stderr


def test_every_member_that_the_pages_table_names_is_one_of_the_base_class():
    named = re.findall(r"^\| `(\w+)", PAGE, re.MULTILINE)
    assert len(named) == 14
    assert all(hasattr(TaskBase, name) for name in named)


@pytest.mark.parametrize(("kind", "name", "module"), [("task", "SupportTicket", "support_ticket"), ("check", "no_links", "no_links")])
def test_a_skeleton_passes_its_own_test(tmp_path, kind, name, module):
    made = CliRunner().invoke(synthetic, ["new", kind, name, "--folder", str(tmp_path)])
    assert made.exit_code == 0, made.output
    assert f"{module}.{name}" in made.stdout
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"test_{module}.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTEST_ADDOPTS": ""})
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_a_skeleton_writes_over_nothing(tmp_path):
    (tmp_path / "test_support_ticket.py").write_text("mine")
    made = CliRunner().invoke(synthetic, ["new", "task", "SupportTicket", "--folder", str(tmp_path)])
    assert made.exit_code == 2
    assert "test_support_ticket.py is there already" in made.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["test_support_ticket.py"]


@pytest.mark.parametrize("name", ["3D", "a-b", "class", "ünïcode", "../x", ""])
def test_a_name_that_python_does_not_take_is_refused(tmp_path, name):
    made = CliRunner().invoke(synthetic, ["new", "check", name, "--folder", str(tmp_path)])
    assert made.exit_code == 2
    assert "cannot name a check" in made.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_base_class_is_where_the_page_says():
    assert importlib.import_module("axolotl_synthetic.tasks").TaskBase is TaskBase
