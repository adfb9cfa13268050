"""What a study is made of: lines (a strategy, a number of seeds, a repeat) and, along each, cells of more and more samples. Pure.

The candidates of a line come in an order that its number of samples does not change, so a smaller cell's samples are the first of a
larger one's: a line is generated once, up to its largest cell. Its seeds are the first of those that a larger line of the same repeat
has, and what is held out is the same for all lines of a repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axolotl_synthetic.config import Budget, Settings
from axolotl_synthetic.study.settings import Study


@dataclass(frozen=True, order=True)
class Line:
    """What is generated together. `repeat` counts from 0."""

    repeat: int
    seeds: int
    strategy: str

    @property
    def name(self) -> str:
        return f"{self.strategy}-{self.seeds}-seeds-repeat-{self.repeat + 1}"


@dataclass(frozen=True, order=True)
class Cell:
    """What is trained and graded: the first `samples` accepted ones of a line."""

    line: Line
    samples: int

    @property
    def name(self) -> str:
        line = self.line
        return f"{line.strategy}-{line.seeds}-seeds-{self.samples}-samples-repeat-{line.repeat + 1}"


def lines(study: Study) -> Iterator[Line]:
    """In the order in which they are made: a whole repeat before the next, so that a study which is stopped has one."""
    for repeat in range(study.repeats):
        for seeds in study.seed_sizes:
            for strategy in study.strategies:
                yield Line(repeat, seeds, strategy)


def cells(study: Study, line: Line) -> list[Cell]:
    return [Cell(line, samples) for samples in study.samples]


def settings_of(study: Study, line: Line, settings: Settings) -> Settings:
    """The `synthetic:` block that a line is generated with: the user's, with another draw for each repeat."""
    return settings.model_copy(
        update={
            "strategy": line.strategy,
            "seeds": settings.seeds.model_copy(update={"limit": line.seeds}),
            "seed": settings.seed + line.repeat,
            "budget": Budget(samples=study.samples[-1], **study.budget.model_dump()),
            "output_dir": str(study.folder / "lines" / line.name),
            "study": None,
            "review": None,
        }
    )


def config_of(
    cell: Cell, settings: Settings, training: Mapping[str, Any], *, folder: Path, entries: Mapping[str, Any], is_ours: Any
) -> dict[str, Any]:
    """The Axolotl YAML that a cell is trained with: the user's without generation, on the cell's file, into the cell's folder.

    Args:
        cell: which.
        settings, training: the user's.
        folder: where the student goes.
        entries: what `datasets:` has to say of the cell's training file.
        is_ours: tells the user's own entry for the training file, whose options are kept.
    """
    plugins = [name for name in training.get("plugins") or [] if not str(name).startswith("axolotl_synthetic.")]
    own = [entry for entry in training.get("datasets") or [] if is_ours(entry)]
    others = [entry for entry in training.get("datasets") or [] if not is_ours(entry)]
    kept = {name: value for name, value in training.items() if name not in ("synthetic", "plugins", "datasets")}
    return {
        **kept,
        **({"plugins": plugins} if plugins else {}),
        "datasets": [*others, {**(own[0] if own else entries), "path": entries["path"]}],
        "output_dir": str(folder / "student"),
        "dataset_prepared_path": str(folder / "prepared"),
        "seed": (training.get("seed") or settings.seed) + cell.line.repeat,
    }


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
