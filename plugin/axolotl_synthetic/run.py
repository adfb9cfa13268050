"""The one file that knows the order of the stages: seeds → plan → generate → verify → write → grade.

Each function here is one of the user's commands. The stages do the work and know nothing of one another.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from axolotl_synthetic import dataset, terminal
from axolotl_synthetic.checks import load_checks
from axolotl_synthetic.config import Budget, Settings
from axolotl_synthetic.errors import ConfigError, FolderInUseError, StorageError
from axolotl_synthetic.ledger import Ledger, Progress
from axolotl_synthetic.plan import Plan, decide
from axolotl_synthetic.records import Role, Seed
from axolotl_synthetic.seeds import SeedSet, read_seeds
from axolotl_synthetic.strategies import load_strategies
from axolotl_synthetic.tasks import Task, load_task
from axolotl_synthetic.teachers import ModelSettings, model_name, serve

if TYPE_CHECKING:
    from axolotl_synthetic.grading import Grade

LEDGER = "ledger.sqlite"
LOCK = ".lock"
SPOOL = "samples.jsonl.tmp"
LOG = "run.log"
LM_EVAL = "lm_eval"
GRADE = "grade.json"
# Sequences in one batch of lm-eval: few enough for a GPU of 24 GB and a student of 7B, enough to keep two CPU cores busy, and
# not so many that the progress stands still for a minute.
GRADED_AT_ONCE = 20
# What changes nothing about the training file, so that a finished run stays finished when it is changed.
IRRELEVANT: dict[str, Any] = {
    **dict.fromkeys(("grade", "output_dir", "engine", "study", "review"), True),
    **{role: {"concurrency", "timeout", "retries", "price", "api_key_env", "base_url"} for role in ("teacher", "augmenter")},
}


@dataclass(frozen=True)
class Prepared:
    """A config with its seeds read, its task and checks found, and its strategy decided."""

    settings: Settings
    task: Task
    seeds: SeedSet
    plan: Plan

    @property
    def fingerprint(self) -> str:
        """Of everything that decides the training file."""
        relevant = self.settings.model_dump(mode="json", exclude=IRRELEVANT)
        text = json.dumps([dataset.FORMAT, relevant, self.seeds.sha256, dict(self.plan.strategy)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """A finished run: its manifest, how its candidates ended, and whether anything had to be done for it."""

    manifest: Mapping[str, Any]
    counts: dataset.Counts
    folder: Path
    was_finished: bool = False


def prepare(settings: Settings) -> Prepared:
    """Everything that can be found wrong before the first call.

    Raises:
        ConfigError: if the task, a check or the seeds are wrong.
    """
    task = load_task(settings.task)
    load_checks(settings.verify, task, {name: strategy.keeps_answer for name, strategy in load_strategies().items()})
    seeds = read_seeds(settings.seeds, required=task.required, optional=task.optional, problem=task.problem, seed=settings.seed)
    return Prepared(settings, task, seeds, decide(settings, len(seeds.seeds)))


def training_file(settings: Settings) -> Path | None:
    """The finished training file of these settings and seeds, None when a run is needed.

    Raises:
        ConfigError: if the folder was made with other seeds or another task.
    """
    prepared = prepare(settings)
    manifest = _finished(prepared)
    return None if manifest is None else settings.folder / manifest["files"]["train"]["path"]


def generate(settings: Settings) -> Outcome:
    """The run, from seeds to manifest; started again, it goes on where it stopped.

    Raises:
        ConfigError: if the config or the seeds are wrong, or the folder was made for others.
        ServiceError: if the teacher cannot be used.
        FolderInUseError: if another run holds the folder.
        Interrupted: if the user asked to stop.
    """
    began = time.monotonic()
    prepared = prepare(settings)
    folder = settings.folder
    with _held(folder):
        _tell_problems(prepared)
        if (manifest := _finished(prepared)) is not None:
            return Outcome(manifest, dataset.count(folder / dataset.SAMPLES), folder, was_finished=True)
        with _told(folder):
            (folder / dataset.MANIFEST).unlink(missing_ok=True)
        with Ledger(folder / LEDGER) as ledger:
            _claim(ledger, prepared)
        _run_pipeline(prepared)
        samples = dataset.write_samples(folder, folder / SPOOL)
        with Ledger(folder / LEDGER) as ledger:
            return _write(prepared, ledger, samples, time.monotonic() - began)


def preview(settings: Settings, number: int) -> list[dict[str, Any]]:
    """A few samples with their verdicts. Their calls are kept in the ledger, so a later run does not pay for them again.

    Raises:
        The same as `generate`.
    """
    prepared = prepare(settings)
    with _held(settings.folder):
        _tell_problems(prepared)
        with Ledger(settings.folder / LEDGER) as ledger:
            _claim(ledger, prepared)
        spool = settings.folder / "preview.jsonl.tmp"
        try:
            _run_pipeline(prepared, spool=spool, most_candidates=number)
            return list(dataset.read_samples(spool))
        finally:
            spool.unlink(missing_ok=True)


@dataclass(frozen=True)
class Status:
    """Where a run stands. `progress` is of the run under way or, where there is none, of the last; `failures` are calls that
    failed, by reason."""

    folder: Path
    running: bool
    manifest: Mapping[str, Any] | None
    progress: Progress
    queries: Mapping[str, int]
    tokens: int
    usd: float | None
    failures: Mapping[str, int]


def status(settings: Settings) -> Status:
    """Read the folder and change nothing.

    Raises:
        ConfigError: if no run was ever started there.
    """
    folder = settings.folder
    if not (folder / LEDGER).exists():
        raise ConfigError(f"{folder}: no run was started there; `axolotl synthetic generate CONFIG` starts one")
    with Ledger(folder / LEDGER, read_only=True) as ledger:
        totals = ledger.totals()
        tokens = totals.prompt_tokens + totals.completion_tokens
        return Status(
            folder=folder,
            running=_is_held(folder),
            manifest=dataset.read_manifest(folder),
            progress=ledger.progress(),
            queries=totals.queries,
            tokens=tokens,
            usd=totals.usd,
            failures=ledger.failures(),
        )


def counts(folder: Path) -> dataset.Counts:
    """How the candidates of a finished run ended."""
    return dataset.count(folder / dataset.SAMPLES)


def read_grade(folder: Path) -> Grade | None:
    """What `grade` wrote there, None when the student was not graded."""
    from axolotl_synthetic import grading

    try:
        return grading.read_grade((folder / GRADE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def grade(settings: Settings, training: Mapping[str, Any]) -> Grade:
    """lm-eval on the base model and the student; writes `grade.json`.

    Args:
        settings: the block.
        training: Axolotl's own part of the config: `base_model` and `output_dir`.

    Returns:
        The `grading.Grade`.

    Raises:
        ConfigError: if there is nothing to grade, no student, or an unknown task.
        TrainingError: if lm-eval fails.
    """
    from axolotl_synthetic import grading

    for key in ("base_model", "output_dir"):
        if not training.get(key):
            raise ConfigError(f"{key}: is missing from the config; grading needs Axolotl's `base_model` and `output_dir`")
    folder = settings.folder
    base = grading.ModelArgs(str(training["base_model"]))
    student = grading.student_in(Path(str(training["output_dir"])), base=base.base)
    held_out = folder / LM_EVAL
    has_held_out = (held_out / f"{grading.HELD_OUT_TASK}.yaml").exists()
    tasks = [*([grading.HELD_OUT_TASK] if has_held_out else []), *settings.grade.tasks]
    if not tasks:
        raise ConfigError(
            "synthetic.grade: there is nothing to grade: set `seeds.holdout` (to keep some seeds for it) before generating, or name"
            " lm-eval tasks in `grade.tasks`"
        )
    include = held_out if has_held_out else None
    if settings.grade.tasks:
        terminal.notice("looking up the tasks in lm-eval's index (some 15 s)")
    grading.refuse_unknown_tasks(settings.grade.tasks, log=folder / "lm_eval.log", include_path=include)
    scores = []
    for title, model in (("grading the base model", base), ("grading the student", student)):
        with terminal.counted(title, "questions") as on_progress:
            scores.append(
                grading.evaluate(
                    model=model,
                    tasks=tasks,
                    include_path=include,
                    limit=settings.grade.limit,
                    log=folder / "lm_eval.log",
                    batch_size=GRADED_AT_ONCE,
                    on_progress=on_progress,
                    databases=settings.seeds.databases,
                )
            )
    made = grading.compare(base=base.name, student=student.name, base_scores=scores[0], student_scores=scores[1])
    dataset.write_text(folder / GRADE, json.dumps(made.to_dict(), indent=2) + "\n")
    return made


def _run_pipeline(prepared: Prepared, *, spool: Path | None = None, most_candidates: int | None = None) -> None:
    # distilabel is slow to import and takes over logging: only when it is needed.
    from axolotl_synthetic.pipelines.job import Job
    from axolotl_synthetic.pipelines.pipeline import run_pipeline

    settings, folder = prepared.settings, prepared.settings.folder
    with ExitStack() as stack:
        teacher = stack.enter_context(serve(settings.teacher))
        augmenter = teacher
        if settings.augmenter is not None:
            augmenter = stack.enter_context(serve(settings.augmenter))
        models: dict[Role, ModelSettings] = {"teacher": teacher, "augmenter": augmenter}
        job = Job(
            settings=settings,
            models=models,
            seeds=prepared.seeds.seeds,
            shares=prepared.plan.strategy,
            ledger=folder / LEDGER,
            spool=spool or folder / SPOOL,
            most_candidates=most_candidates,
        )
        ledger = stack.enter_context(Ledger(folder / LEDGER))
        ledger.begin_run()
        stack.enter_context(terminal.watched("generating", lambda: _stand(folder, settings.budget)))
        run_pipeline(job, folder / LOG)


def _stand(folder: Path, budget: Budget) -> terminal.Stand:
    with Ledger(folder / LEDGER, read_only=True) as ledger:
        progress = ledger.progress()
        queries, _, _ = ledger.spent()
    # What waits for an earlier candidate is as good as accepted, and the bar shall not stand still for it.
    accepted = progress.accepted + progress.waiting
    verdicts = f"{progress.rejected:,} rejected · {progress.failed:,} failed"
    if budget.samples is not None and (budget.queries is None or queries < budget.queries / 2):
        return terminal.Stand(accepted, budget.samples, "samples", f"{verdicts} · {queries:,} calls")
    return terminal.Stand(queries, budget.queries or 0, "calls", f"{accepted:,} accepted · {verdicts}")


def _write(prepared: Prepared, ledger: Ledger, samples: Path, seconds: float) -> Outcome:
    """The training file, the lm-eval task, the card, and last the manifest."""
    from axolotl_synthetic import grading

    settings, folder, task = prepared.settings, prepared.settings.folder, prepared.task
    counts = dataset.count(samples)
    seeds = prepared.seeds.seeds if settings.include_seeds else ()

    def prompt(seed: Seed) -> str:
        return task.prompt(seed.question)

    training = dataset.write_training_file(folder, samples, seeds, prompt, task.solution)
    grading.export_task(
        folder / LM_EVAL, task=task, held_out=prepared.seeds.held_out, max_gen_toks=settings.teacher.generation.max_new_tokens
    )
    progress = ledger.progress()
    totals = ledger.totals()
    manifest = dataset.manifest(
        status="complete" if progress.ended_by == "samples" else "budget_exhausted",
        strategy=prepared.plan.strategy,
        budget_ratio=prepared.plan.budget_ratio,
        seeds={"count": len(prepared.seeds.seeds), "held_out": len(prepared.seeds.held_out), "sha256": prepared.seeds.sha256},
        counts=counts,
        totals=totals,
        reused=progress.reused,
        seconds=seconds,
        samples=samples,
        training=training,
    )
    teacher, augmenter = (model_name(settings.model_for(role)) for role in ("teacher", "augmenter"))
    dataset.write_card(folder, manifest, task=settings.task, teacher=teacher, augmenter=augmenter, counts=counts)
    ledger.set_meta(finished=prepared.fingerprint)
    dataset.write_text(folder / dataset.MANIFEST, json.dumps(manifest, indent=2) + "\n")
    return Outcome(manifest, counts, folder)


def _finished(prepared: Prepared) -> Mapping[str, Any] | None:
    """The manifest, if it is of these settings and seeds and its training file is there."""
    folder = prepared.settings.folder
    manifest = dataset.read_manifest(folder)
    if not (folder / LEDGER).exists():
        return None
    with Ledger(folder / LEDGER) as ledger:
        _refuse_another(ledger, prepared)
        same = ledger.meta("finished") == prepared.fingerprint
    if manifest is None or not same or not (folder / manifest["files"]["train"]["path"]).exists():
        return None
    return manifest


def _claim(ledger: Ledger, prepared: Prepared) -> None:
    """Note what the folder is for, once."""
    _refuse_another(ledger, prepared)
    if ledger.meta("task") is None:
        seeds = json.dumps(sorted(seed.id for seed in prepared.seeds.seeds))
        ledger.set_meta(task=prepared.settings.task, seeds=seeds)


def _refuse_another(ledger: Ledger, prepared: Prepared) -> None:
    folder, task = prepared.settings.folder, prepared.settings.task
    remedy = "choose another output_dir, or delete that folder to begin anew"
    if (made_for := ledger.meta("task")) is not None and made_for != task:
        raise ConfigError(f"synthetic.task: {folder} was made for the task {made_for}, and this config says {task}; {remedy}")
    if (known := ledger.meta("seeds")) is not None:
        before, now = set(json.loads(known)), {seed.id for seed in prepared.seeds.seeds}
        if before != now:
            raise ConfigError(
                f"synthetic.seeds: {folder} was made with other seeds: {len(before & now)} are the same, {len(now - before)} are new,"
                f" {len(before - now)} are gone; {remedy}"
            )


def _tell_problems(prepared: Prepared) -> None:
    problems = prepared.seeds.problems
    for problem in problems[:10]:
        terminal.notice(f"seeds: {problem}")
    if len(problems) > 10:
        terminal.notice(f"seeds: … and {len(problems) - 10} more")
    without = sum(seed.answer is None for seed in prepared.seeds.seeds)
    if without and prepared.task.has_final_answer:
        terminal.notice(f"seeds: {without} of {len(prepared.seeds.seeds)} have no answer: the check final_answer is off for them")


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the folder against other runs. The lock is this process's own: children do not keep it when a run is killed."""
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK, "a")
    with file:
        try:
            _lock(file)
        except OSError as error:
            raise FolderInUseError(f"{folder}: another run is at work there; wait for it, stop it, or choose another output_dir") from error
        yield


def _lock(file: IO[str]) -> None:
    """Take the lock, or raise OSError. Tried for a moment: `status` looks whether it is free by taking it."""
    for _ in range(3):
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            time.sleep(0.1)
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_held(folder: Path) -> bool:
    try:
        with _held(folder):
            return False
    except FolderInUseError:
        return True


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}; make it writable, or choose another output_dir") from error
