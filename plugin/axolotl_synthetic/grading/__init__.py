"""Grading with lm-eval: the held-out seeds as a task of it, its runs on the base model and the student, and their comparison.

    export.py        held-out seeds → a folder that plain `lm_eval --include_path` runs
    heldout.py       what that folder calls back into while it is graded
    chats.py         the same, for held-out chats
    tasks/           tasks of lm-eval that come with the package: a folder for `--include_path`
    spider.py        what `tasks/spider_execution.yaml` calls: Spider's questions, execution accuracy
    models.py        which model is graded: the base, a LoRA adapter on it, or full weights
    evaluate.py      starts lm-eval in a process of its own, shows its progress, reads its scores
    child.py         that process; the only file that runs lm-eval, with heldout.py and spider.py the only ones that lm-eval runs
    comparison.py    base against student: the table and `grade.json`
    pairs.py         how sure the difference of two models is that answered the same questions

When and what is graded is decided in `run.py`.
"""

from axolotl_synthetic.grading.comparison import Grade, Row, cells, compare, is_share, notes, p_value, read_grade, table
from axolotl_synthetic.grading.evaluate import Score, evaluate, refuse_unknown_tasks, scores_of_each
from axolotl_synthetic.grading.export import HELD_OUT_TASK, export_answers, export_task
from axolotl_synthetic.grading.models import ModelArgs, student_in

__all__ = [
    "HELD_OUT_TASK",
    "Grade",
    "ModelArgs",
    "Row",
    "Score",
    "cells",
    "compare",
    "evaluate",
    "export_answers",
    "export_task",
    "is_share",
    "notes",
    "p_value",
    "read_grade",
    "refuse_unknown_tasks",
    "scores_of_each",
    "student_in",
    "table",
]
