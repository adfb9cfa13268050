"""Makes the cells: generate a line, train and grade each of its cells, record the results. Resumes at the cell where it stopped.

Each cell's result is a file that is written atomically, so a killed study loses only the cell in progress. The study has one ledger for
all calls to the models.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from axolotl_synthetic import dataset, grading, terminal
from axolotl_synthetic.config import OF_THE_WAY, Settings
from axolotl_synthetic.errors import ConfigError, FolderInUseError, Interrupted, ServiceError, StorageError, SyntheticError
from axolotl_synthetic.files import make_folder, write_text
from axolotl_synthetic.ledger import Ledger
from axolotl_synthetic.processes import terminated_as_interrupted
from axolotl_synthetic.seeds import SeedSet, read_seeds
from axolotl_synthetic.study.design import Cell, Line, cells, first_accepted, lines, settings_of
from axolotl_synthetic.study.settings import Study
from axolotl_synthetic.tasks import Task, load_task
from axolotl_synthetic.training import STUDENT, config_for, remove, train, training_file
from axolotl_synthetic.wording import number_of

LEDGER = "ledger.sqlite"
DESIGN = "design.json"
RESULT = "result.json"
LM_EVAL = "lm_eval"
# Parts of the block that change no cell's result.
IRRELEVANT: dict[str, Any] = {
    **dict.fromkeys(("strategy", "budget", "rounds", "output_dir", "engine", "study", "review"), True),
    **dict.fromkeys(("teacher", "augmenter", "student"), OF_THE_WAY),
    "seeds": {"may_fail", "limit"},
    "grade": {"after_train"},
}
ELSEWHERE = ("synthetic", "output_dir", "dataset_prepared_path", "plugins")
Generate = Callable[..., object]


@dataclass(frozen=True)
class CellResult:
    """Result of a cell. Numbers are None if it failed.

    Attributes:
        status, reason: `done`, or `failed` and why.
        accuracy, stderr: of the graded questions, shares; the error is lm-eval's, for this one cell.
        metric, questions: lm-eval's metric, and the number of questions.
        each: each question's score, by its number; empty if unknown.
        candidates: number needed for the samples.
        calls, tokens, usd: for those candidates alone, as a separate run of this cell would have paid; `usd` None without a price.
        rows: of the training file, seed pairs included.
        train_seconds, grade_seconds: durations.
    """

    strategy: str
    seeds: int
    samples: int
    repeat: int
    status: str
    reason: str | None = None
    accuracy: float | None = None
    stderr: float | None = None
    metric: str | None = None
    questions: int | None = None
    candidates: int | None = None
    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    rows: int | None = None
    train_seconds: float | None = None
    grade_seconds: float | None = None
    each: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Swept:
    """All results, and the untrained student's score in each repeat."""

    results: tuple[CellResult, ...]
    untrained: Mapping[int, grading.Score]


@dataclass
class Sweep:
    """One study in progress.

    Attributes:
        study: the study's settings.
        settings, training: the config's block, and the whole config.
        generate: makes the samples of a block (`run.generate`).
    """

    study: Study
    settings: Settings
    training: Mapping[str, Any]
    generate: Generate

    def __post_init__(self) -> None:
        self.task: Task = load_task(self.settings.task, self.settings.prompts, self.settings.language)
        self.cells = [cell for line in lines(self.study) for cell in cells(self.study, line)]
        self._seconds: list[float] = []

    def folder(self, cell: Cell) -> Path:
        return _folder(self.study, cell)

    def result(self, cell: Cell) -> CellResult | None:
        """Return the result of a cell; None if it was not made."""
        return result_of(self.study, cell)

    def done(self, cell: Cell) -> bool:
        """Return whether a cell is done; the next study in this folder tries a failed one again."""
        found = self.result(cell)
        return found is not None and found.status == "done"

    def claim(self) -> None:
        """Record which study the folder belongs to, once.

        Raises:
            ConfigError: if it holds a study of another config, or one with another arm of the same name.
        """
        relevant = self.settings.model_dump(mode="json", exclude=IRRELEVANT)
        trained = {name: value for name, value in self.training.items() if name not in ELSEWHERE}
        seeds = seeds_of(self.settings, self.task, None)
        text = json.dumps([relevant, trained, seeds.sha256], sort_keys=True, default=str)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        path, arms = self.study.folder / DESIGN, {name: arm.model_dump(mode="json") for name, arm in self.study.arms.items()}
        if path.exists():
            try:
                document = json.loads(path.read_text(encoding="utf-8"))
                known, before = document["config"], document.get("study", {}).get("arms", {})
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise StorageError(f"{path}: is damaged ({error}); delete it if the study there is of this config") from error
            if known != fingerprint:
                raise ConfigError(
                    f"study.output_dir: {self.study.folder} holds a study of another {self.study.config} or of other seeds; choose"
                    " another output_dir, or delete that folder to begin anew"
                )
            if name := next((name for name in arms if before.get(name, arms[name]) != arms[name]), None):
                raise ConfigError(
                    f"study.arms.{name}: {self.study.folder} holds cells of an arm of that name that was another one; give this one another"
                    " name"
                )
            arms = {**before, **arms}
        content = {"format": 1, "config": fingerprint, "study": {**self.study.model_dump(mode="json"), "arms": arms}}
        write_text(path, json.dumps(content, indent=2) + "\n")

    def run(self) -> Swept:
        """Make the missing cells.

        Raises:
            ServiceError: if the teacher cannot be used: all cells would fail, so the study ends and can be resumed.
            Interrupted: if the user asked to stop.
            StorageError: if the disk is full.
        """
        untrained: dict[int, grading.Score] = {}
        with terminated_as_interrupted():
            for line in lines(self.study):
                missing = [cell for cell in cells(self.study, line) if not self.done(cell)]
                if missing:
                    self._make(line, missing)
                if line.repeat not in untrained and (score := self._untrained(line)) is not None:
                    untrained[line.repeat] = score
        found = [result for cell in self.cells if (result := self.result(cell)) is not None]
        return Swept(tuple(found), untrained)

    def _make(self, line: Line, missing: Sequence[Cell]) -> None:
        settings = settings_of(self.study, line, self.settings)
        try:
            self.generate(settings, ledger=self.study.folder / LEDGER, training=self._training_of(settings))
        except (ServiceError, Interrupted, FolderInUseError, StorageError):
            raise
        except SyntheticError as error:
            for cell in missing:
                self._note(cell, _failed(cell, str(error)))
            return
        for cell in missing:
            began = time.monotonic()
            try:
                self._note(cell, self._one(cell, settings))
                self._seconds.append(time.monotonic() - began)
            except (Interrupted, StorageError):
                raise
            except SyntheticError as error:
                self._note(cell, _failed(cell, str(error)))

    def _training_of(self, settings: Settings) -> Mapping[str, Any]:
        """Return the config for a line's folder. A user's entry for the training file moves there, or rounds would train on both files."""
        entries = [
            {**one, "path": str(settings.folder / "train.jsonl")} if dataset.is_axolotl_entry(one, self.settings.folder) else one
            for one in self.training.get("datasets") or []
        ]
        return {**self.training, "datasets": entries} if entries else self.training

    def _one(self, cell: Cell, settings: Settings) -> CellResult:
        folder = self.folder(cell)
        shutil.rmtree(folder, ignore_errors=True)  # left by an attempt that was killed
        make_folder(folder)
        all_samples = settings.folder / dataset.SAMPLES
        rows = first_accepted(dataset.read_samples(all_samples), cell.samples)
        if rows is None:
            counts = dataset.count(all_samples)
            worst = f", most of the others rejected by {next(iter(counts.rejections))}" if counts.rejections else ""
            return _failed(cell, f"only {number_of(counts.accepted, 'sample')} of {counts.planned} candidates were accepted{worst}")
        write_text(folder / dataset.SAMPLES, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        seeds = seeds_of(settings, self.task, cell.line).seeds
        made = training_file(folder, folder / dataset.SAMPLES, settings, self.task, seeds)
        axolotls_seed = (self.training.get("seed") or self.settings.seed) + cell.line.repeat
        config = config_for(self.training, made.path, folder, settings=self.settings, task=self.task, seed=axolotls_seed)
        began = time.monotonic()
        train(config, folder, launcher=self.study.launcher)
        trained = time.monotonic()
        model = grading.student_in(folder / STUDENT, base=str(self.training["base_model"]), thinking=settings.keeps_thinking)
        score = self._graded(model, settings, folder / "lm_eval.log", f"grading cell {cell.name}")
        graded = time.monotonic()
        remove(folder, student=not self.study.keep_students)
        calls, tokens, usd = self._paid(rows)
        return CellResult(
            **_of(cell),
            status="done",
            accuracy=score.value,
            stderr=score.stderr,
            metric=score.metric,
            questions=score.questions,
            each=score.each,
            candidates=len(rows),
            calls=calls,
            tokens=tokens,
            usd=usd,
            rows=made.rows,
            train_seconds=round(trained - began, 1),
            grade_seconds=round(graded - trained, 1),
        )

    def _graded(self, model: grading.ModelArgs, settings: Settings, log: Path, title: str) -> grading.Score:
        held_out = settings.folder / LM_EVAL
        # The metric of chats is not a share of right answers, which curves need.
        has_held_out = self.task.has_final_answer and (held_out / f"{grading.HELD_OUT_TASK}.yaml").exists()
        tasks = [*([grading.HELD_OUT_TASK] if has_held_out else []), *settings.grade.tasks]
        with terminal.counted(title, "questions") as on_progress:
            include = held_out if has_held_out else None
            scores = grading.evaluate(
                model=model,
                tasks=tasks[:1],
                include_path=include,
                limit=settings.grade.limit,
                log=log,
                on_progress=on_progress,
                system=settings.system_message,
            )
        return next(iter(scores.values()))

    def _untrained(self, line: Line) -> grading.Score | None:
        """Return the untrained student's score on what this repeat holds out.

        None if no line of the repeat was generated yet, or the student cannot be graded.
        """
        path = self.study.folder / "untrained" / f"repeat-{line.repeat + 1}.json"
        if path.exists():
            return grading.Score(**json.loads(path.read_text(encoding="utf-8")))
        settings = settings_of(self.study, line, self.settings)
        if not (settings.folder / dataset.MANIFEST).exists():
            return None
        make_folder(path.parent)
        try:
            model = grading.ModelArgs(str(self.training["base_model"]), thinking=settings.keeps_thinking)
            score = self._graded(model, settings, path.with_suffix(".log"), "grading the untrained student")
        except (Interrupted, StorageError):
            raise
        except SyntheticError as error:
            terminal.notice(f"the untrained student was not graded: {error}")
            return None
        write_text(path, json.dumps(asdict(score)) + "\n")
        return score

    def _paid(self, rows: Sequence[Mapping[str, Any]]) -> tuple[int, int, float | None]:
        """Return calls, tokens and dollars of these candidates."""
        with Ledger(self.study.folder / LEDGER, read_only=True) as ledger:
            paid = ledger.paid(sorted({call for row in rows for call in row["requests"]}))
        tokens, usd = 0, 0.0
        priced = True
        for role, prompt, completion, _, cached, written in paid.values():
            tokens += (prompt or 0) + (completion or 0)
            price = self.settings.model_for(role).charged
            priced = priced and price is not None
            if price is not None:
                usd += price.usd(prompt or 0, completion or 0, cached or 0, written or 0)
        return len(paid), tokens, usd if priced else None

    def _note(self, cell: Cell, result: CellResult) -> None:
        folder = self.folder(cell)
        make_folder(folder)
        write_text(folder / RESULT, json.dumps(asdict(result), indent=2) + "\n")
        number, left = self.cells.index(cell) + 1, sum(not self.done(other) for other in self.cells)
        said = f"{result.accuracy:.1%} right" if result.accuracy is not None else f"failed: {result.reason}"
        time_left = ""
        if self._seconds and left:
            mean = sum(self._seconds) / len(self._seconds)
            time_left = f" ({terminal.duration(mean * left)} left, and what generating takes)"
        terminal.notice(f"cell {number} of {len(self.cells)}, {cell.name}: {said}{time_left}")


def result_of(study: Study, cell: Cell) -> CellResult | None:
    """Return the result of a cell; None if it was not made.

    Raises:
        StorageError: if its result cannot be read.
    """
    path = _folder(study, cell) / RESULT
    try:
        return CellResult(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise StorageError(f"{path}: is damaged ({error}); delete it: the cell is then made anew") from error


def _folder(study: Study, cell: Cell) -> Path:
    return study.folder / "cells" / cell.name


def _of(cell: Cell) -> dict[str, Any]:
    return {"strategy": cell.line.arm, "seeds": cell.line.seeds, "samples": cell.samples, "repeat": cell.line.repeat + 1}


def _failed(cell: Cell, reason: str) -> CellResult:
    return CellResult(**_of(cell), status="failed", reason=reason)


def seeds_of(settings: Settings, task: Task, line: Line | None) -> SeedSet:
    """Read the seeds of a line's settings; without a line, all seeds.

    Raises:
        SeedsError: if they cannot be read.
    """
    seeds = settings.seeds if line is not None else settings.seeds.model_copy(update={"limit": None})
    return read_seeds(
        seeds,
        required=task.required,
        optional=task.optional,
        problem=task.problem,
        seed=settings.seed,
        reads_numbers=getattr(task, "reads_numbers", False),
        labels=settings.labels,
    )
