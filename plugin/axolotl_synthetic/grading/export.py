"""Export of the held-out seeds as an lm-eval task. Plain `lm_eval --include_path FOLDER` runs it, also after the folder has moved.

`heldout.py` grades its replies; its YAML comes from the template `heldout.yaml`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from axolotl_synthetic.config import GRADED_TOKENS
from axolotl_synthetic.dataset import asked
from axolotl_synthetic.files import make_folder, storage_errors, write_text
from axolotl_synthetic.grading.heldout import FILE
from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.tasks import BUILT_IN, Task, has_turns, load_task

HELD_OUT_TASK = "synthetic_heldout"
# Column of the system message before a row's question.
SYSTEM = "system"

# lm-eval looks for a `!function` in a Python file beside the YAML, so the folder needs one.
METRICS = '''"""Lets lm-eval find this folder's rows, and axolotl-synthetic's own reading of final answers. Written by axolotl-synthetic."""

from pathlib import Path

from axolotl_synthetic.grading.heldout import answer, grade, macro_f1, prompt, read_rows

__all__ = ["answer", "dataset", "grade", "macro_f1", "prompt"]


def dataset(databases=None, **_):
    return read_rows(Path(__file__).parent, databases)
'''


CHAT_METRICS = METRICS.replace("import answer, grade, macro_f1, prompt, read_rows", "import answer, prompt, read_rows").replace(
    '\n\n__all__ = ["answer", "dataset", "grade", "macro_f1", "prompt"]',
    '\nfrom axolotl_synthetic.grading.chats import Chats, likelihood\n\n__all__ = ["Chats", "answer", "dataset", "likelihood", "prompt"]',
)
# The metrics of a reply with their aggregation, and a comment that explains them.
BY_ANSWER = (
    {"exact_match": "mean", "strict_match": "mean"},
    "# A reply scores 1 when its final answer is equivalent to the seed's, by the same code that verified the training samples:\n"
    "# strict_match reads only answers in the task's form, exact_match also others (in mathematics, the last number).",
)
BY_LABEL = (
    {"acc": "mean", "macro_f1": "!function metrics.macro_f1", "strict_match": "mean"},
    "# A reply scores 1 when its labels are the seed's: acc also takes labels that a reply mentions, strict_match those alone that it\n"
    "# consists of. macro_f1 is the mean of the F1 of each label that a seed has or a reply gives.",
)


def export_task(
    folder: Path,
    *,
    task: Task,
    held_out: Sequence[Seed],
    task_name: str = HELD_OUT_TASK,
    max_gen_toks: int | None = None,
    system: str | None = None,
) -> str | None:
    """Write the task.

    Args:
        folder: `lm_eval/` in the run's output folder; created if missing.
        task: provides prompts and equivalence.
        held_out: seeds kept out of generation; those without a final answer, and chats without an answer, are left out.
        task_name: its name in lm-eval.
        max_gen_toks: most tokens of a reply; None: `GRADED_TOKENS`, or more if a held-out answer is long.
        system: the system message before each question; None: a chat's own, and none before other questions.

    Returns:
        `task_name`; None if there is nothing to grade, because the task has no final answers or no held-out seed has one.
        In that case an earlier run's export is removed.

    Raises:
        StorageError: if the folder cannot be written.
    """
    rows = list(_rows(task, held_out, folder, system)) if task.has_final_answer else []
    rows = list(_chats(task, held_out, system)) if has_turns(task) and not task.has_final_answer else rows
    metrics, how = BY_LABEL if any("several" in row for row in rows) else BY_ANSWER
    return _write_task(
        *(folder, task_name, rows, has_turns(task)),
        max_gen_toks=max_gen_toks or _longest_reply(task, held_out),
        how=how,
        metrics="\n".join(
            f"  - metric: {name}\n    aggregation: {aggregation}\n    higher_is_better: true" for name, aggregation in metrics.items()
        ),
        # lm-eval replaces a description that names a column by that column's text.
        description=f"\ndescription: {SYSTEM}" if system is not None else "",
    )


def export_answers(folder: Path, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Write answers as a task that measures how likely a model finds each, like held-out chats.

    Args:
        folder: as for `export_task`, as are the return value and errors.
        rows: each with `id`, `prompt`, `messages` up to the answer, and `answer`.
    """
    return _write_task(folder, HELD_OUT_TASK, rows, by_likelihood=True)


def _write_task(folder: Path, name: str, rows: Sequence[Mapping[str, Any]], by_likelihood: bool, **said: object) -> str | None:
    template = resources.files(__package__).joinpath("heldout_chats.yaml" if by_likelihood else "heldout.yaml").read_text(encoding="utf-8")
    files = {
        FILE: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
        "metrics.py": CHAT_METRICS if by_likelihood else METRICS,
        # Written last and removed first: lm-eval recognizes the folder by its YAML.
        f"{name}.yaml": Template(template).substitute(task=name, **said),
    }
    if not rows:
        with storage_errors(folder):
            for file in reversed(files):
                (folder / file).unlink(missing_ok=True)
        return None
    make_folder(folder)
    for file, text in files.items():
        write_text(folder / file, text)
    return name


def _longest_reply(task: Task, held_out: Sequence[Seed]) -> int:
    """Return the most tokens of a reply: twice those of the longest answer, at about four bytes per token."""
    longest = max((len((task.solution(seed) or "").encode()) for seed in held_out), default=0)
    return max(GRADED_TOKENS, longest // 2)


def _rows(task: Task, held_out: Sequence[Seed], folder: Path, system: str | None) -> Iterator[Mapping[str, Any]]:
    reference = _reference(task)
    for seed in held_out:
        gold = task.gold_answer(seed)
        if gold is None:
            continue
        question = seed.question
        # Every row has every key: a dataset's columns are the first row's keys.
        yield {
            "id": seed.id,
            "task": reference,
            "prompt": task.prompt(question),
            "answer": gold,
            "question": question.text,
            "choices": list(question.choices),
            "labels": list(question.labels),
            "context": question.context,
            "database": question.database,
            # The path is relative to the folder: it may be published, and an absolute path would reveal this machine's folders and user.
            "database_file": None if question.database_file is None else os.path.relpath(question.database_file, folder.resolve()),
            "decimal": question.decimal,
            **({"several": question.several} if _is_labelled(question) else {}),
            **({} if system is None else {SYSTEM: system}),
        }


def _chats(task: Task, held_out: Sequence[Seed], system: str | None) -> Iterator[Mapping[str, Any]]:
    for seed in held_out:
        if (answer := task.solution(seed)) is not None:
            prompt = task.prompt(seed.question)
            yield {"id": seed.id, "prompt": prompt, "messages": asked(prompt, system, seed.question.chat), "answer": answer}


def _is_labelled(question: Question) -> bool:
    """Say whether a question is a text with a closed set of labels but without choices."""
    return bool(question.labels) and not question.choices


def _reference(task: Task) -> str:
    """Return the name by which `load_task` finds this task, also if a user's class inherits a built-in task's name."""
    if task.name in BUILT_IN and type(load_task(task.name)) is type(task):
        return task.name
    return f"{type(task).__module__}.{type(task).__qualname__}"
