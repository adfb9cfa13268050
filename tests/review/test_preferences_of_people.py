"""People's decisions in the preference pairs: a rejected answer is wrong, and so is the original of a corrected one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from axolotl_synthetic import run
from axolotl_synthetic.review import kept

from finished import Row, finish, gold, sample
from test_applying import book, said


def answers(count: int) -> list[Row]:
    """Return this many different right answers to seed 0."""
    return [sample(0, id=f"answer_augmentation-{number}", answer=f"way {number}\n#### {gold(0)}") for number in range(count)]


def pairs(folder: Path, manifest: Any) -> list[tuple[str, str, str]]:
    rows = [json.loads(line) for line in (folder / manifest["files"]["preferences"]["path"]).read_text().splitlines()]
    return [(row["chosen"]["content"], row["rejected"]["content"], row["reason"]) for row in rows]


def test_pairs_follow_the_decisions_without_another_run(tmp_path):
    rows = answers(3)
    made = finish(tmp_path, rows, preferences=True)
    first = run.generate(made).manifest
    assert first["files"]["preferences"]["rows"] == 0  # the checks find no wrong answer
    better = f"a better way\n#### {gold(0)}"
    decided = book(rows, {rows[1]["id"]: [said("reject")], rows[2]["id"]: [said("edit", answer=better)]})
    kept.write(made.folder, decided)
    assert run.training_file(made, "preferences") is None
    manifest = run.generate(made).manifest
    assert pairs(made.folder, manifest) == [(rows[0]["answer"], rows[1]["answer"], "review"), (better, rows[2]["answer"], "review")]
    assert manifest["files"]["preferences"]["counts"] == {"review": 2}
    assert manifest["files"]["kto"]["counts"] == {"desirable": manifest["files"]["train"]["rows"], "undesirable": 2}
    # Without the decisions, the files are as before.
    (made.folder / kept.FILE).unlink()
    assert run.generate(made).manifest["files"] == first["files"]


def test_a_wrong_answer_that_people_accept_is_a_right_one(tmp_path):
    rows = [*answers(1), sample(0, wrong=True, id="answer_augmentation-9")]
    made = finish(tmp_path, rows, preferences=True)
    assert pairs(made.folder, run.generate(made).manifest) == [(rows[0]["answer"], rows[1]["answer"], "final_answer")]
    kept.write(made.folder, book(rows, {"answer_augmentation-9": [said("accept")]}))
    assert pairs(made.folder, run.generate(made).manifest) == []


def test_undecided_samples_that_are_dropped_are_no_wrong_answers(tmp_path):
    rows = answers(2)
    made = finish(tmp_path, rows, preferences=True, review={"unreviewed": "drop"})
    kept.write(made.folder, book(rows, {rows[0]["id"]: [said("accept")]}))
    manifest = run.generate(made).manifest
    assert manifest["rejections"] == {"unreviewed": 1} and pairs(made.folder, manifest) == []
    assert manifest["files"]["kto"]["counts"]["undesirable"] == 0
