"""A run as its review sees it. `run.py` makes one; the files of this folder read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axolotl_synthetic.checks import Check
from axolotl_synthetic.config import Review, Settings
from axolotl_synthetic.ledger import Ledger
from axolotl_synthetic.records import Seed
from axolotl_synthetic.tasks import Task


@dataclass(frozen=True)
class Work:
    """One run.

    Attributes:
        settings: the user's.
        task, seeds, ledger: of the run.
        rows: reads the samples, from the first one each time; as they are, with former decisions or without.
        load_checks: makes the checks of the run; only edited texts need them.
    """

    settings: Settings
    task: Task
    seeds: tuple[Seed, ...]
    ledger: Ledger
    rows: Callable[[], Iterable[Mapping[str, Any]]]
    load_checks: Callable[[], Sequence[Check]]

    @property
    def folder(self) -> Path:
        return self.settings.folder

    @property
    def review(self) -> Review:
        """The block; its defaults where there is none, for decisions outlive it."""
        return self.settings.review or Review()
