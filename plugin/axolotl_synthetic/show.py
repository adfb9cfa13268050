"""Find samples of a run with their verdicts and calls, for `axolotl synthetic show`. Makes no calls and changes nothing.

A sample is found by its id, or several are drawn by status, strategy or reason; the same choice draws the same samples.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from axolotl_synthetic import dataset, run, terminal
from axolotl_synthetic.config import Settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.ledger import Exchange, Ledger
from axolotl_synthetic.prepare import LEDGER
from axolotl_synthetic.wording import number_of


@dataclass(frozen=True)
class Choice:
    """Filter for samples; None matches any.

    Attributes:
        id: id of one sample, or an unambiguous beginning of it.
        reason: name of the check that rejected it, or the beginning of its failure.
        number: most samples to return.
    """

    id: str | None = None
    status: str | None = None
    strategy: str | None = None
    reason: str | None = None
    number: int = 5


@dataclass(frozen=True)
class Shown:
    """A row of `samples.jsonl`, and its calls in the order in which they were made."""

    sample: Mapping[str, Any]
    calls: Sequence[Exchange]

    def to_dict(self) -> dict[str, Any]:
        return {**self.sample, "calls": [call.to_dict() for call in self.calls]}


def find(settings: Settings, choice: Choice) -> list[Shown]:
    """Return the chosen samples, in the order of the file.

    Raises:
        ConfigError: if there are no samples, none matches, or several ids begin with the given one.
    """
    path, still_written = run.samples_of(settings.folder)
    if path is None:
        raise ConfigError(f"{settings.folder}: there are no samples yet; `axolotl synthetic generate CONFIG` makes them")
    rows = dataset.read_samples(path, still_written=still_written)
    samples = [_by_id(rows, choice.id, path.name)] if choice.id is not None else _drawn(rows, choice)
    if not samples:
        raise ConfigError(f"{path}: has no sample {_wanted(choice)}; `axolotl synthetic status CONFIG` tells how many ended how")
    ledger = settings.folder / LEDGER
    if not ledger.exists():
        return [Shown(sample, ()) for sample in samples]
    with Ledger(ledger, read_only=True) as opened:
        return [Shown(sample, opened.exchanges(sample.get("requests") or ())) for sample in samples]


def show(console: Console, found: Sequence[Shown]) -> None:
    """Print samples for people to read."""
    for one in found:
        sample = one.sample
        console.rule(f"{sample['id']}: {_end(sample)}", align="left")
        console.print(f"{sample['strategy']} of seed {sample.get('seed_id')}", markup=False, highlight=False)
        for title in ("question", "answer"):
            console.print(f"{title}:", style="bold")
            console.print(sample.get(title) or "(none)", markup=False, highlight=False)
        if sample.get("decision"):
            decision = sample["decision"]
            console.print(f"review: {decision.get('what')} {decision.get('note') or ''}".rstrip(), markup=False)
        show_checks(console, sample)
        for call in one.calls:
            _show_call(console, call)


def show_checks(console: Console, sample: Mapping[str, Any]) -> None:
    """Print a sample's verdicts, one per line."""
    for check in sample.get("checks") or ():
        verdict = {True: "passed", False: "FAILED", None: "did not apply"}[check["passed"]]
        console.print(f"{check['name']}: {verdict}" + (f" ({check['detail']})" if check.get("detail") else ""), markup=False)


def _show_call(console: Console, call: Exchange) -> None:
    tokens = "tokens unknown" if call.completion_tokens is None else f"{call.prompt_tokens or 0:,} + {call.completion_tokens:,} tokens"
    cost = terminal.dollars(call.usd)
    tries = f", attempt {call.attempt + 1}" if call.attempt else ""
    title = f"call {call.id}: {call.purpose} by {call.model} ({call.role}), {tokens}, {call.seconds or 0:.1f} s, {cost}{tries}"
    console.print()
    console.print(title, style="bold", markup=False, highlight=False)
    for message in call.messages:
        console.print(f"  {message['role']}> {message['content']}", markup=False, highlight=False)
    if call.thinking:
        console.print(f"  thinking> {call.thinking}", markup=False, highlight=False, style="dim")
    console.print(f"  reply> {call.reply if call.reply is not None else call.error or '(none)'}", markup=False, highlight=False)


def _end(sample: Mapping[str, Any]) -> str:
    reason = f" ({sample['reason']})" if sample.get("reason") else ""
    return f"{sample['status']}{reason}"


def _by_id(rows: Iterator[dict[str, Any]], wanted: str, name: str) -> dict[str, Any]:
    begun = []
    for row in rows:
        if row["id"] == wanted:
            return row
        if str(row["id"]).startswith(wanted):
            begun.append(row)
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise ConfigError(f"{wanted!r} begins the ids of {number_of(len(begun), 'sample')}; write one in full: {begun[0]['id']}, …")
    raise ConfigError(f"{name} has no sample with the id {wanted!r}; the ids are those of its lines and of the training file's")


def _drawn(rows: Iterator[dict[str, Any]], choice: Choice) -> list[dict[str, Any]]:
    """Draw matching samples with equal chances, holding only these in memory.

    This is reservoir sampling (algorithm R of Vitter 1985).
    """
    kept: list[tuple[int, dict[str, Any]]] = []
    drawing, seen = random.Random(0), 0
    for at, row in enumerate(rows):
        if not _is_wanted(row, choice):
            continue
        seen += 1
        if len(kept) < choice.number:
            kept.append((at, row))
        elif (place := drawing.randrange(seen)) < choice.number:
            kept[place] = (at, row)
    return [row for _, row in sorted(kept, key=lambda one: one[0])]


def _is_wanted(row: Mapping[str, Any], choice: Choice) -> bool:
    return (
        choice.status in (None, row["status"])
        and choice.strategy in (None, row["strategy"])
        and (choice.reason is None or str(row.get("reason") or "").startswith(choice.reason))
    )


def _wanted(choice: Choice) -> str:
    wishes = {"status": choice.status, "strategy": choice.strategy, "reason": choice.reason}
    named = [f"{name} {value}" for name, value in wishes.items() if value is not None]
    return f"with {' and '.join(named)}" if named else "at all"
