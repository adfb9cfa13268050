"""What a check is, and how those of a run are found by name. Each check has a file of its own.

A check judges one candidate and says why, or says that it did not apply. It makes no calls: what it needs of a model was asked
for by the strategy. A check that breaks fails the candidate and counts as broken, never as passed or as wrong.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from axolotl_synthetic.errors import ConfigError, SyntheticError
from axolotl_synthetic.records import Candidate, Seed, Verdict

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task

Judge = Callable[[Candidate, Seed], Verdict]

# In the order in which they run; the first that fails is the reason for a rejection.
NAMES = ("self_check", "format", "execution", "final_answer", "duplicate")


@dataclass(frozen=True)
class Check:
    """One check of a run, with its options.

    Attributes:
        in_order: it compares a candidate with the accepted ones before it, so it sees candidates by their numbers, and only
            those that passed every other check.
    """

    name: str
    judge: Judge
    in_order: bool = False

    def __call__(self, candidate: Candidate, seed: Seed) -> Verdict:
        try:
            verdict = self.judge(candidate, seed)
        except SyntheticError:
            raise  # nothing can be judged any more, and no candidate is to blame
        except Exception as error:  # the boundary: one broken check must not end the run
            return Verdict(self.name, False, f"{type(error).__name__}: {error}", broken=True)
        return replace(verdict, name=self.name)


def load_checks(
    verify: Sequence[str | Mapping[str, Mapping[str, Any]]] | None, task: Task, keeps_answer: Mapping[str, bool]
) -> tuple[Check, ...]:
    """The checks of a run, those in order last.

    Args:
        verify: the config's; None for all that the task has use for.
        keeps_answer: for each strategy, whether its samples must have the seed's final answer.

    Raises:
        ConfigError: if a name or an option is unknown.
    """
    options: dict[str, Mapping[str, Any]] = {}
    for entry in NAMES if verify is None else verify:
        options.update({entry: {}} if isinstance(entry, str) else entry)
    problems = [f"synthetic.verify: no check is named {name!r}; there are {', '.join(NAMES)}" for name in options if name not in NAMES]
    if problems:
        raise ConfigError("\n".join(problems))
    checks = []
    for name in NAMES:
        if name not in options:
            continue
        module = importlib.import_module(f"{__name__}.{name}")
        known = [parameter for parameter in inspect.signature(module.make).parameters if parameter not in ("task", "keeps_answer")]
        for option in options[name]:
            if option not in known:
                raise ConfigError(f"synthetic.verify.{name}.{option}: unknown option; {name} takes {', '.join(known) or 'no options'}")
        checks.append(Check(name, module.make(task, keeps_answer, **options[name]), getattr(module, "IN_ORDER", False)))
    return tuple(sorted(checks, key=lambda check: check.in_order))
