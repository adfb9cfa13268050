"""Read from the verdicts in a row of `samples.jsonl` how sure the checks are. No other file parses their `detail`.

| check | its `detail` | read as |
| --- | --- | --- |
| `self_consistency` | `3 of 5 answers (60%) say 72; …`, `no majority: 2 of 5 …`, `none of 5 …` | agreement 0.6, 0.4, 0 |
| `judge` | `4 on a scale from 1 to 5`, `3 on a scale from 1 to 5, below 4` | score 4; score 3, threshold 4 |

A missing or unreadable detail gives None, which counts as certain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_VOTES = re.compile(r"(\d+|none) of (\d+)")
_SCORE = re.compile(r"^(-?\d+(?:\.\d+)?) on a scale\b")
_BELOW = re.compile(r"\bbelow (-?\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Signals:
    """Measures of how sure the checks are.

    Attributes:
        agreement: share of the answers with the same final answer as this one, from 0 to 1.
        score, threshold: the judge's score, and the score that it would have needed.
        dissent: share of the checks in the minority: 0 if all agree, 0.5 if they are split in halves.
    """

    agreement: float | None = None
    score: float | None = None
    threshold: float | None = None
    dissent: float = 0.0


def read_signals(row: Mapping[str, Any]) -> Signals:
    """Return the signals in a row of `samples.jsonl` on which people have not decided yet."""
    verdicts: Sequence[Mapping[str, Any]] = row.get("checks") or ()
    details = {verdict["name"]: str(verdict.get("detail") or "") for verdict in verdicts}
    agreement = None
    if votes := _VOTES.search(details.get("self_consistency", "")):
        agreement = 0.0 if votes[1] == "none" else int(votes[1]) / max(1, int(votes[2]))
    score, below = _SCORE.search(details.get("judge", "")), _BELOW.search(details.get("judge", ""))
    said = [verdict["passed"] for verdict in verdicts if verdict["passed"] is not None]
    return Signals(
        agreement=agreement,
        score=None if score is None else float(score[1]),
        threshold=None if below is None else float(below[1]),
        dissent=min(said.count(True), said.count(False)) / len(said) if said else 0.0,
    )
