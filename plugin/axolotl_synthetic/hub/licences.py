"""Licences of seeds: samples derive from a seed's text, and not every licence allows publishing derived texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Columns that name a row's licence, in lower case.
COLUMNS = frozenset({"license", "licence", "license_id", "licence_id", "license_name", "licence_name", "licenses", "licences"})
# Words that forbid publishing derived texts. Creative Commons' ND is "no derivatives", while NC forbids only selling. `unlicensed` is npm's
# word for proprietary, whereas the Unlicense allows everything.
FORBIDS = re.compile(
    r"\bcc-by(-nc)?-nd\b|\bno[- ]?deriv|\bproprietary\b|\ball[- ]rights[- ]reserved\b|\bconfidential\b|\binternal\b|^unlicensed$|^closed$"
    r"|\b(no|not|non)[- ]?(for[- ])?(re-?)?(distribut|publi[cs]|shar)|\b(private|personal|evaluation)[- ]use[- ]only\b",
    re.IGNORECASE,
)


@dataclass
class Licences:
    """Licences of the seeds.

    Attributes:
        found: number of rows, or cards, that name each licence.
        forbidden: places under licences that forbid publishing, by licence.
    """

    found: Counter[str] = field(default_factory=Counter)
    forbidden: dict[str, list[str]] = field(default_factory=dict)

    def add(self, licence: str, place: str) -> None:
        """Count the licence of the text at `place`."""
        self.found[licence] += 1
        if forbids(licence):
            self.forbidden.setdefault(licence, []).append(place)


def forbids(licence: str) -> bool:
    """Say whether a licence, by its name, forbids publishing derived texts."""
    # Names may have spaces and underscores: CC BY-NC-ND 4.0.
    return bool(FORBIDS.search(re.sub(r"[\s_]+", "-", licence.strip())))


def of_rows(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> Licences:
    """Collect the licences that rows name, each with its place."""
    made = Licences()
    for place, row in rows:
        for column, value in row.items():
            if str(column).strip().lower() in COLUMNS:
                for licence in value if isinstance(value, list | tuple) else [value]:
                    if isinstance(licence, str) and licence.strip():
                        made.add(licence.strip(), place)
    return made


def of_card(data: Mapping[str, Any]) -> list[str]:
    """Return the licences that a data set's card names."""
    named = [data.get("license"), data.get("license_name")]
    values = [one for value in named for one in (value if isinstance(value, list) else [value])]
    return [str(value) for value in values if value]
