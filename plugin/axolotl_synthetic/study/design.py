"""Parts of a study: lines (a strategy or other arm, a number of seeds, a repeat), and cells of more samples on each. Pure.

A line's candidates come in an order that does not depend on the number of samples, so a smaller cell's samples are the first of a larger
one's. A line is therefore generated once, up to its largest cell. Only rounds depend on the number of samples, so with rounds each line
has one cell. A line's seeds are the first of a larger line's of the same repeat. All lines of a repeat hold out the same seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from axolotl_synthetic.config import Budget, Settings
from axolotl_synthetic.study.settings import Study


@dataclass(frozen=True, order=True)
class Line:
    """Cells that are generated together.

    Attributes:
        repeat: from 0.
        arm: its name: a strategy's, or one of `arms`.
        samples: of its only cell; 0 if it has all.
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
    """One student to train and grade: on the first `samples` accepted samples of a line."""

    line: Line
    samples: int

    @property
    def name(self) -> str:
        line = self.line
        return f"{line.arm}-{line.seeds}-seeds-{self.samples}-samples-repeat-{line.repeat + 1}"


def lines(study: Study) -> Iterator[Line]:
    """Yield the lines in the order of their making: repeat by repeat, so that a stopped study has whole repeats."""
    for repeat in range(study.repeats):
        for seeds in study.seed_sizes:
            for name, arm in study.compared.items():
                for samples in study.samples if arm.is_in_rounds else [0]:
                    yield Line(repeat, seeds, name, samples)


def cells(study: Study, line: Line) -> list[Cell]:
    return [Cell(line, samples) for samples in study.samples if line.samples in (0, samples)]


def settings_of(study: Study, line: Line, settings: Settings) -> Settings:
    """Return the `synthetic:` block that generates a line: the user's, with another draw for each repeat."""
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
    """Return the candidates that a run with a budget of `samples` makes; None if fewer are accepted."""
    found, accepted = [], 0
    for row in rows:
        found.append(row)
        accepted += row["status"] == "accepted"
        if accepted == samples:
            return found
    return None


def epochs(training: Mapping[str, Any]) -> str:
    """Describe how long the students are trained. The paper trains for 3 epochs, so more samples also mean more steps."""
    if (steps := training.get("max_steps")) and steps > 0:
        return f"every student for the same {steps:,} steps (`max_steps`), where the paper's train longer on more samples (3 epochs)"
    number = training.get("num_epochs") or 1
    same = "as in the paper" if number == 3 else "where the paper trains for 3"
    return f"every student for {number:g} epoch{'' if number == 1 else 's'}, {same}, so one with more samples for more steps"
