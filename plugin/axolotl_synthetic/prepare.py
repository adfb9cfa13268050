"""Preparation of a run before its first call: the config, its seeds, task, checks and strategy, and whether the output folder matches.

All problems with these are found here. `run.py` does the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axolotl_synthetic import dataset, terminal, versions
from axolotl_synthetic.checks import Check, extra_calls, files_read, load_checks, load_inquiries
from axolotl_synthetic.checks.gold import failing_seeds
from axolotl_synthetic.config import NO_WRONG_ANSWER, OF_THE_SEED, OF_THE_WAY, Preferences, Settings
from axolotl_synthetic.errors import ConfigError, StorageError
from axolotl_synthetic.files import sha256
from axolotl_synthetic.ledger import Ledger, worst_prompt_tokens
from axolotl_synthetic.plan import Case, Plan, costs, decide
from axolotl_synthetic.plan.measured import Measured, read_measured
from axolotl_synthetic.records import ANSWER_AUGMENTATION, NEW_QUESTION, STRATEGIES, Purpose, Seed
from axolotl_synthetic.seeds import SeedSet, read_seeds
from axolotl_synthetic.strategies import load_strategies
from axolotl_synthetic.strategies.lengths import lengths
from axolotl_synthetic.student import refuse_no_weights
from axolotl_synthetic.tasks import Task, has_turns, load_task, own_prompts
from axolotl_synthetic.teachers import model_name
from axolotl_synthetic.wording import number_of

LEDGER = "ledger.sqlite"
# Settings that do not change the candidates, so a finished run stays finished when they change. Decisions of people in review are
# applied without another run: see `run.has_decisions`.
IRRELEVANT: dict[str, Any] = {
    **dict.fromkeys(("grade", "output_dir", "engine", "study", "review", "weight", "thinking_key", "preferences", "system"), True),
    **dict.fromkeys(("teacher", "augmenter", "student"), OF_THE_WAY),
    "seeds": {"may_fail"},
    "rounds": {"train", "launcher"},
}
# A check's calls are averaged over the rounds. More rounds do not change the average, and 10^9 of them would take too long.
MOST_ROUNDS = 10_000
# More would fill a terminal.
PROBLEMS_SHOWN = 10


@dataclass(frozen=True)
class Prepared:
    """A config with its seeds, task, checks and strategy.

    Attributes:
        case, lengths, rates: inputs of the plan.
        study: a finished study by which `auto` decides.
        shared_ledger: a ledger that other folders also use; None for the folder's own.
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
        """Return this folder's key in the ledger's metadata; a shared ledger has keys of several folders."""
        return key if self.shared_ledger is None else f"{key} of {self.settings.folder.name}"

    @property
    def fingerprint(self) -> str:
        """Return a hash of everything that decides the training file."""
        return self._digest(IRRELEVANT)

    @property
    def fingerprint_of_candidates(self) -> str:
        """Return a hash of everything that decides what a candidate is like, whatever the number and order of all."""
        return self._digest({**IRRELEVANT, "budget": True, "rounds": True})

    def _digest(self, irrelevant: dict[str, Any]) -> str:
        relevant = self.settings.model_dump(mode="json", exclude=irrelevant)
        # Rows that change may change a verdict.
        databases = sorted({Path(seed.question.database_file) for seed in self.seeds.seeds if seed.question.database_file is not None})
        files = [sha256(path) for path in (*files_read(self.settings.verify, self.task), *own_prompts(self.task), *databases)]
        # A row beyond `seeds.limit` may add its label to every prompt.
        labels = [seed.question.labels for seed in self.seeds.seeds[:1] if not seed.question.choices and seed.question.labels]
        text = json.dumps([1, relevant, self.seeds.sha256, dict(self.plan.strategy), files, *labels], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def most_samples(self) -> int | None:
        """Return the number of samples that the checks can accept at most, None without a limit."""
        caps = [check.options.per_seed for check in self.checks if check.name == "diversity"]
        return caps[0] * len(self.seeds.seeds) if caps else None


def prepare(settings: Settings, *, student: str | None = None) -> Prepared:
    """Prepare a run and find every problem that can be found before the first call.

    Args:
        settings: the block.
        student: Axolotl's `base_model`, for the plan's words.

    Raises:
        ConfigError: if the task, a check or the seeds are wrong, or the student is a folder without weights.
    """
    if student is not None:
        refuse_no_weights(student)
    if settings.weight is not None and not versions.datasets_take_weight():
        raise ConfigError(
            f"synthetic.weight: {settings.weight:g}: needs Axolotl 0.20 or newer, and {versions.installed('axolotl')} is installed, which"
            " would train on all of the file; upgrade Axolotl or remove `weight:`"
        )
    task = load_task(settings.task, settings.prompts, settings.language)
    own_prompts(task)
    _refuse_unfit(settings, task)
    inquiries = load_inquiries(settings.verify, task)
    seeds = read_seeds(
        settings.seeds,
        required=task.required,
        optional=task.optional,
        problem=task.problem,
        seed=settings.seed,
        reads_numbers=getattr(task, "reads_numbers", False),
        labels=settings.labels,
    )
    checks = checks_of(settings, task, seeds)
    _refuse_unknown_reasons(settings, checks)
    if settings.system == OF_THE_SEED and not any(role == "system" for seed in seeds.seeds for role, _ in seed.question.turns):
        raise ConfigError(
            f"synthetic.system: seed: no seed of the task {settings.task} has a system message of its own, as those of chat and instruction"
            " may; write the text that all are to have, or remove `system:`"
        )
    answered = sum(seed.answer is not None for seed in seeds.seeds) / len(seeds.seeds)
    case = Case(
        seeds=len(seeds.seeds),
        teacher=model_name(settings.teacher),
        augmenter=model_name(settings.model_for("augmenter")),
        student=student,
        checkable=task.has_final_answer,
        answered=answered,
        solutions=_solutions(task, seeds.seeds),
        one_answer=getattr(task, "one_answer", False),
    )
    # The uses of each seed are unknown until the strategy is decided; assume this many, as if nothing is rejected.
    rounds = max(1, round((settings.budget.samples or settings.budget.queries or 0) / len(seeds.seeds)))
    rounds = min(rounds, MOST_ROUNDS)
    extra = {name: extra_calls(inquiries, name, rounds) for name in STRATEGIES} if inquiries else {}
    found = lengths(settings, task, seeds.seeds, worst_prompt_tokens)
    rates = costs.assume(settings, found, costs.calls_per_sample(settings, answered, extra), rounds)
    study = None if settings.study is None else read_measured(Path(settings.study).expanduser(), task=settings.task)
    prepared = Prepared(settings, task, seeds, decide(settings, case, rates, study), case, found, rates, checks, study)
    most, samples = prepared.most_samples, settings.budget.samples
    if most is not None and samples is not None and most < samples:
        raise ConfigError(
            f"synthetic.budget.samples: {number_of(samples, 'sample')} cannot be had where verify.diversity.per_seed allows"
            f" {number_of(len(seeds.seeds), 'seed')}"
            f" {most} together; lower budget.samples, raise per_seed, or give more seeds"
        )
    return prepared


def _refuse_unfit(settings: Settings, task: Task) -> None:
    """Refuse settings that a user's own task does not support; the config's schema checks ours.

    Raises:
        ConfigError: with the class that supports them.
    """
    for key, wanted, member, base in (
        ("turns", settings.turns is not None, "opening", "chat.Chat"),
        ("balance", settings.balance == "uniform", "kinds", "classification.Classification"),
    ):
        if wanted and not hasattr(task, member):
            raise ConfigError(
                f"synthetic.{key}: the task {settings.task} has no `{member}`, which this needs; derive its class from"
                f" axolotl_synthetic.tasks.{base}, or remove `{key}:`"
            )


def _refuse_unknown_reasons(settings: Settings, checks: Sequence[Check]) -> None:
    """Refuse reasons of `preferences` that no check has: a misspelt name would match nothing.

    Raises:
        ConfigError: with the known names: the checks of this run and the default reasons.
    """
    if settings.preferences is None:
        return
    known = {check.name for check in checks} - NO_WRONG_ANSWER.keys() | set(Preferences().reasons)
    if unknown := [name for name in settings.preferences.reasons if name not in known]:
        raise ConfigError(
            f"synthetic.preferences.reasons: no check of this run is named {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        )


def _solutions(task: Task, seeds: Sequence[Seed]) -> int | None:
    """Return how many different texts the seeds' answers are, None if the task's class fails on one."""
    try:
        return len({solution for seed in seeds if (solution := task.solution(seed)) is not None})
    except Exception:  # `verify_seeds` reports a seed on which a user's class fails
        return None


def finished(prepared: Prepared) -> Mapping[str, Any] | None:
    """Return the manifest if it belongs to these settings and seeds and its training file is unchanged."""
    folder = prepared.settings.folder
    manifest = dataset.read_manifest(folder)
    if not prepared.ledger.exists():
        return None
    with Ledger(prepared.ledger) as ledger:
        _refuse_another(ledger, prepared)
        same = ledger.meta(prepared.meta("finished")) == prepared.fingerprint
    if manifest is None or not same or not dataset.has_training_file(folder, manifest):
        return None
    return manifest


def claim(ledger: Ledger, prepared: Prepared) -> None:
    """Record what the folder is for, once.

    Raises:
        ConfigError: if it belongs to another run, or holds the user's files that this run would overwrite.
    """
    _refuse_another(ledger, prepared)
    if ledger.meta(prepared.meta("task")) is None:
        _refuse_users_files(prepared.settings.folder)
        seeds = json.dumps(sorted(seed.id for seed in prepared.seeds.seeds))
        ledger.set_meta(**{prepared.meta("task"): prepared.settings.task, prepared.meta("seeds"): seeds})


def _refuse_users_files(folder: Path) -> None:
    """Refuse a folder without a run that has files with our names: they are the user's."""
    if dataset.read_manifest(folder) is not None:
        return
    theirs = [name for name in (dataset.CARD, dataset.SAMPLES) if (folder / name).exists()]
    if theirs:
        raise ConfigError(
            f"synthetic.output_dir: {folder} holds {' and '.join(theirs)}, which no run has made and this one would write over; choose a"
            " folder of its own, such as ./synthetic"
        )


def _refuse_another(ledger: Ledger, prepared: Prepared) -> None:
    folder, task = prepared.settings.folder, prepared.settings.task
    remedy = "choose another output_dir, or delete that folder to begin anew"
    if (made_for := ledger.meta(prepared.meta("task"))) is not None and made_for != task:
        raise ConfigError(f"synthetic.task: {folder} was made for the task {made_for}, and this config says {task}; {remedy}")
    if (known := ledger.meta(prepared.meta("seeds"))) is not None:
        before, now = _known_seeds(known, ledger.path), {seed.id for seed in prepared.seeds.seeds}
        if before != now:
            raise ConfigError(
                f"synthetic.seeds: {folder} was made with other seeds: {len(before & now)} are the same, {len(now - before)} are new,"
                f" {len(before - now)} are gone; {remedy}"
            )


def _known_seeds(text: str, path: Path) -> set[str]:
    try:
        return {str(seed) for seed in json.loads(text)}
    except (ValueError, TypeError) as error:
        raise StorageError(f"{path}: is damaged ({error}); choose another output_dir, or delete that folder to begin anew") from error


def tell_problems(prepared: Prepared) -> None:
    _tell_first(prepared.seeds.problems)
    held_out = prepared.seeds.held_out
    task = prepared.task
    if held_out and not any((task.solution if has_turns(task) else task.gold_answer)(seed) is not None for seed in held_out):
        terminal.notice(
            f"seeds: {number_of(len(held_out), 'held-out seed is', 'held-out seeds are')} kept for nothing: none has a final answer"
            " to grade a student by (the task"
            f" {prepared.settings.task}); set `seeds.holdout: 0` to generate from them, and grade by lm-eval tasks in `grade.tasks`"
        )
    if prepared.settings.turns is not None and NEW_QUESTION not in prepared.plan.strategy:
        terminal.notice(
            f"turns: {prepared.settings.turns}: is the length of whole new conversations, and the strategy makes none; write"
            " `strategy: new_question` for them"
        )
    if prepared.settings.student is not None and NEW_QUESTION not in prepared.plan.strategy:
        terminal.notice(
            "verify: difficulty is for new questions, and the strategy makes none; write `strategy: new_question`, or remove the check and"
            " `student:`"
        )
    if prepared.settings.language is not None:
        _tell_of_the_seeds_language(prepared)
    without = sum(seed.answer is None for seed in prepared.seeds.seeds)
    if without and prepared.task.has_final_answer:
        terminal.notice(f"seeds: {without} of {len(prepared.seeds.seeds)} have no answer: the check final_answer is off for them")


def _tell_of_the_seeds_language(prepared: Prepared) -> None:
    """Report which texts stay in the seeds' language if another one is configured."""
    settings = prepared.settings
    stays = ["the questions of answer_augmentation"] if prepared.plan.strategy.get(ANSWER_AUGMENTATION) else []
    stays += ["the seed pairs (`include_seeds: false` leaves them out)"] if settings.include_seeds else []
    stays += ["the held-out questions"] if prepared.seeds.held_out else []
    before = {role for seed in prepared.seeds.seeds for role, _ in seed.question.turns}
    stays += ["the system messages"] if "system" in before and settings.system in (None, "seed") else []
    within = settings.turns is None or any(share for name, share in prepared.plan.strategy.items() if name != NEW_QUESTION)
    stays += ["the turns before a chat's last"] if "user" in before and within else []
    if stays:
        terminal.notice(f"language: {settings.language} is asked for; in the seeds' own language stay {' and '.join(stays)}")


def _tell_first(problems: Sequence[str]) -> None:
    for problem in problems[:PROBLEMS_SHOWN]:
        terminal.notice(f"seeds: {problem}")
    if len(problems) > PROBLEMS_SHOWN:
        terminal.notice(f"seeds: … and {len(problems) - PROBLEMS_SHOWN} more")


def refuse_unusable_rows(prepared: Prepared) -> None:
    """Refuse a seeds file with more unusable rows than `seeds.may_fail` allows.

    Raises:
        ConfigError: if too many rows cannot be read or used: the rest may not represent the file.
    """
    unusable = prepared.seeds.unusable
    rows = len(prepared.seeds.places) + unusable
    _refuse_above(prepared, unusable, rows, "rows cannot be used", "correct them", "go on without them")


def verify_seeds(prepared: Prepared) -> None:
    """Apply the run's checks to the seeds' rows and own answers, before anything is paid for.

    Raises:
        ConfigError: if more of them fail than `seeds.may_fail` allows.
    """
    refuse_unusable_rows(prepared)
    seeds = prepared.seeds
    failing = [
        f"{seeds.places[seed.id]} ({seed.id}): its own answer fails {verdict.name}: {verdict.detail}"
        for seed, verdict in failing_seeds(seeds.seeds, prepared.task, prepared.checks)
    ]
    _tell_first(failing)
    what = "seeds fail the checks of this run with their own answers"
    _refuse_above(prepared, len(failing), len(seeds.seeds), what, "correct them, change the checks in `verify:`", "use them as they are")


def _refuse_above(prepared: Prepared, count: int, of: int, what: str, remedy: str, then: str) -> None:
    may_fail = prepared.settings.seeds.may_fail
    if count > may_fail * of:
        raise ConfigError(
            f"synthetic.seeds: {count} of {of} {what} ({count / of:.1%}, and seeds.may_fail is {may_fail:g}); {remedy}, or raise"
            f" seeds.may_fail to {then}"
        )


def checks_of(settings: Settings, task: Task, seeds: SeedSet) -> tuple[Check, ...]:
    """Return the checks of a run, which have seen no sample yet."""
    keeps_answer = {name: strategy.keeps_answer for name, strategy in load_strategies().items()}
    return load_checks(
        *(settings.verify, task, keeps_answer),
        seeds=seeds.seeds,
        held_out=seeds.held_out,
        include_seeds=settings.include_seeds,
    )
