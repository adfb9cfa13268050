"""Read from the verdicts in a row of `samples.jsonl` how sure the checks are.

A verdict without the numbers, such as one that did not apply or one of a file of format 1, gives None, which counts as certain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Signals:
    """Measures of how sure the checks are.

    Attributes:
        agreement: share of the answers with the same final answer as this one, from 0 to 1.
        score, threshold: the judge's score, and the score that it needs.
        dissent: share of the checks in the minority: 0 if all agree, 0.5 if they are split in halves.
    """

    agreement: float | None = None
    score: float | None = None
    threshold: float | None = None
    dissent: float = 0.0


def read_signals(row: Mapping[str, Any]) -> Signals:
    """Return the signals in a row of `samples.jsonl` on which people have not decided yet."""
    verdicts: Sequence[Mapping[str, Any]] = row.get("checks") or ()
    data: Mapping[str, Mapping[str, Any]] = {verdict["name"]: verdict.get("data") or {} for verdict in verdicts}
    votes, judge = data.get("self_consistency", {}), data.get("judge", {})
    said = [verdict["passed"] for verdict in verdicts if verdict["passed"] is not None]
    return Signals(
        agreement=votes["agree"] / votes["of"] if votes.get("of") else None,
        score=judge.get("score"),
        threshold=judge.get("threshold"),
        dissent=min(said.count(True), said.count(False)) / len(said) if said else 0.0,
    )
