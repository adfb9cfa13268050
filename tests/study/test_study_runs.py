"""`axolotl synthetic study` as a user runs it, on real parts: the fake server as the teacher, Axolotl's training of a tiny model, lm-eval.

This file's only study is killed in progress and started again, because each of its cells takes some twenty seconds.
"""

from __future__ import annotations

import csv
import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from fake_replies import MathReplies
from fake_server import FakeServer
from projects import KEY, Done, Project, Running, until
from tiny_model import axolotl_config, save_tiny_model

STUDY = {
    "config": "config.yml",
    "seed_sizes": [3],
    "samples": [4, 8],
    "strategies": ["answer_augmentation", "new_question"],
    "repeats": 1,
    "output_dir": "study",
    "launcher": "python",
}


def prepare(project: Project, base_url: str, study: dict[str, Any], **synthetic: Any) -> None:
    """Write the files of a user who wants a study."""
    project.configure(base_url, strategy="auto", budget={"samples": 6}, seeds={"path": "seeds.jsonl", "holdout": 4}, **synthetic)
    config = axolotl_config(Path("model"), Path(), plugins=["axolotl_synthetic.SyntheticPlugin"])
    config |= yaml.safe_load((project.folder / "config.yml").read_text())
    (project.folder / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (project.folder / "study.yml").write_text(yaml.safe_dump({"study": study}), encoding="utf-8")


def start(project: Project, *options: str) -> Running:
    return project.start("study", *options, file="study.yml")


@dataclass
class Studied:
    """A study that was killed after its first cell, and the results.

    Attributes:
        first: the first cell's result, as written before the kill.
        beside: a second study that was started while the first was running.
        left: processes that the killed one left running.
        done: the second start's end.
    """

    project: Project
    server: FakeServer
    first: bytes
    beside: Done
    left: bool
    done: Done

    @property
    def folder(self) -> Path:
        return self.project.folder / "study"

    def result(self, strategy: str, samples: int) -> dict[str, Any]:
        return json.loads((self.folder / "cells" / f"{strategy}-3-seeds-{samples}-samples-repeat-1" / "result.json").read_text())


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studied]:
    project = Project(tmp_path_factory.mktemp("study") / "project", seeds=12)
    save_tiny_model(project.folder / "model")
    # The self-check rejects every new question, so New Question's line can make no sample.
    with FakeServer(api_key=KEY, reply=MathReplies(doubt=1.0), vary_repeats=True) as server:
        prepare(project, server.base_url, STUDY, teacher={"generation": {"max_new_tokens": 64}, "price": {"input": 1.0, "output": 2.0}})
        running = start(project)
        cell = project.folder / "study" / "cells" / "answer_augmentation-3-seeds-4-samples-repeat-1" / "result.json"
        assert until(cell.exists, 600), running.wait(1).err
        beside = start(project).wait()
        # Somewhere in the second cell.
        assert until((cell.parents[1] / "answer_augmentation-3-seeds-8-samples-repeat-1" / "train.log").exists)
        running.kill()
        running.child.communicate()
        first = cell.read_bytes()
        left = not project.ends()
        done = start(project).wait(600)
        yield Studied(project, server, first, beside, left, done)


@pytest.mark.slow
def test_a_study_that_was_killed_goes_on_at_the_cell_where_it_stopped(studied):
    assert studied.done.code == 0, studied.done.err
    assert "cell 2 of 4" in studied.done.err
    assert "cell 1 of 4" not in studied.done.err
    assert (studied.folder / "cells" / "answer_augmentation-3-seeds-4-samples-repeat-1" / "result.json").read_bytes() == studied.first
    with closing(sqlite3.connect(studied.folder / "ledger.sqlite")) as ledger:
        assert ledger.execute("SELECT count(*) - count(DISTINCT key) FROM calls WHERE outcome = 'ok'").fetchone() == (0,)
        assert ledger.execute("SELECT count(*) FROM calls WHERE outcome != 'unsent'").fetchone() == (studied.server.count,)


@pytest.mark.slow
def test_what_was_training_ends_with_a_study_that_is_killed(studied):
    assert not studied.left


@pytest.mark.slow
def test_a_second_study_in_the_same_folder_ends_with_4(studied):
    assert studied.beside.code == 4
    assert "another run is at work there" in studied.beside.err


@pytest.mark.slow
def test_every_cell_is_a_row_with_what_it_took(studied):
    rows = pq.read_table(studied.folder / "results.parquet").to_pylist()
    assert [(row["strategy"], row["samples"], row["status"]) for row in rows] == [
        ("answer_augmentation", 4, "done"),
        ("answer_augmentation", 8, "done"),
        ("new_question", 4, "failed"),
        ("new_question", 8, "failed"),
    ]
    first, second = rows[:2]
    # One call per answer; the file also has the three seeds.
    assert (first["candidates"], first["calls"], first["rows"]) == (4, 4, 7)
    assert (second["candidates"], second["calls"], second["rows"]) == (8, 8, 11)
    assert (first["questions"], first["metric"], first["budget_ratio"]) == (4, "exact_match", pytest.approx(4 / 3))
    assert 0 <= first["accuracy"] <= 1 and first["untrained"] is not None
    assert 0 < first["usd"] < second["usd"]
    with (studied.folder / "results.csv").open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == [row["status"] for row in rows]


@pytest.mark.slow
def test_a_cell_that_cannot_be_made_says_why_and_the_rest_goes_on(studied):
    reason = studied.result("new_question", 4)["reason"]
    assert reason == "only 0 samples of 160 candidates were accepted, most of the others rejected by self_check"
    assert reason in (studied.folder / "README.md").read_text()
    assert "2 of 4 cells failed" in studied.done.out


@pytest.mark.slow
def test_what_it_will_cost_is_said_first_and_was_not_more(studied):
    # 8 answers; 8 new questions of three calls each. The four cells as separate runs: half as much again.
    assert "32 calls in all, those of the largest cells (the cells one by one would take 48)" in " ".join(studied.done.err.split())
    answers = studied.result("answer_augmentation", 8)["calls"]
    assert answers == 8


@pytest.mark.slow
def test_a_smaller_cell_trains_on_the_first_samples_of_the_larger(studied):
    small, large = (
        (studied.folder / "cells" / f"answer_augmentation-3-seeds-{samples}-samples-repeat-1" / "samples.jsonl").read_text().splitlines()
        for samples in (4, 8)
    )
    assert len(small) == 4 and large[:4] == small


@pytest.mark.slow
def test_the_curves_are_drawn_and_described(studied):
    assert (studied.folder / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    svg = (studied.folder / "accuracy.svg").read_text()
    assert "answer augmentation" in svg and "new question" not in svg
    text = (studied.folder / "README.md").read_text()
    assert "too few cells | 2 budgets, 2 cells" in text  # no law from two points
    assert "recommends" not in text and "budget (samples: 6)" in text


@pytest.mark.slow
def test_the_students_are_removed_when_they_are_graded(studied):
    assert not list(studied.folder.glob("cells/*/student")) and not list(studied.folder.glob("cells/*/prepared"))


@pytest.mark.slow
def test_auto_goes_by_the_finished_study_and_says_so(studied):
    path = studied.project.folder / "config.yml"
    config = yaml.safe_load(path.read_text())
    config["synthetic"]["study"] = "study"
    path.write_text(yaml.safe_dump(config))
    done = studied.project.run("plan", "--json")
    assert done.code == 0, done.err
    data = json.loads(done.out)
    # Nothing else was measured.
    assert data["strategy"] == {"answer_augmentation": 1.0}
    assert data["reasons"][0].startswith("by the study in study: for 8 seeds")
    assert any("8 seeds are outside the 3 to 3 that it measured" in reason for reason in data["reasons"])


# Without making a study


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project", seeds=12)
    prepare(project, "http://127.0.0.1:9/v1", STUDY)
    return project


def test_every_problem_of_a_study_is_told_at_once_and_ends_with_2(project):
    wrong = {**STUDY, "seed_size": [2], "samples": [0, 4], "repeats": "many", "strategies": ["poetry"]}
    (project.folder / "study.yml").write_text(yaml.safe_dump({"study": wrong}))
    done = start(project).wait()
    assert done.code == 2
    for text in (
        "study.seed_size: unknown key; did you mean `seed_sizes`?",
        "study.samples.0: 0: input should be greater than or equal to 1",
        "study.repeats: 'many'",
        "study.strategies.0: 'poetry'",
    ):
        assert text in done.err
    assert "Traceback" not in done.err


def test_more_seeds_than_there_are_and_nothing_held_out_are_told_together(project):
    (project.folder / "study.yml").write_text(yaml.safe_dump({"study": {**STUDY, "seed_sizes": [3, 40]}}))
    config = yaml.safe_load((project.folder / "config.yml").read_text())
    config["synthetic"]["seeds"]["holdout"] = 0
    del config["base_model"]
    (project.folder / "config.yml").write_text(yaml.safe_dump(config))
    done = start(project).wait()
    assert done.code == 2
    assert "study.seed_sizes: 40: seeds.jsonl has 12 usable seeds" in done.err
    assert "nothing is held out to grade by" in done.err
    assert "base_model: is missing" in done.err


def test_a_budget_that_the_study_cannot_keep_to_is_refused_before_the_first_call(project):
    (project.folder / "study.yml").write_text(yaml.safe_dump({"study": {**STUDY, "budget": {"queries": 31}}}))
    done = start(project).wait()
    assert done.code == 2
    assert "study.budget.queries: 31: the study takes at least 32 calls" in done.err


def test_the_plan_alone_asks_nobody_and_writes_nothing(project):
    done = start(project, "--plan").wait()
    assert done.code == 0, done.err
    assert "4 cells: 2 strategies × 1 number of seeds × 2 budgets × 1 repeat" in done.err
    assert not (project.folder / "study").exists()


def test_a_teacher_that_cannot_be_reached_stops_the_study_and_fails_no_cell(project):
    config = yaml.safe_load((project.folder / "config.yml").read_text())
    config["synthetic"]["teacher"]["retries"] = 0
    (project.folder / "config.yml").write_text(yaml.safe_dump(config))
    done = start(project).wait()
    assert done.code == 3
    assert not list((project.folder / "study").glob("cells/*"))


def test_ctrl_c_ends_a_study_with_130(tmp_path):
    project = Project(tmp_path / "project", seeds=12)
    with FakeServer(api_key=KEY, latency=3.0) as server:
        prepare(project, server.base_url, STUDY)
        running = start(project)
        assert until(lambda: server.count > 0)
        running.signal(signal.SIGINT)
        done = running.wait()
    assert done.code == 130
    assert "Traceback" not in done.err
    assert project.ends()


def test_a_folder_that_holds_a_study_of_another_config_is_refused(project):
    folder = project.folder / "study"
    folder.mkdir()
    (folder / "design.json").write_text('{"format": 1, "config": "of another"}')
    done = start(project).wait()
    assert done.code == 2
    assert "holds a study of another config.yml" in done.err
