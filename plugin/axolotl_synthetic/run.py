"""The one file that knows the order of the stages: seeds → plan → generate → verify → review → write → grade.

Each function here is one of the user's commands. The stages do the work and know nothing of one another.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axolotl_synthetic import dataset, terminal
from axolotl_synthetic.checks import Check, extra_calls, files_read, load_checks, load_inquiries
from axolotl_synthetic.checks.gold import failing_seeds
from axolotl_synthetic.config import Budget, Settings
from axolotl_synthetic.errors import ConfigError, ServiceError, StorageError, SyntheticError
from axolotl_synthetic.ledger import Ledger, Progress, worst_prompt_tokens
from axolotl_synthetic.lock import held as _held
from axolotl_synthetic.lock import is_held as _is_held
from axolotl_synthetic.plan import Case, Forecast, Plan, costs, decide, estimates
from axolotl_synthetic.plan.measured import Measured, read_measured
from axolotl_synthetic.records import STRATEGIES, Purpose, Role, Seed
from axolotl_synthetic.seeds import SeedSet, read_seeds
from axolotl_synthetic.strategies import load_strategies
from axolotl_synthetic.strategies.lengths import lengths
from axolotl_synthetic.tasks import Task, load_task
from axolotl_synthetic.teachers import ModelSettings, model_name, serve

if TYPE_CHECKING:
    from axolotl_synthetic.grading import Grade
    from axolotl_synthetic.review import applying, exchange
    from axolotl_synthetic.review import serve as serving
    from axolotl_synthetic.review.work import Work

LEDGER = "ledger.sqlite"
SPOOL = "samples.jsonl.tmp"
REVIEWED = "samples-reviewed.jsonl.tmp"
LOG = "run.log"
LM_EVAL = "lm_eval"
GRADE = "grade.json"
# Sequences in one batch of lm-eval: enough to keep two CPU cores busy, and not so many that the progress stands still for a minute.
# On a GPU `grading/child.py` takes fewer.
GRADED_AT_ONCE = 20
# What changes nothing about the candidates, so that a finished run stays finished when it is changed. What people decide in review
# is taken in without another run: see `_has_decisions`.
IRRELEVANT: dict[str, Any] = {
    **dict.fromkeys(("grade", "output_dir", "engine", "study", "review"), True),
    **{role: {"concurrency", "timeout", "retries", "price", "api_key_env", "base_url"} for role in ("teacher", "augmenter")},
    "seeds": {"may_fail"},
}
# More would fill a terminal.
PROBLEMS_SHOWN = 10


@dataclass(frozen=True)
class Prepared:
    """A config with its seeds read, its task and checks found, and its strategy decided.

    Attributes:
        case, lengths, rates: what the plan was made from.
        study: a finished one that `auto` goes by.
        shared_ledger: one that other folders use as well; None for the folder's own.
    """

    settings: Settings
    task: Task
    seeds: SeedSet
    plan: Plan
    case: Case
    lengths: Mapping[Purpose, costs.Length]
    rates: Mapping[str, costs.Rates]
    checks: tuple[Check, ...]
    study: Measured | None = None
    shared_ledger: Path | None = None

    @property
    def ledger(self) -> Path:
        return self.shared_ledger or self.settings.folder / LEDGER

    def meta(self, key: str) -> str:
        """What the ledger knows of this folder by; a shared one knows of several."""
        return key if self.shared_ledger is None else f"{key} of {self.settings.folder.name}"

    @property
    def fingerprint(self) -> str:
        """Of everything that decides the training file."""
        relevant = self.settings.model_dump(mode="json", exclude=IRRELEVANT)
        # Rows that change may change a verdict.
        databases = sorted({Path(seed.question.database_file) for seed in self.seeds.seeds if seed.question.database_file is not None})
        files = [dataset.sha256(path) for path in (*files_read(self.settings.verify, self.task), *databases)]
        text = json.dumps([dataset.FORMAT, relevant, self.seeds.sha256, dict(self.plan.strategy), files], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def most_samples(self) -> int | None:
        """As many as the checks can accept, None when they set no limit."""
        caps = [check.options.per_seed for check in self.checks if check.name == "diversity"]
        return caps[0] * len(self.seeds.seeds) if caps else None


@dataclass(frozen=True)
class Outcome:
    """A finished run: its manifest, how its candidates ended, and whether anything had to be done for it."""

    manifest: Mapping[str, Any]
    counts: dataset.Counts
    folder: Path
    was_finished: bool = False


def prepare(settings: Settings, *, student: str | None = None) -> Prepared:
    """Everything that can be found wrong before the first call.

    Args:
        settings: the block.
        student: Axolotl's `base_model`, for the plan's words.

    Raises:
        ConfigError: if the task, a check or the seeds are wrong.
    """
    task = load_task(settings.task)
    inquiries = load_inquiries(settings.verify, task)
    seeds = read_seeds(settings.seeds, required=task.required, optional=task.optional, problem=task.problem, seed=settings.seed)
    checks = _checks(settings, task, seeds)
    answered = sum(seed.answer is not None for seed in seeds.seeds) / len(seeds.seeds)
    case = Case(
        seeds=len(seeds.seeds),
        teacher=model_name(settings.teacher),
        augmenter=model_name(settings.model_for("augmenter")),
        student=student,
        checkable=task.has_final_answer,
        answered=answered,
    )
    # How often each seed will be used is not known before the strategy is decided; this many times if nothing is rejected.
    rounds = max(1, round((settings.budget.samples or settings.budget.queries or 0) / len(seeds.seeds)))
    extra = {name: extra_calls(inquiries, name, rounds) for name in STRATEGIES} if inquiries else {}
    found = lengths(settings, task, seeds.seeds, worst_prompt_tokens)
    rates = costs.assume(settings, found, costs.calls_per_sample(settings, answered, extra))
    study = None if settings.study is None else read_measured(Path(settings.study), task=settings.task)
    prepared = Prepared(settings, task, seeds, decide(settings, case, rates, study), case, found, rates, checks, study)
    most, samples = prepared.most_samples, settings.budget.samples
    if most is not None and samples is not None and most < samples:
        raise ConfigError(
            f"synthetic.budget.samples: {samples} samples cannot be had where verify.diversity.per_seed allows {len(seeds.seeds)} seeds"
            f" {most} together; lower budget.samples, raise per_seed, or give more seeds"
        )
    return prepared


def training_file(settings: Settings) -> Path | None:
    """The finished training file of these settings and seeds, None when a run is needed.

    Raises:
        ConfigError: if the folder was made with other seeds or another task.
    """
    prepared = prepare(settings)
    manifest = _finished(prepared)
    if manifest is None or not _has_decisions(prepared):
        return None
    return settings.folder / str(manifest["files"]["train"]["path"])


def plan(settings: Settings, *, student: str | None = None, pilot: int | None = None) -> Forecast:
    """The decision and what it will cost; asks nobody, unless for a pilot.

    Args:
        settings: the block.
        student: Axolotl's `base_model`.
        pilot: measure the costs on so many candidates of each strategy. They are those that a run makes first, and their calls
            are kept, so that it does not pay for them again.

    Raises:
        ConfigError: if the config or the seeds are wrong, or no strategy can meet the budget.
        The same as `generate`, with a pilot.
    """
    prepared = prepare(settings, student=student)
    rates, by_pilot = prepared.rates, None
    if pilot is not None:
        # Calls are counted and no guess, so this much is certain before anything is spent.
        estimates.refuse_too_small(settings.budget, {name: costs.certain(one) for name, one in rates.items()})
        rates = _pilot(prepared, pilot)
        by_pilot = decide(settings, prepared.case, rates, prepared.study)
    estimates.refuse_too_small(settings.budget, rates)
    each, chosen = estimates.of_each(settings, rates, prepared.plan.strategy)
    return Forecast(prepared.case, prepared.plan, each, chosen, costs.assumptions(settings, prepared.lengths), pilot, by_pilot)


def generate(settings: Settings, *, ledger: Path | None = None) -> Outcome:
    """The run, from seeds to manifest; started again, it goes on where it stopped.

    Args:
        settings: the block.
        ledger: a ledger that other folders use as well, as those of a study do: what one of them paid for, the others find there,
            and the budget's limits on calls, tokens and dollars hold for all of them together. None: the folder's own.

    Raises:
        ConfigError: if the config or the seeds are wrong, or the folder was made for others.
        ServiceError: if the teacher cannot be used.
        FolderInUseError: if another run holds the folder.
        Interrupted: if the user asked to stop.
    """
    began = time.monotonic()
    prepared = replace(prepare(settings), shared_ledger=ledger)
    folder = settings.folder
    with _held(folder):
        _tell_problems(prepared)
        if (manifest := _finished(prepared)) is not None:
            if not _has_decisions(prepared):
                manifest, _ = _decide(prepared, manifest)
            return Outcome(manifest, dataset.count(folder / dataset.SAMPLES), folder, was_finished=True)
        _verify_seeds(prepared)
        with _told(folder):
            (folder / dataset.MANIFEST).unlink(missing_ok=True)
        with Ledger(prepared.ledger) as opened:
            _claim(opened, prepared)
        _run_pipeline(prepared)
        state = _review_state(settings)
        samples, _ = _take_samples(prepared, folder / SPOOL)
        with Ledger(prepared.ledger) as opened:
            outcome = _write(prepared, opened, samples, time.monotonic() - began)
            opened.set_meta(**{prepared.meta("reviewed"): state})
        return outcome


def preview(settings: Settings, number: int) -> list[dict[str, Any]]:
    """A few samples with their verdicts. Their calls are kept in the ledger, so a later run does not pay for them again.

    Raises:
        The same as `generate`.
    """
    return _short_run(prepare(settings), number)


def _pilot(prepared: Prepared, number: int) -> Mapping[str, costs.Rates]:
    """Each strategy's costs by a short run of them all, which keeps to the budget but for `samples`: it makes none that count."""
    from axolotl_synthetic.plan import pilot

    settings = prepared.settings
    calls = number * sum(one.queries.value for one in prepared.rates.values())
    terminal.notice(f"pilot: {number} candidates of each strategy, up to {calls:,.0f} calls; a run finds them in the ledger")
    hard = settings.model_copy(update={"budget": settings.budget.model_copy(update={"samples": None})})
    # A strategy's own sequence does not depend on the shares: these are the candidates that a run makes first.
    equal = replace(prepared.plan, strategy=dict.fromkeys(STRATEGIES, 1 / len(STRATEGIES)))
    rows = _short_run(replace(prepared, settings=hard, plan=equal), number * len(STRATEGIES))
    with Ledger(settings.folder / LEDGER, read_only=True) as ledger:
        paid = ledger.paid([call for row in rows for call in row["requests"]])
    if rows and not paid:
        last = next((row["reason"] for row in reversed(rows) if row["status"] == "failed"), "")
        raise ServiceError(f"the pilot's {len(rows)} candidates all failed, the last with `{last}`; see that the teacher works")
    return pilot.measure(settings, prepared.rates, rows, {number: pilot.Paid(*one) for number, one in paid.items()})


def _short_run(prepared: Prepared, number: int) -> list[dict[str, Any]]:
    """The first candidates with their verdicts."""
    folder = prepared.settings.folder
    with _held(folder):
        _tell_problems(prepared)
        _verify_seeds(prepared)
        with Ledger(folder / LEDGER) as ledger:
            _claim(ledger, prepared)
        spool = folder / "preview.jsonl.tmp"
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


@dataclass(frozen=True)
class Found:
    """What lies in an output folder, for the report.

    Attributes:
        settings, plan, prompts: the config's, with the decision that it leads to and the seeds' questions as the student reads them;
            without them (`plan` None, no `prompts`) `unprepared` says why.
        study: the finished one that the config names.
        changed: the settings, the seeds or a file that a check reads are not those that the run was finished with.
        running: a run is at work there.
        manifest: None while the run is not complete.
        samples: candidates with their verdicts, None before there are any; of a run that is not complete they are those so far.
        ledger: None where there is none.
        grade: None where the student was not graded.
    """

    settings: Settings
    folder: Path
    plan: Plan | None
    prompts: Sequence[str]
    unprepared: str
    study: Measured | None
    changed: bool
    running: bool
    manifest: Mapping[str, Any] | None
    samples: Path | None
    ledger: Path | None
    grade: Grade | None


def find(settings: Settings, *, student: str | None = None) -> Found:
    """Look into the output folder, whatever state it is in. Asks nobody and changes nothing.

    Args:
        settings: the block. Seeds that are gone, or others by now, are no reason not to report on what there is.
        student: Axolotl's `base_model`, for the plan's words.

    Raises:
        ConfigError: if the folder holds nothing of a run.
        StorageError: if a file in it is damaged.
    """
    folder = settings.folder
    manifest, graded = dataset.read_manifest(folder), read_grade(folder)
    ledger = folder / LEDGER if (folder / LEDGER).exists() else None
    # Samples that lie beside a new run's spool are those of the run before it.
    places = (folder / dataset.SAMPLES, folder / SPOOL) if manifest is not None else (folder / SPOOL, folder / dataset.SAMPLES)
    samples = next((path for path in places if path.exists()), None)
    if manifest is None and ledger is None and samples is None and graded is None:
        raise ConfigError(f"{folder}: there is nothing to report on; `axolotl synthetic generate CONFIG` starts a run there")
    prepared, unprepared = None, ""
    try:
        prepared = prepare(settings, student=student)
    except SyntheticError as error:
        unprepared = str(error)
    finished = None
    if ledger is not None:
        with Ledger(ledger, read_only=True) as opened:
            finished = opened.meta("finished")
    return Found(
        settings=settings,
        folder=folder,
        plan=None if prepared is None else prepared.plan,
        prompts=[] if prepared is None else [prepared.task.prompt(seed.question) for seed in prepared.seeds.seeds],
        unprepared=unprepared,
        study=None if prepared is None else prepared.study,
        changed=prepared is not None and manifest is not None and finished is not None and finished != prepared.fingerprint,
        running=_is_held(folder),
        manifest=manifest,
        samples=samples,
        ledger=ledger,
        grade=graded,
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
    except (ValueError, TypeError, KeyError) as error:
        remedy = "delete it and run `axolotl synthetic grade` again"
        raise StorageError(f"{folder / GRADE}: holds no grade ({error}); {remedy}") from error


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


def review_serve(port: int) -> serving.Served:
    """Start an Argilla server on this machine, and install it when it is not.

    Raises:
        ServiceError: if it cannot be installed or started.
    """
    from axolotl_synthetic.review import serve as serving

    if not serving.is_installed():
        terminal.notice("installing an Argilla server of its own (about a minute, 600 MB; once)")
        serving.install()
    return serving.start(port)


def review_stop() -> bool:
    """End that server; tells whether it ran."""
    from axolotl_synthetic.review import serve as serving

    return serving.stop()


def review_push(settings: Settings) -> exchange.Pushed:
    """Send the chosen samples to Argilla, those that are not there yet.

    Raises:
        ConfigError: if there is no `review:` block, no finished run, or no key.
        ServiceError: if Argilla cannot be used; what is there by then is not sent again.
        FolderInUseError: if a run holds the folder.
    """
    from axolotl_synthetic.review import exchange

    prepared = _reviewed(settings)
    with _held(settings.folder), _work(prepared) as work, terminal.counted("pushing", "records") as on_progress:
        return exchange.push(work, on_progress)


def review_status(settings: Settings) -> exchange.Stand:
    """Ask Argilla where the review stands, and change nothing.

    Raises:
        The same as `review_push`.
    """
    from axolotl_synthetic.review import exchange

    with _work(_reviewed(settings)) as work:
        return exchange.status(work)


@dataclass(frozen=True)
class ReviewOutcome:
    """What a pull brought, what is decided by it, and what that did to the samples: None when nothing was to be done, or when they
    must be generated for these settings first (`manifest` is None then)."""

    pulled: exchange.Pulled
    standing: applying.Standing
    effect: applying.Effect | None
    manifest: Mapping[str, Any] | None


def review_pull(settings: Settings) -> ReviewOutcome:
    """Take people's decisions into the samples and the training file. The former training file is kept.

    Raises:
        The same as `review_push`.
    """
    from axolotl_synthetic.review import applying, exchange, kept

    prepared = _reviewed(settings, finished=False)
    with _held(settings.folder):
        with _work(prepared) as work:
            pulled = exchange.pull(work)
            standing = applying.stand(work.rows(), kept.read(settings.folder))
        manifest, effect = _finished(prepared), None
        if manifest is not None and not _has_decisions(prepared):
            manifest, effect = _decide(prepared, manifest)
        return ReviewOutcome(pulled, standing, effect, manifest)


def refuse_open_review(settings: Settings) -> None:
    """With `review.unreviewed: wait`, end here as long as people have not decided.

    Raises:
        ReviewOpenError: with the number of samples that are open by what was pulled last.
    """
    if settings.review is not None and settings.review.unreviewed == "wait":
        from axolotl_synthetic.review import exchange

        exchange.refuse_open(settings.folder, lambda: dataset.read_samples(settings.folder / dataset.SAMPLES))


def _reviewed(settings: Settings, *, finished: bool = True) -> Prepared:
    """A run that can be reviewed.

    Args:
        finished: whether it must be finished with these very settings.
    """
    if settings.review is None:
        raise ConfigError("synthetic.review: is missing; add the block, `review: {}` at least (the README shows it)")
    prepared = prepare(settings)
    if not (settings.folder / dataset.SAMPLES).exists() or (finished and _finished(prepared) is None):
        raise ConfigError(
            f"{settings.folder}: holds no finished run of these settings to review; `axolotl synthetic generate CONFIG` makes it"
        )
    return prepared


@contextmanager
def _work(prepared: Prepared, samples: Path | None = None) -> Iterator[Work]:
    """The run as a review sees it; its samples are the finished ones, or those in the file given."""
    from axolotl_synthetic.review.work import Work

    settings = prepared.settings
    path = samples or settings.folder / dataset.SAMPLES
    with Ledger(settings.folder / LEDGER) as ledger:
        yield Work(
            settings=settings,
            task=prepared.task,
            seeds=prepared.seeds.seeds,
            ledger=ledger,
            rows=lambda: dataset.read_samples(path),
            load_checks=lambda: _checks(settings, prepared.task, prepared.seeds),
        )


def _has_decisions(prepared: Prepared) -> bool:
    """Whether the training file is as the decisions that are kept want it."""
    with Ledger(prepared.ledger) as ledger:
        return (ledger.meta(prepared.meta("reviewed")) or "") == _review_state(prepared.settings)


def _review_state(settings: Settings) -> str:
    from axolotl_synthetic.review import kept

    return kept.state(settings.folder, "keep" if settings.review is None else settings.review.unreviewed)


def _decide(prepared: Prepared, former: Mapping[str, Any]) -> tuple[Mapping[str, Any], applying.Effect | None]:
    """Write samples, training file, card and manifest anew, with the decisions that are kept."""
    folder, state = prepared.settings.folder, _review_state(prepared.settings)
    samples, effect = _take_samples(prepared, folder / dataset.SAMPLES)
    counts, training = dataset.count(samples), _train(prepared, samples)
    manifest = {**former, **dataset.outcome(counts, samples, training)}
    _finish(prepared, manifest, counts)
    with Ledger(prepared.ledger) as ledger:
        ledger.set_meta(**{prepared.meta("reviewed"): state})
    return manifest, effect


def _take_samples(prepared: Prepared, spool: Path) -> tuple[Path, applying.Effect | None]:
    """Put a spool of verification (or the samples themselves) into its place, with the decisions that are kept."""
    from axolotl_synthetic.review import applying, kept

    folder = prepared.settings.folder
    book = kept.read(folder)
    if not book and spool.name == SPOOL:
        return dataset.write_samples(folder, spool), None
    with _work(prepared, spool) as work:
        decided = applying.Applying(work, book)
        dataset.write_rows(folder / REVIEWED, decided.rows())
    samples = dataset.write_samples(folder, folder / REVIEWED)
    if spool != samples:
        spool.unlink()
    return samples, decided.effect


def _checks(settings: Settings, task: Task, seeds: SeedSet) -> tuple[Check, ...]:
    """The checks of a run, which have seen no sample yet."""
    keeps_answer = {name: strategy.keeps_answer for name, strategy in load_strategies().items()}
    return load_checks(settings.verify, task, keeps_answer, seeds=seeds.seeds, held_out=seeds.held_out)


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
            settings=_within(settings, prepared.most_samples),
            models=models,
            seeds=prepared.seeds.seeds,
            shares=prepared.plan.strategy,
            ledger=prepared.ledger,
            spool=spool or folder / SPOOL,
            most_candidates=most_candidates,
            held_out=prepared.seeds.held_out,
        )
        ledger = stack.enter_context(Ledger(prepared.ledger))
        ledger.begin_run()
        stack.enter_context(terminal.watched("generating", lambda: _stand(prepared.ledger, settings.budget, most_candidates)))
        run_pipeline(job, folder / LOG)


def _within(settings: Settings, most: int | None) -> Settings:
    """The settings with a budget of samples no larger than what the checks can accept: more would be paid for to be rejected."""
    if most is None or settings.budget.samples is not None:
        return settings
    return settings.model_copy(update={"budget": settings.budget.model_copy(update={"samples": most})})


def _stand(path: Path, budget: Budget, most_candidates: int | None) -> terminal.Stand:
    with Ledger(path, read_only=True) as ledger:
        progress = ledger.progress()
        queries, _, _ = ledger.spent()
    # What waits for an earlier candidate is as good as accepted, and the bar shall not stand still for it.
    accepted = progress.accepted + progress.waiting
    verdicts = f"{progress.rejected:,} rejected · {progress.failed:,} failed"
    if most_candidates is not None:
        return terminal.Stand(progress.seen, most_candidates, "candidates", f"{verdicts} · {queries:,} calls")
    if budget.samples is not None and (budget.queries is None or queries < budget.queries / 2):
        return terminal.Stand(accepted, budget.samples, "samples", f"{verdicts} · {queries:,} calls")
    return terminal.Stand(queries, budget.queries or 0, "calls", f"{accepted:,} accepted · {verdicts}")


def _write(prepared: Prepared, ledger: Ledger, samples: Path, seconds: float) -> Outcome:
    """The training file, the lm-eval task, the card, and last the manifest."""
    from axolotl_synthetic import grading

    settings, folder = prepared.settings, prepared.settings.folder
    counts, training = dataset.count(samples), _train(prepared, samples)
    grading.export_task(
        folder / LM_EVAL,
        task=prepared.task,
        held_out=prepared.seeds.held_out,
        max_gen_toks=settings.teacher.generation.max_new_tokens,
    )
    progress = ledger.progress()
    manifest = dataset.manifest(
        status="complete" if progress.ended_by == "samples" else "budget_exhausted",
        strategy=prepared.plan.strategy,
        budget_ratio=prepared.plan.budget_ratio,
        seeds={"count": len(prepared.seeds.seeds), "held_out": len(prepared.seeds.held_out), "sha256": prepared.seeds.sha256},
        counts=counts,
        totals=ledger.totals(),
        reused=progress.reused,
        seconds=seconds,
        samples=samples,
        training=training,
    )
    ledger.set_meta(**{prepared.meta("finished"): prepared.fingerprint})
    _finish(prepared, manifest, counts)
    return Outcome(manifest, counts, folder)


def _train(prepared: Prepared, samples: Path) -> dataset.TrainingFile:
    """The training file of these samples."""
    settings, task = prepared.settings, prepared.task

    def prompt(seed: Seed) -> str:
        return task.prompt(seed.question)

    seeds = prepared.seeds.seeds if settings.include_seeds else ()
    return dataset.write_training_file(settings.folder, samples, seeds, prompt, task.solution)


def _finish(prepared: Prepared, manifest: Mapping[str, Any], counts: dataset.Counts) -> None:
    """The card, and last the manifest."""
    settings, folder = prepared.settings, prepared.settings.folder
    teacher, augmenter = (model_name(settings.model_for(role)) for role in ("teacher", "augmenter"))
    dataset.write_card(folder, manifest, task=settings.task, teacher=teacher, augmenter=augmenter, counts=counts)
    dataset.write_text(folder / dataset.MANIFEST, json.dumps(manifest, indent=2) + "\n")


def _finished(prepared: Prepared) -> Mapping[str, Any] | None:
    """The manifest, if it is of these settings and seeds and its training file is there."""
    folder = prepared.settings.folder
    manifest = dataset.read_manifest(folder)
    if not prepared.ledger.exists():
        return None
    with Ledger(prepared.ledger) as ledger:
        _refuse_another(ledger, prepared)
        same = ledger.meta(prepared.meta("finished")) == prepared.fingerprint
    if manifest is None or not same or not (folder / manifest["files"]["train"]["path"]).exists():
        return None
    return manifest


def _claim(ledger: Ledger, prepared: Prepared) -> None:
    """Note what the folder is for, once."""
    _refuse_another(ledger, prepared)
    if ledger.meta(prepared.meta("task")) is None:
        seeds = json.dumps(sorted(seed.id for seed in prepared.seeds.seeds))
        ledger.set_meta(**{prepared.meta("task"): prepared.settings.task, prepared.meta("seeds"): seeds})


def _refuse_another(ledger: Ledger, prepared: Prepared) -> None:
    folder, task = prepared.settings.folder, prepared.settings.task
    remedy = "choose another output_dir, or delete that folder to begin anew"
    if (made_for := ledger.meta(prepared.meta("task"))) is not None and made_for != task:
        raise ConfigError(f"synthetic.task: {folder} was made for the task {made_for}, and this config says {task}; {remedy}")
    if (known := ledger.meta(prepared.meta("seeds"))) is not None:
        before, now = set(json.loads(known)), {seed.id for seed in prepared.seeds.seeds}
        if before != now:
            raise ConfigError(
                f"synthetic.seeds: {folder} was made with other seeds: {len(before & now)} are the same, {len(now - before)} are new,"
                f" {len(before - now)} are gone; {remedy}"
            )


def _tell_problems(prepared: Prepared) -> None:
    _tell_first(prepared.seeds.problems)
    without = sum(seed.answer is None for seed in prepared.seeds.seeds)
    if without and prepared.task.has_final_answer:
        terminal.notice(f"seeds: {without} of {len(prepared.seeds.seeds)} have no answer: the check final_answer is off for them")


def _tell_first(problems: Sequence[str]) -> None:
    for problem in problems[:PROBLEMS_SHOWN]:
        terminal.notice(f"seeds: {problem}")
    if len(problems) > PROBLEMS_SHOWN:
        terminal.notice(f"seeds: … and {len(problems) - PROBLEMS_SHOWN} more")


def _verify_seeds(prepared: Prepared) -> None:
    """Hold the seeds' own answers to the checks of the run, before anything is paid for.

    Raises:
        ConfigError: if more of them fail than `seeds.may_fail` allows.
    """
    seeds, may_fail = prepared.seeds, prepared.settings.seeds.may_fail
    failing = [
        f"{seeds.places[seed.id]} ({seed.id}): its own answer fails {verdict.name}: {verdict.detail}"
        for seed, verdict in failing_seeds(seeds.seeds, prepared.task, prepared.checks)
    ]
    _tell_first(failing)
    rows = len(seeds.places) + seeds.bad_answers
    for count, of, what in (
        (len(failing), len(seeds.seeds), "seeds fail the checks of this run with their own answers"),
        (seeds.bad_answers, rows, "rows have an answer that cannot be read"),
    ):
        if count > may_fail * of:
            raise ConfigError(
                f"synthetic.seeds: {count} of {of} {what} ({count / of:.1%}, and seeds.may_fail is {may_fail:g}); correct them, change the"
                " checks in `verify:`, or raise seeds.may_fail to go on without"
            )


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}; make it writable, or choose another output_dir") from error
