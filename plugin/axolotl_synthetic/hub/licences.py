"""Licences of seeds: what is made of a seed is made from somebody's text, and not every licence lets it be handed on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Columns that name a row's licence, in any spelling of capitals.
COLUMNS = frozenset({"license", "licence", "license_id", "licence_id", "license_name", "licence_name", "licenses", "licences"})
# Words that forbid handing on what was made of a text. Creative Commons' ND is "no derivatives"; NC forbids selling alone. `unlicensed`
# is npm's word for proprietary, whereas the Unlicense allows everything.
FORBIDS = re.compile(
    r"\bcc-by(-nc)?-nd\b|\bno[- ]?deriv|\bproprietary\b|\ball[- ]rights[- ]reserved\b|\bconfidential\b|\binternal\b|^unlicensed$|^closed$"
    r"|\b(no|not|non)[- ]?(for[- ])?(re-?)?(distribut|publi[cs]|shar)|\b(private|personal|evaluation)[- ]use[- ]only\b",
    re.IGNORECASE,
)


@dataclass
class Licences:
    """What the seeds' licences are.

    Attributes:
        found: how many rows, or cards, name each licence.
        forbidden: by licence, where those are that may not be handed on.
    """

    found: Counter[str] = field(default_factory=Counter)
    forbidden: dict[str, list[str]] = field(default_factory=dict)

    def add(self, licence: str, place: str) -> None:
        """Count a licence of what lies at `place`."""
        self.found[licence] += 1
        if forbids(licence):
            self.forbidden.setdefault(licence, []).append(place)


def forbids(licence: str) -> bool:
    """Return whether a licence, by its name, forbids handing on what was made of a text."""
    # Names are written with spaces and underscores, too: CC BY-NC-ND 4.0.
    return bool(FORBIDS.search(re.sub(r"[\s_]+", "-", licence.strip())))


def of_rows(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> Licences:
    """Read the licences that rows name, each with its place."""
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
