"""One run of the pipeline, as it is handed to the process that runs it and to each of the steps."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axolotl_synthetic.config import Settings
from axolotl_synthetic.pipelines.schedule import Phase
from axolotl_synthetic.records import Role, Seed
from axolotl_synthetic.teachers import ModelSettings


@dataclass(frozen=True)
class Job:
    """One run: the settings to generate by, and the files that it writes.

    Attributes:
        settings: the user's.
        models: the settings to open each model with, servers of ours running.
        seeds: in the order in which they are used.
        held_out: seeds that are kept for grading, and that no sample may give away.
        shares: strategy and share of the candidates.
        phases: from which candidate on which seeds come more often.
        ledger: path of the ledger.
        spool: path of the file that verification writes, a line of `samples.jsonl` for each candidate, in their order.
        most_candidates: end after so many, None for no such limit.
        python_path: `sys.path` of the process that starts the pipeline: a task or a model of the user's own may live anywhere on it.
    """

    settings: Settings
    models: Mapping[Role, ModelSettings]
    seeds: tuple[Seed, ...]
    shares: Mapping[str, float]
    ledger: Path
    spool: Path
    most_candidates: int | None = None
    held_out: tuple[Seed, ...] = ()
    phases: tuple[Phase, ...] = ()
    python_path: Sequence[str] = field(default_factory=lambda: tuple(sys.path))

    def __deepcopy__(self, memo: Any) -> Job:
        # distilabel copies each step deeply, and copying tens of thousands of frozen seeds would take longer than a preview.
        return self
