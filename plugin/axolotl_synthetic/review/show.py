"""Print a review's status: who answered what, how far people agree, how often they overrule each check."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table

from axolotl_synthetic import terminal
from axolotl_synthetic.wording import number_of

if TYPE_CHECKING:
    from axolotl_synthetic.review.exchange import Stand

# Statuses of a response in Argilla.
RESPONSES = ("submitted", "discarded", "draft")


def show(stand: Stand) -> None:
    """Print a review's status."""
    console = terminal.out()
    found, standing = stand.found, stand.standing
    kinds = Counter(ruling.what for ruling in standing.rulings.values())
    agreed = [
        f"{title}: {'not defined yet' if alpha is None else f'{alpha:.2f}'}"
        for title, alpha in (("verdicts", stand.verdicts), ("quality", stand.quality))
    ]
    terminal.print_lines(
        {
            "page": [found.url],
            "pushed": [number_of(found.records, "record")],
            "answers": [", ".join(f"{sum(counts[kind] for counts in found.by_person.values()):,} {kind}" for kind in RESPONSES)],
            "decided": [", ".join(f"{kinds[kind]:,} {kind}" for kind in ("accept", "edit", "reject"))],
            "open": [number_of(len(standing.open), "sample")],
            "agreement": [f"Krippendorff's alpha, {'; '.join(agreed)}"],
            "pull": [] if stand.pulled else ["there is something new: axolotl synthetic review pull CONFIG"],
        }
    )
    if found.by_person:
        table = Table(title="responses", title_justify="left")
        table.add_column("by", no_wrap=True)
        for status in RESPONSES:
            table.add_column(status, justify="right")
        for name, counts in sorted(found.by_person.items()):
            table.add_row(name, *(f"{counts[status]:,}" for status in RESPONSES))
        # Names are plain text, and brackets in them are not markup.
        console.print(table, markup=False)
    if stand.overruled:
        table = Table(title="how often people overruled a check", title_justify="left")
        table.add_column("check", no_wrap=True)
        for heading in ("it failed", "people accepted", "it passed", "people rejected"):
            table.add_column(heading, justify="right")
        for name, count in stand.overruled.items():
            table.add_row(name, *(f"{number:,}" for number in (count.failed, count.accepted, count.passed, count.rejected)))
        console.print(table)
