"""Goals of the measurements, and whether they are met. Pure: rows in, verdicts out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from contestants import OURS
from scenarios import Row


@dataclass(frozen=True, slots=True)
class Goal:
    text: str
    measured: str
    reached: bool


def goals(rows: Sequence[Row]) -> Iterator[Goal]:
    """Yield a verdict for each goal that has valid rows."""
    sound = {(row.scenario, row.contestant): row for row in rows if not row.note and row.seconds}
    for us in (ours.name for ours in OURS):
        yield from _speed(us, sound)
    for (scenario, name), row in sound.items():
        if scenario == "resume":
            yield Goal(f"resume, {name}: under 10 s", f"{row.seconds:.1f} s", (row.seconds or 0) < 10)
    memory = sorted((row for (scenario, _), row in sound.items() if scenario.startswith("memory")), key=lambda row: row.samples)
    for us in dict.fromkeys(row.contestant for row in memory):
        small, *large = [row for row in memory if row.contestant == us]
        if large:
            growth = (large[-1].peak_mb or 0) - (small.peak_mb or 0)
            text = f"memory, {us}: grows by less than 200 MB from {small.samples:,} to {large[-1].samples:,}"
            yield Goal(text, f"{growth:.0f} MB", growth < 200)


def _speed(us: str, sound: Mapping[tuple[str, str], Row]) -> Iterator[Goal]:
    if (row := sound.get(("long-tail", us))) and row.to_floor:
        yield Goal(f"long tail, {us}: at most 1.20 × the bare client", f"{row.to_floor:.2f} ×", row.to_floor <= 1.20)
    if (row := sound.get(("new-question", us))) and row.to_ideal:
        yield Goal(f"New Question, {us}: at most 1.12 × (total latency / 64)", f"{row.to_ideal:.2f} ×", row.to_ideal <= 1.12)
    if (row := sound.get(("instant", us))) and row.requests_per_second:
        rate = row.samples / (row.seconds or 1)
        yield Goal(f"instant, {us}: at least 2,000 answers a second", f"{rate:,.0f}", rate >= 2000)
    if row := sound.get(("plan", us)):
        yield Goal(f"plan, {us}: under 2 s", f"{row.seconds:.2f} s", (row.seconds or 0) < 2)
    for scenario, factors in FACTORS.items():
        yield from _faster_than(us, scenario, factors, sound)


# Required speed relative to each peer.
FACTORS: Mapping[str, Mapping[str, float]] = {
    "long-tail": {"distilabel": 1.0, "bespokelabs-curator": 1.0, "data-designer": 1.0},
    "new-question": {"distilabel": 1.0, "bespokelabs-curator": 1.0, "data-designer": 1.0},
    "instant": {"distilabel": 5.0, "bespokelabs-curator": 2.0, "data-designer": 5.0},
}


def _faster_than(us: str, scenario: str, factors: Mapping[str, float], sound: Mapping[tuple[str, str], Row]) -> Iterator[Goal]:
    ours = sound.get((scenario, us))
    for peer, factor in factors.items():
        theirs = sound.get((scenario, peer))
        if ours and theirs and ours.seconds and theirs.seconds:
            ratio = theirs.seconds / ours.seconds
            text = "faster than" if factor == 1 else f"at least {factor:g} times as fast as"
            yield Goal(f"{scenario}, {us}: {text} {peer}", f"{ratio:.2f} ×", ratio > 1 if factor == 1 else ratio >= factor)
