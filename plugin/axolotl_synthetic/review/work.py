"""A run as its review sees it. `run.py` makes it, and the files of this folder read it."""

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
        rows: iterates over the samples from the start; they may or may not have decisions.
        load_checks: makes the run's checks; only edited texts need them.
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
        """Return the `review:` block, or its defaults if it was removed, because decisions stay valid without it."""
        return self.settings.review or Review()
