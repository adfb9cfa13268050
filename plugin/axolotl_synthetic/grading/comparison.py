"""The student against the base model: what `grade.json` holds and the terminal shows. Pure; who writes and prints is `run.py`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from axolotl_synthetic.grading.evaluate import Score

# Metrics that are shares, shown in percent; others, such as perplexity, are shown as they are.
SHARES = (
    *("exact_match", "execution_accuracy", "test_suite_accuracy", "acc", "f1", "macro_f1", "em", "mc1", "mc2", "pass"),
    *("prompt_level", "inst_level"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One task. Standard errors are None where lm-eval gives none."""

    task: str
    metric: str
    questions: int | None
    base: float
    base_stderr: float | None
    student: float
    student_stderr: float | None
    difference: float
    difference_stderr: float | None


@dataclass(frozen=True, slots=True)
class Grade:
    """A comparison: `base` and `student` name the models."""

    base: str
    student: str
    rows: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """What `grade.json` holds."""
        return {"base": self.base, "student": self.student, "rows": [asdict(row) for row in self.rows]}


def read_grade(text: str) -> Grade:
    """What `Grade.to_dict` made, back from JSON."""
    data = json.loads(text)
    return Grade(data["base"], data["student"], tuple(Row(**row) for row in data["rows"]))


def compare(*, base: str, student: str, base_scores: Mapping[str, Score], student_scores: Mapping[str, Score]) -> Grade:
    """Put the scores of two evaluations side by side, in the order of the base's; what only one of them has is left out."""
    both = [task for task in base_scores if task in student_scores]
    return Grade(base, student, tuple(_row(task, base_scores[task], student_scores[task]) for task in both))


def _row(task: str, base: Score, student: Score) -> Row:
    errors = (base.stderr, student.stderr)
    return Row(
        # Two metrics of one task have its name in common.
        task=task.partition(" ")[0],
        metric=base.metric,
        questions=base.questions,
        base=base.value,
        base_stderr=base.stderr,
        student=student.value,
        student_stderr=student.stderr,
        difference=student.value - base.value,
        # As if the two had been asked different questions. They were asked the same, so this is rather too wide than too narrow.
        difference_stderr=None if None in errors else math.hypot(*(error for error in errors if error is not None)),
    )


def table(rows: Sequence[Row]) -> Table:
    """The rows for a terminal: a value ± its standard error."""
    shown = Table()
    for heading in ("task", "metric"):
        shown.add_column(heading, no_wrap=True)
    for heading in ("questions", "base", "student", "difference"):
        shown.add_column(heading, justify="right")
    for row in rows:
        shown.add_row(row.task, row.metric, "" if row.questions is None else f"{row.questions:,}", *cells(row))
    return shown


def cells(row: Row) -> tuple[str, str, str]:
    """Base, student and difference as a person reads them."""
    show = _percent if is_share(row) else _plain
    difference = ("+" if row.difference > 0 else "") + show(row.difference, row.difference_stderr)
    return show(row.base, row.base_stderr), show(row.student, row.student_stderr), difference


def is_share(row: Row) -> bool:
    """Whether the metric is a share, from 0 to 1."""
    return row.metric.startswith(SHARES)


def _percent(value: float, stderr: float | None) -> str:
    return f"{100 * value:.1f} %" if stderr is None else f"{100 * value:.1f} ± {100 * stderr:.1f} %"


def _plain(value: float, stderr: float | None) -> str:
    return f"{value:.3f}" if stderr is None else f"{value:.3f} ± {stderr:.3f}"
