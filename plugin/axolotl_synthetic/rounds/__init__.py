"""A run in rounds: generate a part of the budget, train a student on all samples so far, and give its worst seeds more of the next part.

    division.py   divides the budget; turns scores into weights of the seeds
    scoring.py    scores how badly a student does on each seed
    record.py     `rounds.json`: the finished rounds

`conduct` is the entry point. `run.py` passes in how samples are made. Each part is a run of the whole pipeline from its first candidate
on. The calls of earlier parts are in the ledger, so budgets, resuming and the training file's bytes are those of any run.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from axolotl_synthetic import dataset, grading, terminal
from axolotl_synthetic.config import Budget, Rounds, Settings
from axolotl_synthetic.errors import ConfigError, TrainingError
from axolotl_synthetic.files import make_folder
from axolotl_synthetic.pipelines.schedule import Phase, schedule
from axolotl_synthetic.prepare import Prepared
from axolotl_synthetic.processes import terminated_as_interrupted
from axolotl_synthetic.rounds.division import is_within, moved, parts, weights
from axolotl_synthetic.rounds.record import Round, read, summary, write
from axolotl_synthetic.rounds.scoring import score, write_questions
from axolotl_synthetic.training import STUDENT, config_for, remove, train, training_file
from axolotl_synthetic.wording import number_of

__all__ = ["are_over", "conduct", "of_manifest", "phases", "refuse_untrainable", "said"]

Generate = Callable[[Budget, Sequence[Phase], str], Path]
"""Function that runs the pipeline up to a budget, with phases, under a title, and returns the file of its samples."""

SCORING = "scoring"
UNITS = {"loss": "bits a byte", "wrong": "of its answers wrong"}


def conduct(prepared: Prepared, training: Mapping[str, Any], generate: Generate) -> list[Round]:
    """Make every round but the last, unless it is recorded: generate a part, train a student on all samples so far, score the seeds.

    Args:
        prepared: the run, with `rounds`.
        training: the user's Axolotl YAML.
        generate: makes the samples up to a budget.

    Returns:
        The rounds, whose `phases` are for the last part.

    Raises:
        ConfigError: if the YAML names no student to train.
        TrainingError: if Axolotl or lm-eval fails; the same command resumes at this round.
        Any error of `run.generate`.
    """
    settings = prepared.settings
    assert settings.rounds is not None
    if not settings.rounds.trains:
        return []
    key = _key(prepared, training.get("base_model"))
    known = read(settings.folder, key)[: settings.rounds.count - 1]
    for budget in _parts(prepared)[len(known) : -1]:
        # With another `count` or a lower budget, a part may end before the rounds that are over do.
        if known and is_within(budget.model_dump(exclude_none=True), known[-1].budget):
            continue
        number = len(known) + 1
        title = f"round {number} of {settings.rounds.count}"
        spool = generate(budget, phases(known, prepared), title)
        accepted = sum(row["status"] == "accepted" for row in dataset.read_samples(spool))
        # Phases are in order, whatever budget the rounds before were made with.
        place = max(_end(prepared, known, spool), known[-1].candidates if known else 0)
        if known and (place, accepted) == (known[-1].candidates, known[-1].accepted):
            terminal.notice(f"{title}: brought nothing new, so the scores of the round before hold")
            scores = known[-1].scores
        else:
            with terminated_as_interrupted():
                scores = _scores(prepared, training, spool, number, title)
        made = Round(budget.model_dump(exclude_none=True), place, accepted, scores)
        known.append(made)
        write(settings.folder, key, known)
        _tell(title, made, settings.rounds, prepared)
    return known


def are_over(prepared: Prepared, base_model: object) -> bool:
    """Return whether a finished run's rounds were made for this student; True of a run that trains none."""
    settings = prepared.settings
    return settings.rounds is None or not settings.rounds.trains or bool(read(settings.folder, _key(prepared, base_model)))


def phases(rounds: Iterable[Round], prepared: Prepared) -> tuple[Phase, ...]:
    """Return the seeds' weights of each phase and the candidate that it begins at."""
    ids = [seed.id for seed in prepared.seeds.seeds]
    found: list[Phase] = []
    for one in rounds:
        weighted = weights(ids, one.scores)
        # A phase begins with the first seed again, so while all weigh the same there is none.
        if found or len(set(weighted.values())) > 1:
            found.append(Phase(one.candidates, weighted))
    return tuple(found)


def of_manifest(rounds: Sequence[Round], prepared: Prepared, counts: dataset.Counts, samples: Path) -> list[dict[str, Any]]:
    """Return what the manifest says of the rounds; nothing of a run without any."""
    settings = prepared.settings
    if settings.rounds is None:
        return []
    ids = [seed.id for seed in prepared.seeds.seeds]
    # A budget that was lowered may end before a round that an earlier run has made.
    end = _end(prepared, rounds, samples) if rounds else 0
    reached = [one for one in rounds if one.candidates <= end]
    return summary(reached, settings.rounds.by, ids, settings.budget.model_dump(exclude_none=True), counts)


def refuse_untrainable(settings: Settings, training: Mapping[str, Any], has_final_answer: bool) -> None:
    """Refuse rounds whose students cannot be trained or scored, before the first call.

    Raises:
        ConfigError: with the key that is missing.
    """
    if settings.rounds is None or not settings.rounds.trains:
        return
    if not training.get("base_model"):
        raise ConfigError(
            f"synthetic.rounds: by: {settings.rounds.by}: trains the student between the rounds, and the config has no `base_model`; add"
            " Axolotl's own keys to it, or write `by: uniform`"
        )
    if training.get("rl"):
        raise ConfigError(
            f"synthetic.rounds: cannot be combined with `rl: {training['rl']}`: the students of the rounds are trained on questions and"
            " answers; remove one of them"
        )
    if settings.rounds.by == "wrong" and not has_final_answer:
        raise ConfigError(
            f"synthetic.rounds.by: wrong: the answers of the task {settings.task} cannot be told right from wrong; write `by: loss`"
        )


def said(settings: Settings) -> list[str]:
    """Describe the rounds for the plan; return no lines without rounds."""
    if settings.rounds is None:
        return []
    name = next(iter(settings.budget.model_dump(exclude_none=True)))
    ends = [getattr(part, name) for part in parts(settings.budget, settings.rounds)]
    sizes = ", ".join(f"{end - before:,.6g}" for before, end in zip([0, *ends], ends, strict=False))
    what = "every seed gets as much, and no student is trained: the control"
    if settings.rounds.trains:
        times = number_of(settings.rounds.count - 1, "time")
        need = "answers cost it the most" if settings.rounds.by == "loss" else "questions it answers wrongly"
        what = f"the student is trained {times} in between, and the seeds whose {need} get more of the next part"
    return [f"{settings.rounds.count} rounds of {sizes} {name}: {what}"]


def _parts(prepared: Prepared) -> list[Budget]:
    settings = prepared.settings
    assert settings.rounds is not None
    return parts(settings.budget, settings.rounds, only_samples=prepared.shared_ledger is not None)


def _key(prepared: Prepared, base_model: object) -> str:
    """Return what the scores of a round are known by. Another budget or another way to train changes no round that is over."""
    rounds = prepared.settings.rounds
    assert rounds is not None
    decisive = [prepared.fingerprint_of_candidates, rounds.by, float(rounds.growth), str(base_model)]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _is_denied(row: Mapping[str, Any]) -> bool:
    """Say whether the budget ended before a candidate was made."""
    return row["status"] == "failed" and str(row["reason"]).startswith("budget:")


def _end(prepared: Prepared, known: Sequence[Round], samples: Path) -> int:
    """Return the number of the candidate after the last one in a file of samples."""
    last = None
    for row in dataset.read_samples(samples):
        last = last if _is_denied(row) else row["id"]
    if last is None:
        return 0
    planned = schedule(prepared.seeds.seeds, prepared.plan.strategy, None, phases(known, prepared))
    return next(one.candidate.number for one in planned if one.candidate.id == last) + 1


def _scores(prepared: Prepared, training: Mapping[str, Any], spool: Path, number: int, title: str) -> Mapping[str, float]:
    settings, task, seeds = prepared.settings, prepared.task, prepared.seeds.seeds
    assert settings.rounds is not None
    folder = settings.folder / "rounds" / f"round-{number}"
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was killed
    make_folder(folder)
    if not write_questions(settings, task, seeds, dataset.read_samples(spool), folder / SCORING):
        return {}
    file = training_file(folder, spool, settings, task, seeds)
    if not file.rows:
        raise TrainingError(
            f"{title}: no student can be trained: no sample was accepted, and no seed pair joins them; `axolotl synthetic preview` shows"
            " what is rejected"
        )
    terminal.notice(f"{title}: training the student on {number_of(file.rows, 'chat')} ({folder / 'train.log'})")
    axolotls_seed = training.get("seed") or settings.seed
    config = config_for(training, file.path, folder, settings=settings, task=task, seed=axolotls_seed, changes=settings.rounds.train)
    train(config, folder, launcher=settings.rounds.launcher)
    model = grading.student_in(folder / STUDENT, base=str(training["base_model"]), thinking=settings.keeps_thinking)
    with terminal.counted(f"{title}: scoring seeds", "seeds") as on_progress:
        found = score(model, settings.rounds, folder / SCORING, on_progress=on_progress)
    remove(folder)
    return {seed: value for seed, value in found.items() if math.isfinite(value)}


def _tell(title: str, made: Round, rounds: Rounds, prepared: Prepared) -> None:
    if not made.scores:
        return terminal.notice(f"{title}: no seed has an answer to score by, so all go on getting as much")
    mean = sum(made.scores.values()) / len(made.scores)
    shown = f"{mean:.0%}" if rounds.by == "wrong" else f"{mean:.2f}"
    weighted = weights([seed.id for seed in prepared.seeds.seeds], made.scores)
    terminal.notice(
        f"{title}: {shown} {UNITS[rounds.by]}, the mean of {number_of(len(made.scores), 'seed')}; {moved(weighted):.0%} of the next"
        " candidates go to other seeds than if all came as often"
    )
