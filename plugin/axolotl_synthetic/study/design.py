"""What a study is made of: lines (a strategy or other arm, a number of seeds, a repeat), and along each, cells of more samples. Pure.

The candidates of a line come in an order that its number of samples does not change, so a smaller cell's samples are the first of a
larger one's: a line is generated once, up to its largest cell. Rounds alone depend on it, so there a line has one cell. Its
seeds are the first of those that a larger line of the same repeat has, and what is held out is the same for all lines of a repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from axolotl_synthetic.config import Budget, Settings
from axolotl_synthetic.study.settings import Study


@dataclass(frozen=True, order=True)
class Line:
    """What is generated together.

    Attributes:
        repeat: from 0.
        arm: its name: a strategy's, or one of `arms`.
        samples: of its one cell; 0 where it has all.
    """

    repeat: int
    seeds: int
    arm: str
    samples: int = 0

    @property
    def name(self) -> str:
        only = f"-{self.samples}-samples" if self.samples else ""
        return f"{self.arm}-{self.seeds}-seeds{only}-repeat-{self.repeat + 1}"


@dataclass(frozen=True, order=True)
class Cell:
    """What is trained and graded: the first `samples` accepted ones of a line."""

    line: Line
    samples: int

    @property
    def name(self) -> str:
        line = self.line
        return f"{line.arm}-{line.seeds}-seeds-{self.samples}-samples-repeat-{line.repeat + 1}"


def lines(study: Study) -> Iterator[Line]:
    """In the order in which they are made: a whole repeat before the next, so that a study which is stopped has one."""
    for repeat in range(study.repeats):
        for seeds in study.seed_sizes:
            for name, arm in study.compared.items():
                for samples in study.samples if arm.is_in_rounds else [0]:
                    yield Line(repeat, seeds, name, samples)


def cells(study: Study, line: Line) -> list[Cell]:
    return [Cell(line, samples) for samples in study.samples if line.samples in (0, samples)]


def settings_of(study: Study, line: Line, settings: Settings) -> Settings:
    """The `synthetic:` block that a line is generated with: the user's, with another draw for each repeat."""
    arm = study.compared[line.arm]
    return settings.model_copy(
        update={
            "strategy": arm.strategy,
            "rounds": None if arm.rounds is None else arm.rounds.model_copy(update={"launcher": arm.rounds.launcher or study.launcher}),
            **({} if arm.verify is None else {"verify": arm.verify}),
            "seeds": settings.seeds.model_copy(update={"limit": line.seeds}),
            "seed": settings.seed + line.repeat,
            "budget": Budget(samples=line.samples or study.samples[-1], **study.budget.model_dump()),
            "output_dir": str(study.folder / "lines" / line.name),
            "study": None,
            "review": None,
        }
    )


def first_accepted(rows: Iterable[Mapping[str, Any]], samples: int) -> list[Mapping[str, Any]] | None:
    """The candidates up to the one that makes so many accepted: what a run with that budget makes. None when there are fewer."""
    found, accepted = [], 0
    for row in rows:
        found.append(row)
        accepted += row["status"] == "accepted"
        if accepted == samples:
            return found
    return None


def epochs(training: Mapping[str, Any]) -> str:
    """How long the students are trained, in words. The paper trains for 3 epochs, so that more samples also mean more steps."""
    if (steps := training.get("max_steps")) and steps > 0:
        return f"every student for the same {steps:,} steps (`max_steps`), where the paper's train longer on more samples (3 epochs)"
    number = training.get("num_epochs") or 1
    same = "as in the paper" if number == 3 else "where the paper trains for 3"
    return f"every student for {number:g} epoch{'' if number == 1 else 's'}, {same}, so one with more samples for more steps"
