"""The only file that knows the order of the stages: seeds → plan → generate → verify → review → write → grade.

Its public functions implement the user's commands. The stages do the work and do not know one another.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axolotl_synthetic import dataset, preferences, terminal
from axolotl_synthetic.batch_ledger import Batch, BatchLedger
from axolotl_synthetic.config import Budget, Settings, fruitless_after
from axolotl_synthetic.errors import ConfigError, ServiceError, StorageError, SyntheticError, remedy_for
from axolotl_synthetic.files import ANOTHER_FOLDER, storage_errors, write_text
from axolotl_synthetic.ledger import CLUSTER, NOTICE, Ledger, Progress
from axolotl_synthetic.lock import held, is_held
from axolotl_synthetic.pipelines.process import PipelineProcess, waiting
from axolotl_synthetic.plan import Forecast, Plan, costs, decide, estimates, priced
from axolotl_synthetic.plan.measured import Measured
from axolotl_synthetic.plan.pilot import Paid, measure, tells, usd_of
from axolotl_synthetic.plan.side_by_side import Piloted, piloted
from axolotl_synthetic.plan.words_of_pilots import in_words, measured_strength
from axolotl_synthetic.prepare import (
    LEDGER,
    Prepared,
    checks_of,
    claim,
    finished,
    prepare,
    refuse_unusable_rows,
    tell_problems,
    verify_seeds,
)
from axolotl_synthetic.records import STRATEGIES, Role, Seed
from axolotl_synthetic.tasks import has_turns
from axolotl_synthetic.teachers import ModelSettings, model_name
from axolotl_synthetic.training import training_file as training_file_of
from axolotl_synthetic.wording import number_of

if TYPE_CHECKING:
    from axolotl_synthetic.grading import Grade
    from axolotl_synthetic.pilots import Pair
    from axolotl_synthetic.pipelines.job import Job
    from axolotl_synthetic.pipelines.schedule import Phase
    from axolotl_synthetic.review import applying
    from axolotl_synthetic.review.work import Work
    from axolotl_synthetic.rounds.record import Round
    from axolotl_synthetic.tasks import Task

SPOOL = "samples.jsonl.tmp"
REVIEWED = "samples-reviewed.jsonl.tmp"
LOG = "run.log"
LM_EVAL = "lm_eval"
GRADE = "grade.json"
# Tasks that lm-eval was already asked about, so that a study asks once and not for each of its cells.
_KNOWN_TASKS: set[str] = set()


@dataclass(frozen=True)
class Outcome:
    """A finished run: its manifest, the counts of its candidates by verdict, and whether it had finished before."""

    manifest: Mapping[str, Any]
    counts: dataset.Counts
    folder: Path
    was_finished: bool = False


def training_file(settings: Settings, kind: str = "train", base_model: object = None) -> Path | None:
    """Return the finished training file of these settings and seeds, None when a run is needed.

    Args:
        settings: the block.
        kind: its name in the manifest: `train`, or `preferences` or `kto`.
        base_model: Axolotl's, for which the students of `rounds` must have been trained.

    Raises:
        ConfigError: if the folder was made with other seeds or another task.
    """
    prepared = prepare(settings)
    manifest = finished(prepared)
    if manifest is None or not _rounds_are_over(prepared, base_model) or not has_decisions(prepared):
        return None
    return settings.folder / str(manifest["files"][kind]["path"])


def plan(
    settings: Settings, *, student: str | None = None, pilot: int | None = None, tell: bool = True, pairs: Sequence[Pair] = ()
) -> Forecast:
    """Return the decision and its forecast cost. Without a pilot no model is called.

    Args:
        settings: the block.
        student: Axolotl's `base_model`.
        pilot: measure the costs on this many candidates of each strategy, those that a run makes first. Their calls stay in the ledger, so
            that a run does not pay for them again.
        tell: print a notice for each row that is skipped.
        pairs: several teachers, those of `settings` first, that the pilot measures side by side within the one budget.

    Raises:
        ConfigError: if the config or the seeds are wrong, or no strategy can meet the budget.
        ServiceError: if none of `pairs` can be measured.
        The same as `generate`, with a pilot.
    """
    if len(pairs) > 1 and pilot is None:
        raise ConfigError(f"synthetic.teacher: there are {len(pairs)} teachers, and only a pilot tells them apart; add `--pilot 20`")
    prepared = prepare(settings, student=student)
    if pilot is None:  # with a pilot, its run does both
        if tell:
            tell_problems(prepared)
        refuse_unusable_rows(prepared)
    rates, by_pilot = prepared.rates, None
    case, decided, budget = prepared.case, prepared.plan, settings.budget
    pilots: Sequence[Piloted] = ()
    if pilot is not None:
        # Numbers of calls are counted, not estimated, so this can be refused before anything is spent.
        estimates.refuse_too_small(settings.budget, {name: costs.certain(one) for name, one in rates.items()})
        if len(pairs) > 1:
            pilots, rates, budget = _pilots(prepared, pairs, pilot)
            # The decision stays the same; its reasons quote what was measured.
            case = replace(case, piloted=in_words(pilots, decided.strategy))
            decided = decide(settings, case, prepared.rates, prepared.study)
        else:
            rates = _pilot(prepared, pilot)
        if not (pilots and pilots[0].error):
            by_pilot = decide(settings, case, rates, prepared.study, measured_strength(pilots))
    if not pilots:  # with several teachers, show the others even if the config's own was not measured
        estimates.refuse_too_small(settings.budget, rates)
    each, chosen = estimates.of_each(settings.model_copy(update={"budget": budget}), rates, decided.strategy)
    return Forecast(
        case,
        replace(decided, reasons=(*decided.reasons, *_said_of_rounds(settings))),
        each,
        chosen,
        costs.assumptions(settings, prepared.lengths),
        pilot,
        by_pilot,
        priced.priced(settings),
        sum(prepared.task.gold_answer(seed) is not None for seed in prepared.seeds.held_out),
        pilots,
    )


def generate(
    settings: Settings,
    *,
    student: str | None = None,
    ledger: Path | None = None,
    process: PipelineProcess | None = None,
    training: Mapping[str, Any] | None = None,
) -> Outcome:
    """Run from seeds to manifest; if started again, go on where it stopped.

    Args:
        settings: the block.
        student: Axolotl's `base_model`.
        ledger: a ledger that several folders share, as those of a study do. Each finds the calls that another paid for, and the budget's
            limits on calls, tokens and dollars hold for all together. None: the folder's own.
        process: a process that waits for a pipeline to run; None: start one when it is needed.
        training: Axolotl's own part of the config, which the students of `rounds` are trained with.

    Raises:
        ConfigError: if the config or the seeds are wrong, or the folder was made for others.
        ServiceError: if the teacher cannot be used.
        TrainingError: if a student of a round cannot be trained or scored.
        FolderInUseError: if another run holds the folder.
        Interrupted: if the user asked to stop.
    """
    began = time.monotonic()
    prepared = replace(prepare(settings, student=student), shared_ledger=ledger)
    folder = settings.folder
    with held(folder):
        tell_problems(prepared)
        base_model = (training or {}).get("base_model")
        if (manifest := finished(prepared)) is not None and _rounds_are_over(prepared, base_model):
            if not has_decisions(prepared):
                manifest, _ = decide_again(prepared, manifest)
            return Outcome(manifest, dataset.count(folder / dataset.SAMPLES), folder, was_finished=True)
        verify_seeds(prepared)
        if settings.rounds is not None:
            from axolotl_synthetic import rounds

            rounds.refuse_untrainable(settings, training or {}, prepared.task.has_final_answer)
        _refuse_unknown_tasks(settings)
        former = dataset.read_manifest(folder)
        if former is not None:
            _put_aside(folder, former, "train")
        with storage_errors(folder, ANOTHER_FOLDER):
            (folder / dataset.MANIFEST).unlink(missing_ok=True)
        with Ledger(prepared.ledger) as opened:
            claim(opened, prepared)
        over, phases = _make_rounds(prepared, training or {}, process)
        _run_pipeline(prepared, process=None if over else process, phases=phases, title=_last_round(settings))
        state = _state(settings)
        samples, _ = _take_samples(prepared, folder / SPOOL)
        with Ledger(prepared.ledger) as opened:
            outcome = _write(prepared, opened, samples, time.monotonic() - began, over)
            opened.set_meta(**{prepared.meta("reviewed"): state})
        return outcome


def _rounds_are_over(prepared: Prepared, base_model: object) -> bool:
    """Return whether the students of the rounds, if there are any, were trained as the config wants them."""
    if prepared.settings.rounds is None:
        return True
    # Imported where there are rounds: training and grading would add to the start of every command.
    from axolotl_synthetic import rounds

    return rounds.are_over(prepared, base_model)


def _said_of_rounds(settings: Settings) -> Sequence[str]:
    if settings.rounds is None:
        return ()
    from axolotl_synthetic import rounds

    return rounds.said(settings)


def _rounds_of_manifest(over: Sequence[Round], prepared: Prepared, counts: dataset.Counts, samples: Path) -> Sequence[Mapping[str, Any]]:
    if prepared.settings.rounds is None:
        return ()
    from axolotl_synthetic import rounds

    return rounds.of_manifest(over, prepared, counts, samples)


def _make_rounds(
    prepared: Prepared, training: Mapping[str, Any], process: PipelineProcess | None
) -> tuple[Sequence[Round], Sequence[Phase]]:
    """Make the rounds before the last, each within its part of the budget; return them with what the last is to be made by."""
    if prepared.settings.rounds is None:
        return (), ()
    from axolotl_synthetic import rounds

    waits = [process]

    def part(budget: Budget, phases: Sequence[Phase], title: str) -> Path:
        within = replace(prepared, settings=prepared.settings.model_copy(update={"budget": budget}))
        _run_pipeline(within, process=waits.pop() if waits else None, phases=phases, title=title)
        return prepared.settings.folder / SPOOL

    over = rounds.conduct(prepared, training, part)
    return over, rounds.phases(over, prepared)


def _last_round(settings: Settings) -> str:
    return "" if settings.rounds is None or not settings.rounds.trains else f"round {settings.rounds.count} of {settings.rounds.count}"


def _put_aside(folder: Path, former: Mapping[str, Any], *kinds: str) -> None:
    for kind in kinds:
        if (aside := dataset.put_aside_changed(folder, former, kind)) is not None:
            terminal.notice(f"{former['files'][kind]['path']} was changed after it was written: it is kept as {aside}, and made anew")


def preview(settings: Settings, number: int, *, student: str | None = None, process: PipelineProcess | None = None) -> list[dict[str, Any]]:
    """Return a few samples with their verdicts. Their calls stay in the ledger, so a later run does not pay for them again.

    Args:
        settings: the block.
        number: how many.
        student: Axolotl's `base_model`.
        process: as for `generate`.

    Raises:
        The same as `generate`.
    """
    return _short_run(prepare(settings, student=student), number, process)


def picture(settings: Settings) -> str:
    """Return the distilabel pipeline of a run as YAML, with a drawing in comments at its top. No model is called.

    Raises:
        ConfigError: if the config or the seeds are wrong.
    """
    from axolotl_synthetic.pipelines import graph

    prepared = prepare(settings)
    return graph.picture(graph.build(_job(prepared, settings.models)))


def _pilot(prepared: Prepared, number: int) -> Mapping[str, costs.Rates]:
    """Measure each strategy's costs by a short run of all. It ignores `budget.samples`, because its samples do not count."""
    _announce([prepared], number)
    with _begun(prepared):
        rows, calls = _piloted(prepared, number)
    return measure(prepared.settings, prepared.rates, rows, calls)


def _pilots(prepared: Prepared, pairs: Sequence[Pair], number: int) -> tuple[Sequence[Piloted], Mapping[str, costs.Rates], Budget]:
    """Make the same candidates with each pair, one pair after the other, with one ledger and one budget.

    Returns:
        The measured pairs, each strategy's costs with the first pair, and the budget that the other pairs' calls leave.

    Raises:
        ServiceError: if no pair could be measured because its models failed.
        ConfigError: if no pair could be measured within the budget.
    """
    from axolotl_synthetic.pilots import agreements, new_questions

    # Read all configs before the first call, so that a mistake in the last costs nothing.
    others = [prepare(pair.settings, student=prepared.case.student) for pair in pairs[1:]]
    every = [prepared, *others]
    _announce(every, number)
    found: list[Piloted] = []
    rates, reached = prepared.rates, False
    paid: list[dict[int, Paid]] = []
    with _begun(prepared):
        for one, pair in zip(every, pairs, strict=True):
            blank = Piloted(pair.teacher, pair.augmenter, pair.source, pair.writer)
            terminal.notice(f"pilot {len(found) + 1} of {len(pairs)}: {blank.name} ({pair.source})")
            rows, calls, error = _or_error(one, number)
            paid.append(calls)
            if not error and not any(tells(row) for row in rows):
                reached = True
                error = "the budget was used up before anything of it could be measured; raise `queries`, `tokens` or `usd`"
            if error:
                found.append(replace(blank, error=error))
                continue
            if one is prepared:
                rates = measure(one.settings, one.rates, rows, calls)
            seeds, planned = one.seeds.seeds, prepared.plan.strategy
            written, agreed = new_questions(rows, seeds), agreements(rows, seeds, one.task)
            found.append(piloted(blank, one.settings, one.rates, planned, rows, calls, written, agreed))
    if all(one.error for one in found):
        reasons = "\n".join(f"  - {one.name} ({one.source}): {one.error}" for one in found)
        raise (ConfigError if reached else ServiceError)(f"none of the {len(pairs)} teachers could be measured:\n{reasons}")
    return found, rates, _left(prepared.settings.budget, [one.settings for one in every], paid)


def _or_error(prepared: Prepared, number: int) -> tuple[list[dict[str, Any]], dict[int, Paid], str]:
    """Return what a pilot made, or why its models could not be used, so that one failure does not hide the other pilots."""
    try:
        return *_piloted(prepared, number), ""
    except (ConfigError, ServiceError) as error:
        return [], {}, " ".join(str(error).split())


def _left(budget: Budget, settings: Sequence[Settings], paid: Sequence[Mapping[int, Paid]]) -> Budget:
    """Return the budget that is left without the calls that the first pair's run cannot reuse.

    Args:
        budget: of the config.
        settings: of each pair, for its prices.
        paid: the calls of each pair's candidates, by id. Pairs may share some.
    """
    others = {number: (of, call) for of, calls in zip(settings[1:], paid[1:], strict=True) for number, call in calls.items()}
    gone = [one for number, one in others.items() if number not in paid[0]]
    taken = {
        "queries": len(gone),
        "tokens": sum((call.prompt_tokens or 0) + (call.completion_tokens or 0) for _, call in gone),
        "usd": sum(usd_of(of, call) for of, call in gone),
    }
    limits = {name: getattr(budget, name) for name in taken}
    left = {name: None if limit is None else max(0, limit - taken[name]) for name, limit in limits.items()}
    return budget.model_copy(update=left)


def _announce(every: Sequence[Prepared], number: int) -> None:
    """Announce how many calls the pilots may make."""
    calls = round(number * sum(one.queries.value for prepared in every for one in prepared.rates.values()))
    each = "" if len(every) == 1 else f" with each of {len(every)} teachers"
    terminal.notice(
        f"pilot: {number_of(number, 'candidate')} of each strategy{each}, up to {number_of(calls, 'call')}; a run finds them in the ledger"
    )


def _piloted(prepared: Prepared, number: int) -> tuple[list[dict[str, Any]], dict[int, Paid]]:
    """Make a pilot's candidates.

    Returns:
        The candidates and their calls by id.

    Raises:
        ServiceError: if no call brought a reply.
    """
    settings = prepared.settings
    hard = settings.model_copy(update={"budget": settings.budget.model_copy(update={"samples": None})})
    # A strategy's sequence of candidates does not depend on its share, so these are the candidates that a run makes first.
    equal = replace(prepared.plan, strategy=dict.fromkeys(STRATEGIES, 1 / len(STRATEGIES)))
    rows = _candidates(replace(prepared, settings=hard, plan=equal), number * len(STRATEGIES))
    with Ledger(settings.folder / LEDGER, read_only=True) as ledger:
        paid = ledger.paid([call for row in rows for call in row["requests"]])
    if rows and not paid:
        last = next((row["reason"] for row in reversed(rows) if row["status"] == "failed"), "")
        remedy = remedy_for(last.partition(":")[0])
        raise ServiceError(f"the pilot's {len(rows)} candidates all failed, the last with `{last}`; {remedy}")
    return rows, {call: Paid(*one) for call, one in paid.items()}


def _short_run(prepared: Prepared, number: int, process: PipelineProcess | None = None) -> list[dict[str, Any]]:
    """Return the first candidates with their verdicts."""
    with _begun(prepared):
        return _candidates(prepared, number, process)


@contextmanager
def _begun(prepared: Prepared) -> Iterator[None]:
    """Hold the folder for one or more short runs, after their seeds are verified."""
    folder = prepared.settings.folder
    with held(folder):
        tell_problems(prepared)
        verify_seeds(prepared)
        _refuse_unknown_tasks(prepared.settings)
        with Ledger(folder / LEDGER) as ledger:
            claim(ledger, prepared)
        yield


def _candidates(prepared: Prepared, number: int, process: PipelineProcess | None = None) -> list[dict[str, Any]]:
    """Make the first candidates in a folder that is already held."""
    spool = prepared.settings.folder / "preview.jsonl.tmp"
    try:
        _run_pipeline(prepared, spool=spool, most_candidates=number, process=process)
        return list(dataset.read_samples(spool))
    finally:
        spool.unlink(missing_ok=True)


@dataclass(frozen=True)
class Status:
    """The state of a run.

    Attributes:
        progress: of the current run or, when none is running, of the last.
        failures: the number of failed calls by reason.
        waiting: what retried calls or a cluster are waiting for; empty when nothing is.
        batches: the batches open at a provider, as of the last poll.
    """

    folder: Path
    running: bool
    manifest: Mapping[str, Any] | None
    progress: Progress
    queries: Mapping[str, int]
    tokens: int
    usd: float | None
    failures: Mapping[str, int]
    waiting: str = ""
    batches: Sequence[Batch] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what `status --json` prints. `state` is running, stopped, complete or budget_exhausted."""
        counts = {name: getattr(self.progress, name) for name in ("accepted", "rejected", "failed")}
        state = "running" if self.running else "stopped"
        if self.manifest is not None and not self.running:
            state = self.manifest["status"]
            counts = {name: self.manifest["counts"][name] for name in counts}
        return {
            "output_dir": str(self.folder),
            "state": state,
            "counts": counts,
            "queries": {**self.queries, "reused": self.progress.reused},
            "tokens": self.tokens,
            "usd": self.usd,
            "failures": dict(self.failures),
            "batches": [
                {"id": one.remote, "state": one.told, "total": one.total, "done": one.done, "failed": one.failed} for one in self.batches
            ],
        }


def status(settings: Settings) -> Status:
    """Return the folder's state. Changes nothing.

    Raises:
        ConfigError: if no run was ever started there.
    """
    folder = settings.folder
    if not (folder / LEDGER).exists():
        raise ConfigError(f"{folder}: no run was started there; `axolotl synthetic generate CONFIG` starts one")
    with BatchLedger(folder / LEDGER, read_only=True) as ledger:
        totals = ledger.totals()
        tokens = totals.prompt_tokens + totals.completion_tokens
        return Status(
            folder=folder,
            running=is_held(folder),
            manifest=dataset.read_manifest(folder),
            progress=ledger.progress(),
            queries=totals.queries,
            tokens=tokens,
            usd=totals.usd,
            failures=ledger.failures(),
            waiting=_waiting(ledger),
            batches=[batch for batch, _ in ledger.open_batches()],
        )


def batch_line(batches: Sequence[Batch]) -> str:
    """Describe the state of batches as of the last poll; empty when there are none."""
    if not batches:
        return ""
    told = list(dict.fromkeys(one.told or "being made" for one in batches))
    name = f"batch {told[0]}" if len(batches) == 1 else f"{len(batches)} batches ({', '.join(told)})"
    ended, total = sum(one.done + one.failed for one in batches), sum(one.total for one in batches)
    return f"{name}: {ended:,} of {total:,} calls, for {terminal.duration(time.time() - min(one.intended for one in batches))}"


def _waiting(ledger: Ledger) -> str:
    """Say what is being waited for: a cluster, or the next retry of calls that a server refused; empty when nothing is."""
    if said := ledger.meta(CLUSTER):
        return said
    if (waiting := ledger.waiting()) is None:
        return ""
    calls = "a call waits" if waiting.calls == 1 else f"{waiting.calls:,} calls wait"
    return f"{calls} {terminal.duration(waiting.until - time.time())} more before asking again ({waiting.reason})"


@dataclass(frozen=True)
class Found:
    """The contents of an output folder, for the report.

    Attributes:
        settings, plan, prompts: the config's settings, the decision for them, and the seeds' questions as the student reads them. Where
            they cannot be prepared, `plan` is None, `prompts` is empty and `unprepared` says why.
        study: the finished study that the config names.
        changed: whether the settings, the seeds or a file that a check reads differ from those of the finished run.
        running: whether a run is working in the folder.
        manifest: None until the run is complete.
        samples: candidates with their verdicts, so far if the run is not complete; None before there are any.
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
    """Read the output folder in whatever state it is. Calls no model and changes nothing.

    Args:
        settings: the block. Missing or changed seeds do not prevent a report.
        student: Axolotl's `base_model`, for the plan's words.

    Raises:
        ConfigError: if the folder holds nothing of a run.
        StorageError: if a file in it is damaged.
    """
    folder = settings.folder
    manifest, graded = dataset.read_manifest(folder), read_grade(folder)
    ledger = folder / LEDGER if (folder / LEDGER).exists() else None
    samples, _ = samples_of(folder)
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
        running=is_held(folder),
        manifest=manifest,
        samples=samples,
        ledger=ledger,
        grade=graded,
    )


def samples_of(folder: Path) -> tuple[Path | None, bool]:
    """Return the path of a folder's samples, None before there are any, and whether their run is unfinished."""
    is_whole = dataset.read_manifest(folder) is not None
    # Samples beside a new run's spool belong to the run before it.
    places = (folder / dataset.SAMPLES, folder / SPOOL) if is_whole else (folder / SPOOL, folder / dataset.SAMPLES)
    path = next((path for path in places if path.exists()), None)
    return path, path is not None and path.name == SPOOL


def counts(folder: Path) -> dataset.Counts:
    """Count the candidates of a finished run by verdict."""
    return dataset.count(folder / dataset.SAMPLES)


def read_grade(folder: Path) -> Grade | None:
    """Return the grade that `grade` wrote, None when the student was not graded."""
    from axolotl_synthetic import grading

    try:
        return grading.read_grade((folder / GRADE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        remedy = "delete it and run `axolotl synthetic grade` again"
        raise StorageError(f"{folder / GRADE}: holds no grade ({error}); {remedy}") from error


def grade(settings: Settings, training: Mapping[str, Any]) -> Grade:
    """Run lm-eval on the base model and the student, and write `grade.json`.

    Args:
        settings: the block.
        training: Axolotl's own part of the config: `base_model` and `output_dir`.

    Returns:
        The scores of both.

    Raises:
        ConfigError: if there is nothing to grade, no student, or an unknown task.
        TrainingError: if lm-eval fails.
    """
    from axolotl_synthetic import grading

    for key in ("base_model", "output_dir"):
        if not training.get(key):
            raise ConfigError(f"{key}: is missing from the config; grading needs Axolotl's `base_model` and `output_dir`")
    folder = settings.folder
    base = grading.ModelArgs(str(training["base_model"]), thinking=settings.keeps_thinking)
    student = grading.student_in(Path(str(training["output_dir"])), base=base.base, thinking=base.thinking)
    held_out = folder / LM_EVAL
    has_held_out = _has_held_out(settings)
    tasks = [*([grading.HELD_OUT_TASK] if has_held_out else []), *settings.grade.tasks]
    if not tasks:
        kept = (
            f"no held-out seed has a final answer to grade by (the task {settings.task}); name lm-eval tasks in `grade.tasks`"
            if settings.seeds.holdout
            else "set `seeds.holdout` (to keep some seeds for it) before generating, or name lm-eval tasks in `grade.tasks`"
        )
        raise ConfigError(f"synthetic.grade: there is nothing to grade: {kept}")
    include = held_out if has_held_out else None
    _refuse_unknown_tasks(settings)
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
                    on_progress=on_progress,
                    databases=settings.seeds.databases,
                    max_gen_toks=settings.grade.max_new_tokens,
                    system=settings.system_message,
                )
            )
    made = grading.compare(base=base.name, student=student.name, base_scores=scores[0], student_scores=scores[1])
    write_text(folder / GRADE, json.dumps(made.to_dict(), indent=2) + "\n")
    return made


def _refuse_unknown_tasks(settings: Settings) -> None:
    """Refuse names in `grade.tasks` that lm-eval does not know, before the first call rather than after the training."""
    from axolotl_synthetic import grading

    if tasks := [task for task in settings.grade.tasks if task not in (grading.HELD_OUT_TASK, *_KNOWN_TASKS)]:
        terminal.notice("looking up the tasks in lm-eval's index (some 15 s)")
        grading.refuse_unknown_tasks(tasks, log=settings.folder / "lm_eval.log")
        _KNOWN_TASKS.update(tasks)


def can_grade(settings: Settings) -> bool:
    """Return whether there is anything to grade by: lm-eval's tasks, or held-out seeds with final answers."""
    return bool(settings.grade.tasks) or _has_held_out(settings)


def _has_held_out(settings: Settings) -> bool:
    from axolotl_synthetic import grading

    return (settings.folder / LM_EVAL / f"{grading.HELD_OUT_TASK}.yaml").exists()


def refuse_open_review(settings: Settings) -> None:
    """Refuse to go on, with `review.unreviewed: wait`, while people have samples to decide.

    Raises:
        ReviewOpenError: with the number of undecided samples, as of the last pull.
    """
    if settings.review is not None and settings.review.unreviewed == "wait":
        from axolotl_synthetic.review import exchange

        exchange.refuse_open(settings.folder, lambda: dataset.read_samples(settings.folder / dataset.SAMPLES))


@contextmanager
def work_of(prepared: Prepared, samples: Path | None = None) -> Iterator[Work]:
    """Yield the run in the form that a review needs; its samples are the finished ones, or those in the given file."""
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
            load_checks=lambda: checks_of(settings, prepared.task, prepared.seeds),
        )


def has_decisions(prepared: Prepared) -> bool:
    """Return whether the training files match the reviewers' decisions and the `preferences` block."""
    settings = prepared.settings
    with Ledger(prepared.ledger) as ledger:
        if (ledger.meta(prepared.meta("reviewed")) or "") != _state(settings):
            return False
    manifest = dataset.read_manifest(settings.folder)
    return settings.preferences is None or all(
        manifest is not None and dataset.has_training_file(settings.folder, manifest, kind) for kind in preferences.KINDS
    )


def _state(settings: Settings) -> str:
    """Return the state that the samples and their files depend on, besides the candidates' settings."""
    from axolotl_synthetic.review import kept

    state = kept.state(settings.folder, "keep" if settings.review is None else settings.review.unreviewed)
    # A ledger of a run without either setting does not record them.
    more = settings.model_dump(mode="json", include={"preferences", "system"})
    return f"{state} {json.dumps(more)}" if more else state


def decide_again(prepared: Prepared, former: Mapping[str, Any]) -> tuple[Mapping[str, Any], applying.Effect | None]:
    """Write samples, training files, card and manifest again, with the current review decisions."""
    folder, state = prepared.settings.folder, _state(prepared.settings)
    samples, effect = _take_samples(prepared, folder / dataset.SAMPLES)
    _put_aside(folder, former, *preferences.KINDS)
    counts, training = dataset.count(samples), _train(prepared, samples)
    _export(prepared)
    manifest = {**former, **dataset.outcome(counts, samples, training, _prefer(prepared, samples))}
    _finish(prepared, manifest, counts)
    with Ledger(prepared.ledger) as ledger:
        ledger.set_meta(**{prepared.meta("reviewed"): state})
    return manifest, effect


def _take_samples(prepared: Prepared, spool: Path) -> tuple[Path, applying.Effect | None]:
    """Turn a spool of verification (or the samples themselves) into the samples file, with the current review decisions."""
    from axolotl_synthetic.review import applying, kept

    folder = prepared.settings.folder
    book = kept.read(folder)
    if not book and spool.name == SPOOL:
        return dataset.write_samples(folder, spool), None
    with work_of(prepared, spool) as work:
        decided = applying.Applying(work, book)
        dataset.write_rows(folder / REVIEWED, decided.rows())
    samples = dataset.write_samples(folder, folder / REVIEWED)
    if spool != samples:
        spool.unlink()
    return samples, decided.effect


def _run_pipeline(
    prepared: Prepared,
    *,
    spool: Path | None = None,
    most_candidates: int | None = None,
    process: PipelineProcess | None = None,
    phases: Sequence[Phase] = (),
    title: str = "",
) -> None:
    from axolotl_synthetic.pipelines import open_files
    from axolotl_synthetic.pipelines.serving import serving

    settings, folder = prepared.settings, prepared.settings.folder
    with ExitStack() as stack:
        process = process or stack.enter_context(waiting())
        models, fewer = open_files.fitted(stack.enter_context(serving(settings, folder, folder / LOG)))
        for text in fewer:
            terminal.notice(text)
        job = replace(_job(prepared, models, spool, most_candidates), phases=tuple(phases))
        ledger = stack.enter_context(Ledger(prepared.ledger))
        ledger.begin_run()
        seeds = len(prepared.seeds.seeds)
        stack.enter_context(
            terminal.watched(
                f"{title}: generating" if title else "generating", _Look(prepared.ledger, settings.budget, seeds, most_candidates)
            )
        )
        try:
            process.run(job, folder / LOG)
        finally:
            if said := ledger.meta(NOTICE):
                terminal.notice(said)


def _job(prepared: Prepared, models: Mapping[Role, ModelSettings], spool: Path | None = None, most_candidates: int | None = None) -> Job:
    from axolotl_synthetic.pipelines.job import Job

    return Job(
        settings=_within(prepared.settings, prepared.most_samples),
        models=models,
        seeds=prepared.seeds.seeds,
        shares=prepared.plan.strategy,
        ledger=prepared.ledger,
        spool=spool or prepared.settings.folder / SPOOL,
        most_candidates=most_candidates,
        held_out=prepared.seeds.held_out,
    )


def _within(settings: Settings, most: int | None) -> Settings:
    """Return the settings with `budget.samples` limited to what the checks can accept; further samples would be paid for and rejected."""
    if most is None or settings.budget.samples is not None:
        return settings
    return settings.model_copy(update={"budget": settings.budget.model_copy(update={"samples": most})})


class _Look:
    """Reads a run's progress from its ledger, for the terminal."""

    def __init__(self, path: Path, budget: Budget, seeds: int, most_candidates: int | None) -> None:
        self._path = path
        self._budget = budget
        self._most = most_candidates
        # After a quarter of the rejections that would end the run, its end cannot be estimated.
        self._doubtful = fruitless_after(seeds) // 4
        self._last = terminal.Stand(0, 0, "calls")
        self._accepted = self._decided = 0

    def __call__(self) -> terminal.Stand:
        # The run itself reports a ledger that cannot be read; a progress display must not end it.
        with suppress(StorageError):
            self._last = self._stand()
        return self._last

    def _stand(self) -> terminal.Stand:
        budget = self._budget
        with BatchLedger(self._path, read_only=True) as ledger:
            progress = ledger.progress()
            queries, _, _ = ledger.spent()
            waiting = " · ".join(filter(None, (_waiting(ledger), batch_line(ledger.under_way()))))
        # Count candidates that wait for an earlier one as accepted, or the bar would stand still for them.
        accepted = progress.accepted + progress.waiting
        verdicts = f"{progress.rejected:,} rejected · {progress.failed:,} failed" + (f" · {waiting}" if waiting else "")
        if self._most is not None:
            return terminal.Stand(progress.seen, self._most, "candidates", f"{verdicts} · {number_of(queries, 'call')}")
        decided = progress.rejected + progress.failed
        if accepted != self._accepted:
            self._accepted, self._decided = accepted, decided
        timed = decided - self._decided < self._doubtful
        if budget.samples is not None and (budget.queries is None or queries < budget.queries / 2):
            return terminal.Stand(accepted, budget.samples, "samples", f"{verdicts} · {number_of(queries, 'call')}", timed)
        return terminal.Stand(queries, budget.queries or 0, "calls", f"{accepted:,} accepted · {verdicts}", timed)


def _write(prepared: Prepared, ledger: Ledger, samples: Path, seconds: float, over: Sequence[Round]) -> Outcome:
    """Write the training file, the lm-eval task, the card, and last the manifest."""
    settings, folder = prepared.settings, prepared.settings.folder
    counts, training = dataset.count(samples), _train(prepared, samples)
    _export(prepared)
    progress = ledger.progress()
    manifest = dataset.manifest(
        ended_by=progress.ended_by,
        strategy=prepared.plan.strategy,
        budget_ratio=prepared.plan.budget_ratio,
        seeds={"count": len(prepared.seeds.seeds), "held_out": len(prepared.seeds.held_out), "sha256": prepared.seeds.sha256},
        counts=counts,
        totals=ledger.totals(),
        reused=progress.reused,
        seconds=seconds,
        samples=samples,
        training=training,
        prices=priced.priced(settings),
        more_files=_prefer(prepared, samples),
        rounds=_rounds_of_manifest(over, prepared, counts, samples),
    )
    ledger.set_meta(**{prepared.meta("finished"): prepared.fingerprint})
    _finish(prepared, manifest, counts)
    return Outcome(manifest, counts, folder)


def _export(prepared: Prepared) -> None:
    """Write the held-out seeds as an lm-eval task."""
    from axolotl_synthetic import grading

    grading.export_task(
        prepared.settings.folder / LM_EVAL,
        task=prepared.task,
        held_out=prepared.seeds.held_out,
        max_gen_toks=prepared.settings.grade.max_new_tokens,
        system=prepared.settings.system_message,
    )


def _train(prepared: Prepared, samples: Path) -> dataset.TrainingFile:
    """Write the training file of these samples."""
    return training_file_of(prepared.settings.folder, samples, prepared.settings, prepared.task, prepared.seeds.seeds)


def _prefer(prepared: Prepared, samples: Path) -> Mapping[str, Any]:
    """Write the files of right and wrong answers and return them by their names in the manifest; empty without `preferences`."""
    settings, task = prepared.settings, prepared.task
    if settings.preferences is None:
        return {}
    seeds, system = prepared.seeds.seeds if settings.include_seeds else (), settings.system_message
    chats = dataset.seed_chats(seeds, functools.partial(_prompt, task), task.solution, system=system, chats=has_turns(task))
    written = preferences.write(settings.folder, samples, chats, settings.preferences, system)
    return {kind: file.to_dict() for kind, file in written.items()}


def _prompt(task: Task, seed: Seed) -> str:
    return task.prompt(seed.question)


def _finish(prepared: Prepared, manifest: Mapping[str, Any], counts: dataset.Counts) -> None:
    """Write the card, and last the manifest."""
    settings, folder = prepared.settings, prepared.settings.folder
    teacher, augmenter = (model_name(settings.model_for(role)) for role in ("teacher", "augmenter"))
    dataset.write_card(folder, manifest, task=settings.task, teacher=teacher, augmenter=augmenter, counts=counts)
    write_text(folder / dataset.MANIFEST, json.dumps(manifest, indent=2) + "\n")
