"""Whole runs on seeds that are not plain English numbers: the training data, the accepted samples, the messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fake_server import FakeServer
from projects import KEY, Project

GERMAN = [
    ("Eine Kiste hat 300 Schrauben. Wie viele haben 12 Kisten?", "12 * 300 = 3.600\n#### 3.600 Schrauben"),
    ("Ein Brett von 33 m wird halbiert. Wie lang ist eine Hälfte?", "33 / 2 = 16,5\n#### 16,5"),
    ("Wie viel kosten 4 Kilo zu 2,50 Euro?", "4 * 2,50 = 10\n#### 10 Euro"),
    ("Wie viele Gramm sind 1,25 Kilo?", "1,25 * 1.000 = 1.250\n#### 1.250"),
    ("Wie viele Meter sind 2,4 Kilometer?", "#### 2.400 Meter"),
]
# Each as a teacher may write it, with a comma, with a point, or without groups.
RIGHT = {
    "Schrauben": ["3600", "3.600"],
    "Brett": ["16,5", "16.5 m"],
    "kosten": ["10", "10,00 €"],
    "Gramm": ["1250", "1.250 g"],
    "Meter": ["2400", "2.400 m"],
}
WRONG = {"Schrauben": "3,6", "Brett": "165", "kosten": "100", "Gramm": "1,25", "Meter": "2,4"}
LINES = [
    (f"Which line goes through A and has the normal (3, {number})?", f"We put A in.\n#### 3x-{number}y+13=0", f"3x-{number + 1}y+13=0")
    for number in range(2, 8)
]


def project_of(folder: Path, rows: list[dict[str, Any]]) -> Project:
    project = Project(folder, seeds=0)
    (project.folder / "seeds.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return project


def trained(project: Project, strategy: str) -> set[str]:
    rows = [json.loads(line) for line in project.training_bytes.decode().split("\n") if line]
    return {row["messages"][1]["content"] for row in rows if row["strategy"] == strategy}


@pytest.mark.parametrize("decimal", [None, "comma"])
def test_german_numbers_are_read_by_the_seeds_own_convention_and_trained_on_as_they_stand(tmp_path, decimal):
    project = project_of(tmp_path, [{"question": question, "answer": answer} for question, answer in GERMAN])
    replies = iter(range(1_000_000))

    def reply(body: dict[str, Any]) -> str:
        question = body["messages"][-1]["content"]
        word = next(word for word in RIGHT if word in question)
        return f"Das ist Rechnung {next(replies)}.\n#### {[*RIGHT[word], WRONG[word]][next(replies) % 3]}"

    with FakeServer(api_key=KEY, reply=reply) as server:
        seeds = {"path": "seeds.jsonl"} | ({"decimal": decimal} if decimal else {})
        project.configure(server, seeds=seeds, budget={"queries": 60})
        done = project.run()
    assert done.code == 0, done.err
    assert trained(project, "seed") == {answer for _, answer in GERMAN}
    said = {sample["answer"].partition("#### ")[2]: sample["reason"] for sample in project.samples}
    wrong = {answer for answer, reason in said.items() if reason == "final_answer"}
    assert wrong == set(WRONG.values())
    assert {answer for answer, reason in said.items() if reason is None} == {answer for each in RIGHT.values() for answer in each}
    assert ("numbers are written with a decimal comma" in done.err + done.out) == (decimal is None)


def test_equations_are_trained_on_whole_and_another_line_is_refused(tmp_path):
    project = project_of(tmp_path, [{"question": question, "answer": answer} for question, answer, _ in LINES])
    others = {question: other for question, _, other in LINES}
    numbers = iter(range(1_000_000))

    def reply(body: dict[str, Any]) -> str:
        return f"Try {next(numbers)}.\n#### {others[body['messages'][-1]['content']]}"

    with FakeServer(api_key=KEY, reply=reply) as server:
        project.configure(server, budget={"queries": 12})
        done = project.run()
    assert done.code == 0, done.err
    assert {sample["reason"] for sample in project.samples} == {"final_answer"}
    assert trained(project, "seed") == {answer for _, answer, _ in LINES}


def test_infinite_numbers_in_the_seeds_stop_the_run_before_it_asks_anybody(tmp_path):
    rows = [
        {"question": f"How much is {number}?", "answer": answer} for number, answer in enumerate([1, 2, 3, float("inf"), float("-inf"), 4])
    ]
    project = project_of(tmp_path, rows)
    with FakeServer(api_key=KEY) as server:
        project.configure(server)
        done = project.run()
        assert server.stats()["count"] == 0
    assert done.code == 2
    assert "answer is Infinity, not text; write it as text" in done.err
    assert "seeds.jsonl:4" in done.err
    assert "Traceback" not in done.err
