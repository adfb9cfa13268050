"""Record of the finished rounds: `rounds.json` in the output folder, written after each round so that no student is trained twice."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from axolotl_synthetic import dataset
from axolotl_synthetic.errors import StorageError
from axolotl_synthetic.files import write_text
from axolotl_synthetic.rounds.division import moved, weights

FILE = "rounds.json"
FORMAT = 1


@dataclass(frozen=True)
class Round:
    """A finished round with its student's scores.

    Attributes:
        budget: what the run might use up to its end, all earlier rounds included.
        candidates: number up to its end, which is also the number of the next round's first.
        accepted: samples up to its end.
        scores: scores of the seeds, by id, of the student trained on these samples; higher for a seed that needs more samples.
    """

    budget: Mapping[str, float]
    candidates: int
    accepted: int
    scores: Mapping[str, float]


def read(folder: Path, key: str) -> list[Round]:
    """Return the recorded rounds; none if the file is for other settings.

    Args:
        folder: the run's.
        key: identifies the settings of the rounds.

    Raises:
        StorageError: if the file cannot be read.
    """
    path = folder / FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT or document["key"] != key:
            return []
        return [Round(**one) for one in document["rounds"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        remedy = "delete it: the students of the rounds are then trained anew, and no call is paid for twice"
        raise StorageError(f"{path}: cannot be read ({error}); {remedy}") from error


def write(folder: Path, key: str, rounds: Sequence[Round]) -> None:
    content = {"format": FORMAT, "key": key, "rounds": [asdict(one) for one in rounds]}
    write_text(folder / FILE, json.dumps(content, indent=1) + "\n")


def summary(
    rounds: Sequence[Round], by: str, seeds: Sequence[str], budget: Mapping[str, float], counts: dataset.Counts
) -> list[dict[str, Any]]:
    """Return the manifest's entry for each round, including the last, which has no scores.

    `weight` is the weight of the seeds in the next round, 1 for a seed of mean score; `moved` is the share of its candidates that these
    weights give to other seeds.

    Args:
        rounds: those with scores.
        by: the kind of the scores.
        seeds: the ids of all.
        budget: the whole.
        counts: of the finished run.
    """
    found = []
    for number, one in enumerate(rounds, 1):
        weighted = weights(seeds, one.scores)
        found.append(
            {
                "round": number,
                "budget": dict(one.budget),
                "candidates": one.candidates,
                "accepted": one.accepted,
                "by": by,
                "scored": len(one.scores),
                "score": _spread(one.scores.values()),
                "weight": _spread(weighted.values()),
                "moved": round(moved(weighted), 4),
            }
        )
    last = {"round": len(rounds) + 1, "budget": dict(budget), "candidates": counts.planned, "accepted": counts.accepted, "by": by}
    return [*found, {**last, "scored": 0, "score": None, "weight": None, "moved": 0.0}]


def _spread(values: Iterable[float]) -> dict[str, float] | None:
    """Return mean and quartiles; None without values."""
    ordered = sorted(values)
    if not ordered:
        return None
    quarters = statistics.quantiles(ordered, n=4, method="inclusive") if len(ordered) > 1 else ordered * 3
    named = zip(("least", "quarter", "half", "three_quarters", "most"), (ordered[0], *quarters, ordered[-1]), strict=True)
    return {"mean": round(statistics.fmean(ordered), 6), **{name: round(value, 6) for name, value in named}}
