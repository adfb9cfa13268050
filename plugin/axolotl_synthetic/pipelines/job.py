"""One run of the pipeline as a value, which is passed to the pipeline's process and to each step."""

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
    """One run: its settings and the files that it writes.

    Attributes:
        settings: the user's.
        models: the settings to open each model with; they include the addresses of servers that we started.
        seeds: in the order of their use.
        held_out: seeds that are held out for grading; no sample may reveal one.
        shares: each strategy's share of the candidates.
        phases: phases with their own weights of the seeds, each from one candidate on.
        ledger: path of the ledger.
        spool: path of the file that verification writes: a line of `samples.jsonl` for each candidate, in their order.
        most_candidates: end after this many candidates; None for no such limit.
        python_path: `sys.path` of the process that starts the pipeline: a user's own task or model may come from anywhere on it.
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
        # distilabel deep-copies each step; copying tens of thousands of frozen seeds would take longer than a preview.
        return self
