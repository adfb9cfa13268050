"""The task interface, and the loader that finds a task by its name.

Each task has a file of its own; its prompts are in `prompts/<task>/`. A task knows how to put its questions to a model, how to read the
final answer of a reply, and when two final answers are equal. It makes no calls and reads no files but its prompts. Anything else that it
needs, such as a schema or a database's path, comes with the question. `sql/` runs queries.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.own_code import imported
from axolotl_synthetic.records import Message, Question, Seed
from axolotl_synthetic.tasks import templates
from axolotl_synthetic.tasks.base import TaskBase

__all__ = ["BUILT_IN", "Task", "TaskBase", "has_turns", "is_of_chats", "load_task", "own_prompts", "prompts_of"]


class Task(Protocol):
    """Interface of a task. `TaskBase` has a default for every member."""

    name: str
    """Name in `task:`."""
    required: tuple[str, ...]
    """Names of `seeds.fields` that every row must have."""
    optional: tuple[str, ...]
    """Names of `seeds.fields` that a row may have."""
    has_final_answer: bool
    """True if answers can be told right from wrong."""

    def problem(self, seed: Seed) -> str | None:
        """Return why this seed cannot be used, naming the field; None when it can."""

    def prompt(self, question: Question) -> str:
        """Return the question as the student reads it, in training and in grading: with its choices or its context, for example."""

    def solution(self, seed: Seed) -> str | None:
        """Return the seed's answer as the student should write it, None when it has none."""

    def answer_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        """Return the messages for the teacher. `examples` are seeds with answers, shown as worked examples."""

    def rephrase_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        """Return the augmenter's messages for Question Rephrase."""

    def new_question_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        """Return the augmenter's messages for New Question."""

    def self_check_messages(self, question: Question) -> tuple[Message, ...]:
        """Return the messages that ask the augmenter to check a question that it wrote."""

    def read_rephrase(self, reply: str, question: Question) -> Question | None:
        """Return the reworded question in a reply, None when it has none."""

    def read_new_question(self, reply: str, question: Question) -> Question | None:
        """Return the new question in a reply, None when it has none."""

    def read_self_check(self, reply: str) -> bool | None:
        """Say whether the augmenter accepts its own question; None when the reply does not say."""

    def final_answer(self, text: str, question: Question) -> str | None:
        """Return the final answer that a reply marks, in a normal form; None when it marks none."""

    def loose_answer(self, text: str, question: Question) -> str | None:
        """Return the final answer as a lenient reader finds it, marked or not.

        For grading, where an untrained model does not know the marks; never for verification.
        """

    def gold_answer(self, seed: Seed) -> str | None:
        """Return the final answer of a seed, whose `answer` may be a bare value; None when it has none."""

    def equivalent(self, one: str, other: str, question: Question) -> bool:
        """Say whether two final answers are equal. If one of them is the gold answer, it is `one`."""


def has_turns(task: Task) -> bool:
    """Say whether a task's questions are the last turns of chats."""
    return "messages" in task.required


def is_of_chats(name: str) -> bool:
    """Say whether the named task's questions end chats; False for a task that cannot be loaded, which others report."""
    if "." not in name:
        return name == "chat"
    with suppress(ConfigError):
        return has_turns(load_task(name))
    return False


BUILT_IN = ("math", "multiple_choice", "text_to_sql", "instruction", "chat", "classification")


def load_task(name: str, prompts: str | None = None, language: str | None = None) -> Task:
    """Return the task of that name.

    Args:
        name: one of `BUILT_IN`, or the dotted path of a class that takes no arguments.
        prompts: a folder of files that replace the task's own prompts.
        language: the language to ask for questions and answers in; None for the seeds'.

    Raises:
        ConfigError: if there is no such task, or it accepts no custom prompts or language.
    """
    task = _found(name)
    if prompts is None and language is None:
        return task
    if not isinstance(task, TaskBase):
        key = "language" if prompts is None else "prompts"
        raise ConfigError(f"synthetic.{key}: {name!r} makes its prompts by itself; derive it from axolotl_synthetic.tasks.TaskBase")
    theirs = copy.copy(task)
    theirs.own_prompts = None if prompts is None else Path(prompts).expanduser().absolute()
    theirs.language = language
    return theirs


def own_prompts(task: Task) -> list[Path]:
    """Return the user's files that replace prompts of the task.

    Raises:
        ConfigError: if a file matches no prompt of the task, or is not a valid prompt.
    """
    if not isinstance(task, TaskBase) or (folder := task.own_prompts) is None:
        return []
    files, names = sorted(folder.glob("*.md")), templates.names(task.prompts)
    if not files:
        raise ConfigError(
            f"synthetic.prompts: {folder} holds no prompts; `axolotl synthetic prompts CONFIG --write` copies those of the task there"
        )
    known = task.values(Question("", ("", ""), ("A", "B"))).keys()
    for file in files:
        if file.stem not in names:
            raise ConfigError(
                f"synthetic.prompts: {file} is none of this task's prompts; there are {', '.join(f'{one}.md' for one in names)}"
            )
        if (problem := templates.problem(file, known)) is not None:
            raise ConfigError(f"synthetic.prompts: {file} {problem}")
    return files


def prompts_of(task: Task) -> dict[str, Path]:
    """Return the files of a task's prompts by name, with the user's own where they exist.

    Raises:
        ConfigError: if the task does not build its prompts from files.
    """
    if not isinstance(task, TaskBase):
        raise ConfigError(f"synthetic.task: {task.name} makes its prompts by itself; derive it from axolotl_synthetic.tasks.TaskBase")
    return {f"{name}.md": templates.find(task.prompts, name, task.own_prompts) for name in templates.names(task.prompts)}


def _found(name: str) -> Task:
    if name in BUILT_IN:
        module = importlib.import_module(f"{__name__}.{name}")
        task: Task = module.TASK
        return task
    if "." not in name:
        raise ConfigError(f"synthetic.task: {name!r} is no task; use {', '.join(BUILT_IN)} or the dotted path of a class of yours")
    made: Task = imported(name, "synthetic.task", "an importable class made without arguments", call=True)
    wanted = {*Task.__annotations__, *(name for name in vars(Task) if not name.startswith("_"))}
    missing = sorted(name for name in wanted if not hasattr(made, name))
    if missing:
        lacking = ", ".join(missing)
        raise ConfigError(f"synthetic.task: {name!r} lacks {lacking}; derive it from axolotl_synthetic.tasks.TaskBase, which has them")
    return made
