"""Runs whose teacher has nothing new to say: they end early and say why, and their samples do not depend on timing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from axolotl_synthetic import run, terminal
from axolotl_synthetic.config import Budget
from axolotl_synthetic.ledger import Ledger

from fake_replies import request_key
from fake_server import FakeServer
from projects import Done, Project

LABELS = ("billing", "delivery", "returns", "other")


def ticket(number: int) -> dict[str, str]:
    return {"question": f"Ticket {number}: which team is this for?", "answer": LABELS[number % 4]}


def label(body: dict[str, Any]) -> str:
    """Return the right label, whatever sample is requested."""
    number = re.search(r"Ticket (\d+)", str(body["messages"][-1]["content"]))
    return LABELS[int(number[1]) % 4] if number else "other"


def half_varied(body: dict[str, Any]) -> str:
    """Return only the label for every other ticket, otherwise a sentence that no other sample has."""
    number = int(re.search(r"Ticket (\d+)", str(body["messages"][-1]["content"]))[1])  # type: ignore[index]
    return label(body) if number % 2 else f"It is for {label(body)}, as note {request_key(body)} says."


def write(project: Project, rows: list[dict[str, Any]]) -> None:
    (project.folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def ended(done: Done) -> str:
    return next((line for line in done.out.splitlines() if line.startswith("ended")), "")


@pytest.mark.slow
def test_labels_that_are_the_seeds_own_end_the_run_after_200_candidates_and_none_is_trained_on_twice(project):
    write(project, [ticket(number) for number in range(200)])
    with FakeServer(label) as server:
        project.configure(server, task="instruction", budget={"samples": 300})
        planned = project.run("plan")
        done = project.run()
        status = project.run("status")
    assert done.code == 0, done.err
    assert "only 4 different ones among 200 seeds" in planned.out
    assert project.manifest["counts"] == {"planned": 200, "accepted": 0, "rejected": 200, "failed": 0}
    assert project.manifest["rejections"] == {"duplicate": 200}
    assert (project.manifest["status"], project.manifest["ended_by"]) == ("budget_exhausted", "fruitless")
    assert "early: none of the last 200 candidates was accepted; most were rejected by duplicate (200 of 200)" in ended(done)
    assert ended(status) == ended(done)
    assert "early: none of the last 200" in (project.out / "README.md").read_text(encoding="utf-8")
    # As many candidates as requested samples are open before the first verdicts; each verdict lets one more begin: up to 200.
    assert server.count < 300 + 200
    rows = [json.loads(line) for line in project.training_bytes.decode().splitlines()]
    assert [row["strategy"] for row in rows] == ["seed"] * 200


def test_without_the_seeds_in_the_file_their_answers_are_samples_once(project):
    write(project, [ticket(number) for number in range(200)])
    with FakeServer(label) as server:
        project.configure(server, task="instruction", budget={"samples": 300}, include_seeds=False)
        done = project.run()
    assert project.manifest["counts"] == {"planned": 400, "accepted": 200, "rejected": 200, "failed": 0}, done.err


def test_bare_letters_of_multiple_choice_are_the_seeds_own_pairs(project):
    choices = ["red", "green", "blue", "grey"]
    write(project, [{"question": f"Which colour has sheet {at}?", "choices": choices, "answer": "ABCD"[at % 4]} for at in range(200)])

    def letter(body: dict[str, Any]) -> str:
        at = int(re.search(r"sheet (\d+)", str(body["messages"][-1]["content"]))[1])  # type: ignore[index]
        return f"{'' if at % 2 else 'Answer: '}{'ABCD'[at % 4]}"

    with FakeServer(letter) as server:
        project.configure(
            server,
            task="multiple_choice",
            seeds={"path": "seeds.jsonl", "fields": {"question": "question", "choices": "choices", "answer": "answer"}},
            budget={"samples": 300},
        )
        done = project.run()
    assert done.code == 0, done.err
    assert project.manifest["counts"]["accepted"] == 0
    assert "duplicate (200 of 200)" in ended(done)


@pytest.mark.slow
def test_a_seed_that_says_nothing_new_is_not_asked_again_and_who_is_faster_decides_nothing(tmp_path):
    made = []
    for name, more, latency in (("few", {"concurrency": 3}, "instant"), ("many", {"concurrency": 64}, 0.02)):
        project = Project(tmp_path / name)
        write(project, [ticket(number) for number in range(100)])
        with FakeServer(half_varied, latency=latency, vary_repeats=True) as server:
            project.configure(server, task="instruction", budget={"samples": 800}, teacher=more)
            done = project.run()
        assert done.code == 0, done.err
        assert project.manifest["counts"]["accepted"] == 800
        asked = project.ledger("SELECT sample, count(*) FROM calls GROUP BY sample ORDER BY sample")
        # 50 seeds give 50 samples per round. The other 50 are decided 6 rounds after they said the same three times: rounds 0 to 7.
        assert asked == [(round, 100 if round < 8 else 50) for round in range(16)]
        made.append(project.training_bytes)
    assert made[0] == made[1]


@pytest.mark.slow
def test_a_run_that_is_killed_and_goes_on_asks_no_exhausted_seed_and_makes_the_same_samples(tmp_path):
    made = []
    for name in ("undisturbed", "killed"):
        project = Project(tmp_path / name)
        write(project, [ticket(number) for number in range(100)])
        with FakeServer(half_varied, latency=0.05, vary_repeats=True) as server:
            project.configure(server, task="instruction", budget={"samples": 800})
            if name == "killed":
                running = project.start()
                while server.answered < 900:
                    assert running.child.poll() is None
                running.kill()
                running.wait()
                assert project.ends()
            assert project.run().code == 0
        # The texts may differ: replies lost at the kill have other words the second time.
        made.append([(row["id"], row["status"]) for row in project.samples])
        assert project.ledger("SELECT count(*) FROM calls WHERE sample >= 8 AND outcome = 'ok'") == [(400,)]
    assert made[0] == made[1]


@pytest.mark.slow
def test_the_cap_of_candidates_is_named_as_what_ended_the_run(project):
    project.write_seeds(range(100))

    def one_in_25(body: dict[str, Any]) -> str:
        key = request_key(body)
        jars, cards = map(int, re.search(r"(\d+) jars with (\d+) cards", str(body["messages"][-1]["content"])).groups())  # type: ignore[union-attr]
        return f"Counted on sheet {key}.\n#### {jars * cards + (key % 25 > 0)}"

    with FakeServer(one_in_25, vary_repeats=True) as server:
        project.configure(server, budget={"samples": 40})
        done = project.run()
    assert project.manifest["ended_by"] == "candidates"
    assert project.manifest["counts"]["planned"] == 800
    assert "after 20 candidates for each sample of budget.samples, of which too few were accepted; most were rejected by" in ended(done)
    assert "by final_answer (" in ended(done)


def test_a_limit_of_the_budget_is_named(project):
    with FakeServer() as server:
        project.configure(server, budget={"queries": 30})
        done = project.run()
    assert project.manifest["ended_by"] == "queries"
    assert "by budget.queries, which may be what you wanted" in ended(done)


def test_repeats_are_asked_for_where_the_check_of_duplicates_is_off(project):
    write(project, [ticket(number) for number in range(10)])
    with FakeServer(label) as server:
        project.configure(server, task="instruction", budget={"samples": 700}, verify=["format"])
        done = project.run()
    assert project.manifest["counts"]["accepted"] == 700, done.err


def test_no_time_left_is_promised_where_nothing_is_accepted(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        look = run._Look(path, Budget(samples=100), 100, None)
        ledger.report(accepted=50, rejected=20)
        assert look().timed
        ledger.report(rejected=69)
        assert look().timed
        # 50 rejections since the last acceptance: a quarter of the 200 after which a run ends.
        ledger.report(rejected=70)
        assert not look().timed
        assert "left" not in terminal._line(look(), terminal.Stand(0, 100, "samples"), 0.0)
        ledger.report(accepted=51)
        assert look().timed
        assert "left" in terminal._line(look(), terminal.Stand(0, 100, "samples"), 0.0)
