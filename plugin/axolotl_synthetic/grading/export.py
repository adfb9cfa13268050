"""Writes the held-out seeds as a task of lm-eval that runs by plain `lm_eval --include_path FOLDER`, wherever the folder is moved.

How its replies are graded stands in `heldout.py`; its YAML is the template `heldout.yaml`.
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
# The column that holds the system message of a row's question.
SYSTEM = "system"

# lm-eval looks for a `!function` in a Python file beside the YAML, so there has to be one.
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
# What a reply is measured by: the metrics with their aggregation, and what they mean.
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
        folder: `lm_eval/` in the run's output folder; made when it is not there.
        task: whose prompts and equivalence are used.
        held_out: seeds kept out of generation; those without a final answer, and chats without an answer, are left out.
        task_name: what lm-eval calls it.
        max_gen_toks: a reply is cut off after this many tokens; None: `GRADED_TOKENS`, more where a held-out answer is long.
        system: the system message before each question; None: that of a chat, and none before another question.

    Returns:
        `task_name`; None when there is nothing to grade, because the task has no final answers or no held-out seed has one.
        Then what an earlier run exported is removed.

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
        # lm-eval takes the text of the column that a description names.
        description=f"\ndescription: {SYSTEM}" if system is not None else "",
    )


def export_answers(folder: Path, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Write answers as a task that measures how likely a model finds each, as held-out chats are.

    Args:
        folder: as for `export_task`, and what is returned and raised as well.
        rows: `id`, `prompt`, `messages` up to the answer, and `answer` of each.
    """
    return _write_task(folder, HELD_OUT_TASK, rows, by_likelihood=True)


def _write_task(folder: Path, name: str, rows: Sequence[Mapping[str, Any]], by_likelihood: bool, **said: object) -> str | None:
    template = resources.files(__package__).joinpath("heldout_chats.yaml" if by_likelihood else "heldout.yaml").read_text(encoding="utf-8")
    files = {
        FILE: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
        "metrics.py": CHAT_METRICS if by_likelihood else METRICS,
        # The last to come and the first to go: lm-eval sees the folder by its YAML.
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
    """Return the tokens that a reply may have: twice as many as the longest answer, which has about four bytes to a token."""
    longest = max((len((task.solution(seed) or "").encode()) for seed in held_out), default=0)
    return max(GRADED_TOKENS, longest // 2)


def _rows(task: Task, held_out: Sequence[Seed], folder: Path, system: str | None) -> Iterator[Mapping[str, Any]]:
    reference = _reference(task)
    for seed in held_out:
        gold = task.gold_answer(seed)
        if gold is None:
            continue
        question = seed.question
        # Every row has every key: the first row's keys decide the columns of a dataset.
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
            # Seen from the folder: it may be published, and an absolute path names this machine's folders and its user.
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
    """Say whether a question is a text with a closed set of labels, and no choices."""
    return bool(question.labels) and not question.choices


def _reference(task: Task) -> str:
    """What `load_task` finds this task by, also when a class of the user's inherits a built-in task's name."""
    if task.name in BUILT_IN and type(load_task(task.name)) is type(task):
        return task.name
    return f"{type(task).__module__}.{type(task).__qualname__}"
