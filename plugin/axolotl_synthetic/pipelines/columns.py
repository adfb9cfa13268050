"""Columns of the public steps, converted to and from seeds and candidates. `seeds/` defines what a seed's columns mean.

Steps write no cell that is None or an empty list. distilabel 1.5.3 infers a table's types from its first 50 rows, and cannot store a
text in a column whose first 50 cells were empty.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from distilabel.errors import DistilabelUserError
from distilabel.steps import Step

from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.numerals import Decimal
from axolotl_synthetic.records import ANSWER_AUGMENTATION, STRATEGIES, Candidate, Message, Question, Seed, Verdict, to_json
from axolotl_synthetic.seeds import UnusableRow, seed_of_row
from axolotl_synthetic.tasks import Task

GENERATED = "generated"
SAMPLE_COLUMNS = ("instruction", "generation", "final_answer", "strategy", "seed_id", "sample_id", "status", "reason", "messages")


def seed_columns(task: Task) -> dict[str, bool]:
    """Return the columns of a task's seeds, each with whether it is required."""
    return {**dict.fromkeys(task.required, True), **dict.fromkeys(task.optional, False)}


def read_seed(row: Mapping[str, Any], task: Task, databases: str | None, decimal: Decimal | None) -> Seed:
    """Return the seed in a row.

    Raises:
        UnusableRow: if the row holds no seed.
    """
    seed = seed_of_row(row, task, databases)
    return seed if decimal is None else replace(seed, question=replace(seed.question, decimal=decimal))


def read_seeds(
    argument: str, rows: Sequence[Mapping[str, Any]], task: Task, databases: str | None, decimal: Decimal | None
) -> tuple[Seed, ...]:
    """Return the seeds in an argument of a step, such as its worked examples.

    Raises:
        ConfigError: if a row holds no seed; the text names the row.
    """
    seeds = []
    for place, row in enumerate(rows):
        try:
            seeds.append(read_seed(row, task, databases, decimal))
        except UnusableRow as error:
            raise ConfigError(f"{argument}[{place}]: {error}") from error
    return tuple(seeds)


def sample_columns(candidate: Candidate, task: Task, round: int, asked: str = "") -> dict[str, Any]:
    """Return the columns of a sample that a strategy generated.

    Args:
        candidate: with its final answer; has no status if it has an answer.
        task: the sample's task.
        round: number of the sample among those of its seed and strategy.
        asked: the seed's question, used in the chat of a sample without a question.
    """
    status = candidate.status or GENERATED
    return {
        "instruction": candidate.prompt or "",
        "generation": candidate.answer or "",
        "final_answer": candidate.final_answer or "",
        "strategy": candidate.strategy,
        "seed_id": candidate.seed_id,
        "sample_id": candidate.id,
        "candidate": _facts(candidate, task, round),
        "status": status,
        "reason": candidate.reason or "",
        "messages": chat(candidate, asked, candidate.answer if status == GENERATED else None),
    }


def refuse_overwriting(step: Step) -> None:
    """Refuse a step that would overwrite the column that it reads a seed from: later steps need that seed.

    Raises:
        DistilabelUserError: with the mapping to add.
    """
    chats = step.input_mappings.get("messages", "messages")
    if "messages" in step.inputs and step.output_mappings.get("messages", "messages") == chats:
        raise DistilabelUserError(
            f"{step.name or type(step).__name__}: reads a seed's chat from the column `{chats}` and would write its own over it; add"
            " output_mappings={'messages': 'another_name'}"
        )
    read = {column: name for name, column in step.input_mappings.items() if name != column}
    for name in step.outputs:
        column = step.output_mappings.get(name, name)
        if (of := read.get(column)) is not None and of != name:
            raise DistilabelUserError(
                f"{step.name or type(step).__name__}: reads `{of}` from the column `{column}` and would write its own `{name}` over it;"
                f" add output_mappings={{{name!r}: 'another_name'}}"
            )


def chat(candidate: Candidate, asked: str, answer: str | None) -> list[dict[str, str]]:
    """Return the chat to train on; without an answer it ends with the question.

    Args:
        candidate: gives the question.
        asked: the question, if the candidate has none.
        answer: text of the last turn.
    """
    question = candidate.question
    if question is not None and question.turns:
        turns = [dict(turn) for turn in question.chat]
    else:
        turns = [{"role": "user", "content": candidate.prompt or asked}]
    return turns if answer is None else [*turns, {"role": "assistant", "content": answer}]


def chat_of(row: Mapping[str, Any]) -> tuple[Message, ...]:
    """Return the chat that ends with the question of our strategy's row; empty where no turns come before the question."""
    try:
        question = json.loads(row.get("candidate") or "null")["question"]
        made = Question(question["text"], turns=question["turns"])
    except (ValueError, TypeError, KeyError):
        return ()
    return made.chat if made.turns else ()


def _facts(candidate: Candidate, task: Task, round: int) -> str:
    question = None if candidate.question is None else {**asdict(candidate.question), "database_file": None}
    return to_json(
        {
            "task": task.name,
            "round": round,
            "question": question,
            "self_check": candidate.self_check,
            "answer": _digest(candidate.answer or ""),
            "answer_tokens": candidate.answer_tokens,
        }
    )


def read_candidate(row: Mapping[str, Any], seed: Seed, task: Task) -> tuple[Candidate, int]:
    """Return a row's sample and its round. The row was made by one of our strategies or by another step.

    Raises:
        UnusableRow: if the row was changed since, or says too little about how it was made; the text says what to do.
    """
    strategy, answer = row.get("strategy") or ANSWER_AUGMENTATION, row.get("generation")
    if strategy not in STRATEGIES:
        raise UnusableRow(f"strategy: {strategy!r} is none of {', '.join(STRATEGIES)}")
    if not isinstance(answer, str) or not answer.strip():
        raise UnusableRow("generation: there is no answer")
    try:
        answer.encode()
    except UnicodeEncodeError:
        raise UnusableRow("generation: holds half of a surrogate pair, which no file can hold") from None
    if (made_from := row.get("seed_id")) and made_from != seed.id:
        raise UnusableRow("the seed's columns are not those that the row was made from; give `databases` and input_mappings to both steps")
    name = row.get("sample_id") or f"{strategy}-{seed.id}-{_digest(answer)}"
    candidate = Candidate(0, str(name), strategy, seed.id, answer=answer)
    if row.get("candidate"):
        candidate, round = _with_facts(candidate, str(row["candidate"]), seed, task)
    else:
        candidate, round = replace(candidate, question=_asked(row, strategy, seed, task)), 0
    assert candidate.question is not None
    candidate = replace(candidate, prompt=task.prompt(candidate.question))
    if (instruction := row.get("instruction")) and row.get("candidate") and instruction != candidate.prompt:
        raise UnusableRow("instruction: was changed since the sample was made, and its answer was not")
    return candidate, round


def _with_facts(candidate: Candidate, facts: str, seed: Seed, task: Task) -> tuple[Candidate, int]:
    try:
        told = json.loads(facts)
        fields = {**told["question"], "choices": tuple(told["question"]["choices"]), "labels": tuple(told["question"]["labels"])}
        question = Question(**{**fields, "database_file": seed.question.database_file})
        name, round, self_check = str(told["task"]), int(told["round"]), told["self_check"]
        # The token count holds only for the unchanged answer.
        tokens = told["answer_tokens"] if told["answer"] == _digest(candidate.answer or "") else None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UnusableRow(f"candidate: cannot be read ({type(error).__name__}); leave the column as it was made") from error
    if name != task.name:
        raise UnusableRow(f"task: the sample was made for {name}; give Verify the same task")
    return replace(candidate, question=question, self_check=self_check, answer_tokens=tokens), round


def _asked(row: Mapping[str, Any], strategy: str, seed: Seed, task: Task) -> Question:
    """Return the question of another step's row: the seed's, or the text in the column `instruction`."""
    text = row.get("instruction") or seed.question.text
    if text in (seed.question.text, task.prompt(seed.question)):
        return seed.question
    if not isinstance(text, str) or strategy == ANSWER_AUGMENTATION:
        raise UnusableRow(
            "instruction: is not the seed's question; say in a column `strategy` whether it is a question_rephrase or a new_question"
        )
    return replace(seed.question, text=text)


def check_columns(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Return the value of the column `checks`."""
    return [
        {"name": verdict.name, "passed": verdict.passed is not False, "applies": verdict.passed is not None, "detail": verdict.detail}
        for verdict in verdicts
    ]


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
