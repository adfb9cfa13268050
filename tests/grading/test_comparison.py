"""Comparison of the student with the base model: differences, their standard errors, and the display."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from axolotl_synthetic.grading import Score, compare, read_grade, table


def grade_of(base: Score, student: Score):
    return compare(base="base", student="student", base_scores={"t": base}, student_scores={"t": student})


def printed(grade) -> str:
    console = Console(file=io.StringIO(), width=140)
    console.print(table(grade.rows))
    return console.file.getvalue()


def test_the_difference_has_the_root_of_the_summed_squares_as_its_standard_error():
    (row,) = grade_of(Score(0.375, 0.03, "exact_match", 80), Score(0.925, 0.04, "exact_match", 80)).rows
    assert row.difference == pytest.approx(0.55)
    assert row.difference_stderr == pytest.approx(0.05)  # 3, 4, 5


def test_a_missing_standard_error_leaves_the_difference_without_one():
    (row,) = grade_of(Score(0.0, None, "exact_match", 1), Score(1.0, 0.1, "exact_match", 1)).rows
    assert row.difference_stderr is None


def test_grade_json_holds_every_number():
    grade = grade_of(Score(0.5, 0.3, "acc", 4), Score(0.25, 0.4, "acc", 4))
    assert json.loads(json.dumps(grade.to_dict())) == {
        "base": "base",
        "student": "student",
        "rows": [
            {
                "task": "t",
                "metric": "acc",
                "questions": 4,
                "base": 0.5,
                "base_stderr": 0.3,
                "student": 0.25,
                "student_stderr": 0.4,
                "difference": -0.25,
                "difference_stderr": 0.5,
                "unpaired_stderr": 0.5,
                **dict.fromkeys(("interval", "better", "worse", "p")),
            }
        ],
        "questions": {},
    }


def test_shares_are_shown_in_percent():
    text = printed(grade_of(Score(0.375, 0.03, "exact_match", 80), Score(0.925, 0.04, "exact_match", 80)))
    assert "37.5 ± 3.0 %" in text
    assert "92.5 ± 4.0 %" in text
    assert "+55.0 ± 5.0 %" in text


def test_a_grade_of_an_older_release_is_read():
    old = {
        name: value
        for name, value in grade_of(Score(0.5, 0.3, "acc", 4), Score(0.25, 0.4, "acc", 4)).to_dict()["rows"][0].items()
        if value is not None
    }
    del old["unpaired_stderr"]
    read = read_grade(json.dumps({"base": "base", "student": "student", "rows": [old]}))
    assert (read.rows[0].difference_stderr, read.rows[0].p, read.each) == (0.5, None, {})


def test_a_perplexity_is_no_share():
    assert "12.500" in printed(grade_of(Score(12.5, None, "word_perplexity"), Score(11.0, None, "word_perplexity")))


def test_a_task_that_only_one_model_was_graded_on_is_left_out():
    score = Score(0.5, None, "acc")
    assert compare(base="b", student="s", base_scores={"t": score, "u": score}, student_scores={"t": score}).rows[0].task == "t"
