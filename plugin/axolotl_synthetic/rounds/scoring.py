"""Scores of seeds by a student: the loss on their answers, or whether the student's own answers are wrong. lm-eval asks the student."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from axolotl_synthetic import dataset, grading
from axolotl_synthetic.config import Rounds, Settings
from axolotl_synthetic.grading.heldout import FILE
from axolotl_synthetic.records import ANSWER_AUGMENTATION, Seed
from axolotl_synthetic.tasks import Task


def write_questions(settings: Settings, task: Task, seeds: Sequence[Seed], samples: Iterable[Mapping[str, Any]], folder: Path) -> bool:
    """Write what the seeds are scored on for lm-eval; return whether there is anything: a seed with an answer, its own or an accepted one.

    Args:
        settings: the block, with `rounds`.
        task: the block's.
        seeds: those of the run.
        samples: rows of `samples.jsonl`; the first accepted one of a seed without an answer takes the answer's place.
        folder: where it goes.

    Raises:
        StorageError: if the folder cannot be written.
    """
    assert settings.rounds is not None
    wrong = settings.rounds.by == "wrong"
    first = _first_accepted(samples, only=ANSWER_AUGMENTATION if wrong else None)
    if not wrong:
        return grading.export_answers(folder, list(_answers(settings, task, seeds, first))) is not None
    asked = [seed if seed.answer is not None else _with_answer(seed, first.get(seed.id)) for seed in seeds]
    longest = settings.grade.max_new_tokens
    return grading.export_task(folder, task=task, held_out=asked, max_gen_toks=longest, system=settings.system_message) is not None


def score(
    model: grading.ModelArgs, rounds: Rounds, folder: Path, *, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, float]:
    """Return the score of each seed that was written, the higher the more it needs.

    Args:
        model: the student.
        rounds: says what is scored.
        folder: that of `write_questions`, and of lm-eval's log.

    Raises:
        TrainingError: if lm-eval ends with an error.
        StorageError: if the log cannot be written.
    """
    wrong = rounds.by == "wrong"
    metrics = ("exact_match", "acc") if wrong else ("bits_per_byte",)
    found = grading.scores_of_each(model, folder, metrics, log=folder / "lm_eval.log", on_progress=on_progress)
    with open(folder / FILE, "rb") as lines:
        ids = [str(json.loads(line)["id"]) for line in lines]
    return {ids[int(place)]: 1 - value if wrong else value for place, value in found.items()}


def _first_accepted(samples: Iterable[Mapping[str, Any]], only: str | None) -> dict[str, Mapping[str, Any]]:
    """Return the first accepted sample of each seed, of one strategy if one is named."""
    found: dict[str, Mapping[str, Any]] = {}
    for row in samples:
        if row["status"] == "accepted" and only in (None, row["strategy"]):
            found.setdefault(row["seed_id"], row)
    return found


def _with_answer(seed: Seed, row: Mapping[str, Any] | None) -> Seed:
    return seed if row is None else Seed(seed.id, seed.question, row["answer"])


def _answers(settings: Settings, task: Task, seeds: Sequence[Seed], first: Mapping[str, Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for seed in seeds:
        prompt, chat, answer = task.prompt(seed.question), seed.question.chat if seed.question.turns else (), task.solution(seed)
        if answer is None:
            if (row := first.get(seed.id)) is None:
                continue
            prompt, chat, answer = row["question"], row.get("messages") or (), row["answer"]
        yield {"id": seed.id, "prompt": prompt, "messages": dataset.asked(prompt, settings.system_message, chat), "answer": answer}
