"""Grading with lm-eval: the held-out seeds as an lm-eval task, its runs on the base model and the student, and their comparison.

    export.py        held-out seeds → a folder that plain `lm_eval --include_path` runs
    heldout.py       functions that this folder calls while it is graded
    chats.py         the same for held-out chats
    tasks/           lm-eval tasks of this package: a folder for `--include_path`
    spider.py        functions of `tasks/spider_execution.yaml`: Spider's questions, execution accuracy
    models.py        the graded model: the base, a LoRA adapter on it, or full weights
    evaluate.py      starts lm-eval in a separate process, shows its progress, reads its scores
    child.py         that process; only this file runs lm-eval, and lm-eval runs only chats.py, heldout.py and spider.py
    comparison.py    base against student: the table and `grade.json`
    pairs.py         uncertainty of the difference between two models that answered the same questions

`run.py` decides when and what to grade.
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
