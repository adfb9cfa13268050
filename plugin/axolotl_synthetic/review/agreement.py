"""Agreement of people with one another, by Krippendorff's alpha, and with each check. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from axolotl_synthetic.review.kept import Answer
from axolotl_synthetic.review.ruling import Ruling, verdict


@dataclass
class Overruled:
    """People's decisions on samples that a check had judged.

    Attributes:
        failed, accepted: samples that the check failed, and how many of those people accepted unchanged.
        passed, rejected: samples that it passed, and how many of those people rejected.
    """

    failed: int = 0
    accepted: int = 0
    passed: int = 0
    rejected: int = 0


def alpha(answers: Iterable[Sequence[Answer]], of: Literal["verdict", "quality"]) -> float | None:
    """Return Krippendorff's alpha: 1 for perfect agreement, 0 for agreement by chance (Krippendorff, Content Analysis, 2004).

    Args:
        answers: the answers to each record.
        of: `verdict`, whose values have no order, or `quality`, whose values have one.

    Returns:
        None if it is undefined: no record has answers from two people, or all answers are equal.
    """
    import krippendorff
    import numpy as np

    codes = {"accept": 0.0, "edit": 1.0, "reject": 2.0}

    def value(answer: Answer) -> float | None:
        if of == "quality":
            return None if answer.quality is None else float(answer.quality)
        what = verdict(answer)
        return None if what is None else codes[what]

    units = [{answer.user: said for answer in one if (said := value(answer)) is not None} for one in answers]
    units = [unit for unit in units if len(unit) > 1]
    people = sorted({user for unit in units for user in unit})
    if len({said for unit in units for said in unit.values()}) < 2:
        return None
    data = np.array([[unit.get(user, np.nan) for unit in units] for user in people])
    return float(krippendorff.alpha(data, level_of_measurement="ordinal" if of == "quality" else "nominal"))


def overruled(decided: Iterable[tuple[Mapping[str, Any], Ruling]]) -> dict[str, Overruled]:
    """Count how often people overruled each check.

    Args:
        decided: samples as the checks left them, with people's decisions.
    """
    counts: dict[str, Overruled] = {}
    for row, ruling in decided:
        for one in row["checks"]:
            if one["passed"] is None:
                continue
            count = counts.setdefault(one["name"], Overruled())
            if one["passed"]:
                count.passed += 1
                count.rejected += ruling.what == "reject"
            else:
                count.failed += 1
                count.accepted += ruling.what == "accept"
    return counts
