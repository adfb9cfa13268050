"""Comparison of the student with the base model, for `grade.json` and the terminal. Pure; `run.py` writes and prints it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from axolotl_synthetic.grading.evaluate import Score
from axolotl_synthetic.grading.pairs import paired

# Metrics that are shares, shown in percent; others, such as perplexity, are shown unchanged.
SHARES = (
    *("exact_match", "execution_accuracy", "test_suite_accuracy", "acc", "f1", "macro_f1", "em", "mc1", "mc2", "pass"),
    *("prompt_level", "inst_level"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """Result of one task. Standard errors are None if lm-eval gives none.

    Attributes:
        difference_stderr: over pairs of answers to the same question; equals `unpaired_stderr` if the questions' scores are unknown.
        unpaired_stderr: as if the two models had been asked different questions.
        interval: of the difference: the middle 95 % of a bootstrap over questions.
        better, worse: questions on which the student scores higher than the base model, and lower.
        p: of an exact McNemar test; None unless each answer is right or wrong.
    """

    task: str
    metric: str
    questions: int | None
    base: float
    base_stderr: float | None
    student: float
    student_stderr: float | None
    difference: float
    difference_stderr: float | None
    unpaired_stderr: float | None = None
    interval: tuple[float, float] | None = None
    better: int | None = None
    worse: int | None = None
    p: float | None = None


@dataclass(frozen=True, slots=True)
class Grade:
    """A comparison: `base` and `student` name the models.

    Attributes:
        each: for each task, both scores of each question, by the question's number.
    """

    base: str
    student: str
    rows: tuple[Row, ...]
    each: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `grade.json`."""
        return {"base": self.base, "student": self.student, "rows": [asdict(row) for row in self.rows], "questions": dict(self.each)}


def read_grade(text: str) -> Grade:
    """Read the JSON of `Grade.to_dict`; files of older releases have fewer fields."""
    data = json.loads(text)
    return Grade(data["base"], data["student"], tuple(Row(**row) for row in data["rows"]), data.get("questions", {}))


def compare(*, base: str, student: str, base_scores: Mapping[str, Score], student_scores: Mapping[str, Score]) -> Grade:
    """Compare the scores of two evaluations, in the order of the base's; tasks that only one has are left out."""
    both = [task for task in base_scores if task in student_scores]
    each = {
        task: {number: (score, student_scores[task].each[number]) for number, score in base_scores[task].each.items()}
        for task in both
        if base_scores[task].each and base_scores[task].each.keys() == student_scores[task].each.keys()
    }
    return Grade(base, student, tuple(_row(task, base_scores[task], student_scores[task]) for task in both), each)


def _row(task: str, base: Score, student: Score) -> Row:
    errors = (base.stderr, student.stderr)
    unpaired = None if None in errors else math.hypot(*(error for error in errors if error is not None))
    pairs = paired(base.each, student.each)
    return Row(
        # Two metrics of one task share its name.
        task=task.partition(" ")[0],
        metric=base.metric,
        questions=base.questions,
        base=base.value,
        base_stderr=base.stderr,
        student=student.value,
        student_stderr=student.stderr,
        difference=student.value - base.value,
        difference_stderr=unpaired if pairs is None else pairs.stderr,
        unpaired_stderr=unpaired,
        interval=None if pairs is None else (pairs.low, pairs.high),
        better=None if pairs is None else pairs.better,
        worse=None if pairs is None else pairs.worse,
        p=None if pairs is None else pairs.p,
    )


def notes(rows: Sequence[Row]) -> list[str]:
    """State the uncertainty of each difference, if both models answered the same questions."""
    found = []
    for row in rows:
        if row.interval is None:
            continue
        show = _percent if is_share(row) else _plain
        low, high = (show(one, None) for one in row.interval)
        split = f"better on {row.better:,} of {row.questions or 0:,} questions and worse on {row.worse:,}"
        test = "" if row.p is None else f"; McNemar's exact test: p {p_value(row.p)}"
        alone = "" if row.unpaired_stderr is None else f"; unpaired, the difference would be known to ± {show(row.unpaired_stderr, None)}"
        found.append(f"{row.task}: the student is {split}: the difference is {low} to {high} (95 %){test}{alone}")
    return found


def p_value(p: float) -> str:
    """Format a probability as papers do."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


def table(rows: Sequence[Row]) -> Table:
    """Return the rows as a table for a terminal: a value ± its standard error."""
    shown = Table()
    for heading in ("task", "metric"):
        shown.add_column(heading, no_wrap=True)
    for heading in ("questions", "base", "student", "difference"):
        shown.add_column(heading, justify="right")
    for row in rows:
        shown.add_row(row.task, row.metric, "" if row.questions is None else f"{row.questions:,}", *cells(row))
    return shown


def cells(row: Row) -> tuple[str, str, str]:
    """Format base, student and difference for display."""
    show = _percent if is_share(row) else _plain
    difference = ("+" if row.difference > 0 else "") + show(row.difference, row.difference_stderr)
    return show(row.base, row.base_stderr), show(row.student, row.student_stderr), difference


def is_share(row: Row) -> bool:
    """Return whether the metric is a share, from 0 to 1."""
    return row.metric.startswith(SHARES)


def _percent(value: float, stderr: float | None) -> str:
    return f"{100 * value:.1f} %" if stderr is None else f"{100 * value:.1f} ± {100 * stderr:.1f} %"


def _plain(value: float, stderr: float | None) -> str:
    return f"{value:.3f}" if stderr is None else f"{value:.3f} ± {stderr:.3f}"
