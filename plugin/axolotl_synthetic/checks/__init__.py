"""The interface of checks, and the lookup of a run's checks by name. Each check has its own file.

A check judges one candidate and gives a reason, or says that it did not apply. It makes no calls itself: the strategy asks the model, or
the check's `inquire` does so after the strategy, in the same chain of calls. A check that raises an exception fails the candidate and
counts as broken, never as passed or as wrong.

A check's file defines

    make(task, keeps_answer, …)   returns the judge; it may also take `options`, `seeds`, `held_out` and `include_seeds`
    Options                       a schema of what the user may set; without one, the further parameters of `make` are the options
    IN_ORDER                      true: see `Check.in_order`
    calls(options, strategy, round), inquire(candidate, source, task, ask, options)
                                  the largest number of calls beyond the strategy's, and the calls themselves
    PURPOSE                       the purpose of its calls in the ledger and the plan; without one they cost what an answer costs
    AFTER                         another check that is loaded with it; candidates that the other rejects cost no calls
    expected(options, strategy, rounds)
                                  the average number of calls for a sample, where candidates share them
    files(options)                the files that it reads, so that a run is made again when one of them changes
    problem(options, task)        why it cannot be used, as the text after `synthetic.verify.<name>`; None when it can
    serves(task)                  whether it applies to this task's samples; otherwise it is not among the defaults

A user's own check is a function, named by its dotted path: `verify: [my_package.my_check]`. See `Judge`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from axolotl_synthetic.errors import ConfigError, SyntheticError
from axolotl_synthetic.own_code import imported
from axolotl_synthetic.records import Candidate, Purpose, Reply, Request, Seed, Verdict
from axolotl_synthetic.yaml_reader import short

if TYPE_CHECKING:
    from axolotl_synthetic.strategies import Source
    from axolotl_synthetic.tasks import Task


class Judge(Protocol):
    """A function that decides on one candidate; a user's own check is such a function.

    It returns `passed`, `failed` or `not_applicable` of `axolotl_synthetic.records`.
    """

    def __call__(self, candidate: Candidate, seed: Seed, /) -> Verdict: ...


Verify = Sequence[str | Mapping[str, Mapping[str, Any]]] | None
Ask = Callable[[Request], Awaitable[Reply]]

# Checks run in this order; the first that fails is the reason for a rejection.
NAMES = (
    "self_check",
    "rephrase_fidelity",
    "format",
    "length",
    "style",
    "execution",
    "final_answer",
    "self_consistency",
    "difficulty",
    "judge",
    "decontamination",
    "duplicate",
    "near_duplicate",
    "diversity",
)
# The checks that run where `verify` is null, each only if it applies to the task. They leave out checks that cost calls
# (self_consistency, difficulty, judge), checks that need a number from the user (length, diversity), and near_duplicate, which would
# reject most of the answers to one question that Answer Augmentation asks for.
DEFAULTS = ("self_check", "rephrase_fidelity", "format", "execution", "final_answer", "decontamination", "duplicate")


@dataclass(frozen=True)
class Check:
    """One check of a run, with its options.

    Attributes:
        in_order: whether it compares a candidate with the samples accepted before it. Such a check receives candidates in the order of
            their numbers, and only those that passed every other check.
        asks: whether it judges by a model's reply. Such a check cannot judge a seed.
        options: what the user set, completed with the defaults; a plain mapping where the check has no schema.
    """

    name: str
    judge: Judge
    in_order: bool = False
    asks: bool = False
    options: Any = None

    def __call__(self, candidate: Candidate, seed: Seed) -> Verdict:
        try:
            verdict = self.judge(candidate, seed)
        except SyntheticError:
            raise  # nothing can be judged any more, and no candidate is to blame
        except (Exception, SystemExit) as error:  # the boundary: one broken check must not end the run
            return Verdict(self.name, False, f"{type(error).__name__}: {error}", broken=True)
        return replace(verdict, name=self.name)

    def remember(self, candidate: Candidate) -> None:
        """Tell an `in_order` check that this candidate was accepted, so that it compares later ones with it."""
        if self.in_order:
            self.judge.remember(candidate)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Inquiry:
    """The calls that a check makes to a model about each candidate.

    Attributes:
        purpose: the purpose of its calls in the plan; an answer, if its file names none.
        after: the inquiry of another check; candidates that it rejects cost no calls.
    """

    name: str
    module: ModuleType
    options: Any
    after: Inquiry | None = None

    @property
    def purpose(self) -> Purpose:
        purpose: Purpose = getattr(self.module, "PURPOSE", "answer")
        return purpose

    def is_vain(self, candidate: Candidate, seed: Seed, task: Task) -> bool:
        """Return whether the check named by `after` already rejects the candidate. This may take as long as comparing answers does."""
        if self.after is None or not candidate.answer or candidate.question is None:
            return False
        answered = replace(candidate, final_answer=task.final_answer(candidate.answer, candidate.question))
        check = Check(self.after.name, self.after.module.make(task, {}, options=self.after.options))
        return check(answered, seed).passed is False

    def calls(self, strategy: str, round: int) -> int:
        """Return the number of calls beyond the strategy's own, when none fails and no reply is cached."""
        return int(self.module.calls(self.options, strategy, round))

    def expected(self, strategy: str, rounds: int) -> float:
        """Return the average number of calls for a sample beyond the strategy's own, when each seed gets `rounds` samples."""
        if hasattr(self.module, "expected"):
            return float(self.module.expected(self.options, strategy, rounds))
        return sum(self.calls(strategy, round) for round in range(rounds)) / rounds

    async def __call__(self, candidate: Candidate, source: Source, task: Task, ask: Ask) -> Candidate:
        """Return the candidate with the model's reply. It is failed, with the reason, where the reply could not be read."""
        made: Candidate = await self.module.inquire(candidate, source, task, ask, self.options)
        return made


def load_checks(
    verify: Verify,
    task: Task,
    keeps_answer: Mapping[str, bool],
    *,
    seeds: Sequence[Seed] = (),
    held_out: Sequence[Seed] = (),
    include_seeds: bool = False,
) -> tuple[Check, ...]:
    """Return the checks of a run, with the `in_order` checks last.

    Args:
        verify: the config's; None for every default check that applies to the task.
        keeps_answer: for each strategy, whether its samples must have the seed's final answer.
        seeds: those of the run.
        held_out: those kept for grading.
        include_seeds: whether the pairs of `seeds` are trained on.

    Raises:
        ConfigError: if a name or an option is unknown, an option has an invalid value, or a file cannot be read.
    """
    beside = {"seeds": seeds, "held_out": held_out, "include_seeds": include_seeds}
    checks = []
    for name, module, options in _chosen(verify, task):
        if not isinstance(module, ModuleType):
            checks.append(Check(name, module))
            continue
        parameters = inspect.signature(module.make).parameters
        given: dict[str, Any] = {key: value for key, value in beside.items() if key in parameters}
        given |= {"options": options} if hasattr(module, "Options") else options
        judge = module.make(task, keeps_answer, **given)
        checks.append(Check(name, judge, getattr(module, "IN_ORDER", False), hasattr(module, "inquire"), options))
    return tuple(sorted(checks, key=lambda check: check.in_order))


def load_inquiries(verify: Verify, task: Task) -> tuple[Inquiry, ...]:
    """Return the inquiries of a run's checks.

    Raises:
        ConfigError: as `load_checks`.
    """
    found: dict[str, Inquiry] = {}
    for name, module, options in _chosen(verify, task):
        if isinstance(module, ModuleType) and hasattr(module, "inquire"):
            found[name] = Inquiry(name, module, options, found.get(getattr(module, "AFTER", "")))
    return tuple(found.values())


def extra_calls(inquiries: Sequence[Inquiry], strategy: str, rounds: int) -> dict[Purpose, float]:
    """Return the average number of calls for a sample beyond the strategy's own, by purpose, when each seed gets `rounds` samples."""
    calls: dict[Purpose, float] = {}
    for inquiry in inquiries:
        calls[inquiry.purpose] = calls.get(inquiry.purpose, 0) + inquiry.expected(strategy, rounds)
    return calls


def files_read(verify: Verify, task: Task) -> tuple[Path, ...]:
    """Return the files that the checks of a run read, including the source files of the user's own checks."""
    files: list[Path] = []
    for _, module, options in _chosen(verify, task):
        if not isinstance(module, ModuleType):
            source = inspect.getsourcefile(module)
            files += [Path(source)] if source else []
        elif hasattr(module, "files"):
            files += module.files(options)
    return tuple(files)


def names_of(verify: Verify, task: Task) -> tuple[str, ...]:
    """Return the names of a run's checks."""
    return tuple(name for name, _, _ in _chosen(verify, task))


def _chosen(verify: Verify, task: Task) -> list[tuple[str, ModuleType | Judge, Any]]:
    """Return the checks that a config names, in the order in which they run: the user's own after ours.

    Each has its module, or the user's function, and its options.
    """
    chosen: dict[str, Mapping[str, Any]] = {}
    for entry in _defaults(task) if verify is None else verify:
        chosen.update({entry: {}} if isinstance(entry, str) else entry)
    problems = [
        f"synthetic.verify: no check is named {short(name)}; there are {', '.join(NAMES)}, or the dotted path of a function of yours"
        for name in chosen
        if name not in NAMES and "." not in name
    ]
    modules = {name: _module(name) for name in NAMES if name in chosen}
    brought = {after for module in modules.values() if (after := getattr(module, "AFTER", None)) not in (None, *chosen)}
    modules = {name: modules.get(name) or _module(name) for name in NAMES if name in modules or name in brought}
    found: list[tuple[str, ModuleType | Judge, Any]] = []
    for name, module in modules.items():
        options, wrong = _options(name, module, chosen.get(name, {}))
        if not wrong and name in chosen and hasattr(module, "problem") and (unfit := module.problem(options, task)) is not None:
            wrong = [f"synthetic.verify.{name}{unfit}"]
        problems += wrong
        found.append((name, module, options))
    for name in (name for name in chosen if "." in name):
        if chosen[name]:
            problems.append(f"synthetic.verify.{name}: a function of yours takes no options; write its values into it")
        try:
            found.append((name, _own_check(name), {}))
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    return found


def _own_check(name: str) -> Judge:
    wanted = "write a function that takes a candidate and its seed, and returns a Verdict"
    check = imported(name, "synthetic.verify", wanted.removeprefix("write "))
    if not callable(check) or inspect.isclass(check):
        raise ConfigError(
            f"synthetic.verify: {name!r} is no function; write one that takes a candidate and its seed, and returns a Verdict"
        )
    try:
        inspect.signature(check).bind(None, None)
    except TypeError as error:
        raise ConfigError(f"synthetic.verify: {name!r} does not take a candidate and its seed: {error}") from error
    judge: Judge = check
    return judge


def _defaults(task: Task) -> list[str]:
    names = (*DEFAULTS, *getattr(task, "checks", ()))
    return [name for name in names if not hasattr(module := _module(name), "serves") or module.serves(task)]


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")


def _options(name: str, module: ModuleType, given: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """Return the options of a check, and the problems in them."""
    path = f"synthetic.verify.{name}"
    schema = getattr(module, "Options", None)
    beside = ("task", "keeps_answer", "seeds", "held_out", "include_seeds", "options")
    known = list(schema.model_fields) if schema else [key for key in inspect.signature(module.make).parameters if key not in beside]
    wrong = [f"{path}.{key}: unknown option; {name} takes {', '.join(known) or 'no options'}" for key in given if key not in known]
    if schema is None or wrong:
        return dict(given), wrong
    try:
        return schema.model_validate(dict(given)), []
    except ValidationError as error:
        return None, [_described(path, detail) for detail in error.errors(include_url=False)]


def _described(path: str, detail: Any) -> str:
    where = ".".join([path, *map(str, detail["loc"])])
    error = detail.get("ctx", {}).get("error")
    message = str(error) if error else detail["msg"][:1].lower() + detail["msg"][1:]
    if detail["type"] == "missing":
        return f"{where}: is required; write {path.rpartition('.')[2]}: {{{detail['loc'][-1]}: …}}"
    if not detail["loc"]:
        return f"{where}: {message}"
    value = repr(detail["input"])
    return f"{where}: {value if len(value) <= 80 else value[:79] + '…'}: {message}"
