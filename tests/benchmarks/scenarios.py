"""The scenarios, one function for each line of the table with the engine's goals. Each yields its rows as they are done."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import costs
from contestants import BENCH, CONCURRENCY, ROOT, Command, Contestant, Floor, Ours, SkippedError
from measuring import Measured, Server, measure

# Time limit for a contestant that hangs.
LIMIT_SECONDS = 1800.0
PLAN_RUNS = 3


@dataclass(frozen=True)
class Row:
    """One contestant in one scenario.

    Attributes:
        requests: calls that the server counted.
        to_floor: its seconds divided by the bare client's.
        to_ideal: its seconds divided by (total latency / 64), the time of a client that never leaves a slot empty.
        note: what went wrong, empty if nothing did.
    """

    scenario: str
    contestant: str
    samples: int = 0
    requests: int = 0
    seconds: float | None = None
    requests_per_second: float | None = None
    to_floor: float | None = None
    to_ideal: float | None = None
    cpu_seconds: float | None = None
    peak_mb: float | None = None
    peak_rss_mb: float | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(self).items()}


Scenario = Callable[[Sequence[Contestant], int], Iterator[Row]]


def long_tail(contestants: Sequence[Contestant], shrink: int) -> Iterator[Row]:
    return _side_by_side("long-tail", "lognormal", 2000 // shrink, 1, contestants)


def new_question(contestants: Sequence[Contestant], shrink: int) -> Iterator[Row]:
    return _side_by_side("new-question", "lognormal", 2000 // shrink, 3, contestants)


def instant(contestants: Sequence[Contestant], shrink: int) -> Iterator[Row]:
    return _side_by_side("instant", "instant", 20_000 // shrink, 1, contestants)


def resume(contestants: Sequence[Contestant], shrink: int) -> Iterator[Row]:
    """Measure the same command again: on a finished folder, and on one with only its ledger left."""
    samples = 20_000 // shrink
    for ours in _ours(contestants):
        if reason := _unprepared(ours):
            yield Row("resume", ours.name, samples, note=reason)
            continue
        with Server("instant", CONCURRENCY) as server, _folder() as folder:
            command = ours.command(server.base_url, samples, 1, folder)
            first = _run(command, ours, folder)
            if first.code != 0:
                yield Row("resume", f"{ours.name}, the first run", samples, note=_failure(first, folder))
                continue
            for case in ("finished", "ledger only"):
                if case == "ledger only":
                    for path in (folder / "synthetic").iterdir():
                        if path.is_file() and not path.name.startswith("ledger.sqlite"):
                            path.unlink()
                server.reset()
                measured = _run(command, ours, folder)
                asked = server.stats()["count"]
                row = _row("resume", f"{ours.name}, {case}", samples, asked, measured, ours.made(folder, folder / "log"), folder)
                yield row if row.note or not asked else Row(**row.as_dict() | {"note": f"{asked} calls were paid again"})


def memory(contestants: Sequence[Contestant], shrink: int) -> Iterator[Row]:
    """Measure whether the peak memory depends on the number of answers."""
    with Server("instant", CONCURRENCY) as server:
        for samples in (20_000 // shrink, 400_000 // shrink):
            for ours in _ours(contestants)[1:]:  # both commands run the same engine
                yield from _one(f"memory {samples}", server, samples, 1, ours, None)


def plan(contestants: Sequence[Contestant], shrink: int) -> Iterator[Row]:
    """Measure start-up: the median of a few runs of the command that calls no model."""
    for ours in _ours(contestants):
        if reason := _unprepared(ours):
            yield Row("plan", ours.name, note=reason)
            continue
        with _folder() as folder:
            config = ours.config("http://127.0.0.1:9/v1", 2000, 1, folder)
            runs = [_run([*ours.start(), "plan", config], ours, folder) for _ in range(PLAN_RUNS)]
            failed = [run for run in runs if run.code != 0]
            middle = statistics.median_low(run.seconds for run in runs)
            measured = next(run for run in runs if run.seconds == middle)
            note = _failure(failed[0], folder) if failed else ""
            yield Row(
                "plan", ours.name, seconds=middle, cpu_seconds=measured.cpu_seconds, peak_mb=measured.peak_mb,
                peak_rss_mb=measured.peak_rss_mb, note=note,
            )  # fmt: skip


def cost(contestants: Sequence[Contestant], shrink: int) -> Iterator[Row]:
    """Measure the cost of GSM8K samples; see costs.py. The note has the numbers, since no time is measured."""
    if not costs.GSM8K.exists():
        yield Row("cost", "GSM8K", note=f"skipped: there is no {costs.GSM8K}; name GSM8K's train.jsonl by --gsm8k")
        return
    for one in costs.measure(costs.GSM8K, costs.SAMPLES // shrink, costs.STRATEGIES):
        yield Row("cost", f"{one.strategy}: {one.way}", one.accepted, one.requests, note=one.in_words)


SCENARIOS: dict[str, Scenario] = {
    "long-tail": long_tail,
    "new-question": new_question,
    "instant": instant,
    "resume": resume,
    "plan": plan,
    "cost": cost,
    "memory": memory,
}
# Half an hour for one number: only on request.
NOT_BY_DEFAULT = {"memory"}


def _ours(contestants: Sequence[Contestant]) -> list[Ours]:
    return [contestant for contestant in contestants if isinstance(contestant, Ours)]


def _side_by_side(scenario: str, latency: str, samples: int, calls: int, contestants: Sequence[Contestant]) -> Iterator[Row]:
    floor: float | None = None
    with Server(latency, CONCURRENCY) as server:
        for contestant in contestants:
            for row in _one(scenario, server, samples, calls, contestant, floor):
                if isinstance(contestant, Floor) and not row.note:
                    floor = row.seconds
                yield row


def _one(scenario: str, server: Server, samples: int, calls: int, contestant: Contestant, floor: float | None) -> Iterator[Row]:
    if reason := _unprepared(contestant):
        yield Row(scenario, contestant.name, samples, note=reason)
        return
    server.reset()
    with _folder() as folder:
        measured = _run(contestant.command(server.base_url, samples, calls, folder), contestant, folder)
        stats = server.stats()
        row = _row(scenario, contestant.name, samples, stats["count"], measured, contestant.made(folder, folder / "log"), folder)
    own = row.seconds if isinstance(contestant, Floor) else floor
    ideal = stats["latency_seconds"] / CONCURRENCY
    if row.seconds is not None:
        row = Row(**row.as_dict() | {
            "requests_per_second": row.requests / row.seconds,
            "to_floor": row.seconds / own if own else None,
            "to_ideal": row.seconds / ideal if ideal else None,
        })  # fmt: skip
    yield row


def _unprepared(contestant: Contestant) -> str:
    """Prepare a contestant; return why it cannot be, empty if it can."""
    try:
        contestant.prepare()
    except SkippedError as reason:
        return f"skipped: {reason}"
    return ""


def _run(command: Command, contestant: Contestant, folder: Path) -> Measured:
    return measure(command, log=folder / "log", cwd=ROOT, env={"NO_COLOR": "1"} | contestant.environment, limit=LIMIT_SECONDS)


def _row(scenario: str, name: str, samples: int, requests: int, measured: Measured, made: int, folder: Path) -> Row:
    note = ""
    if measured.code != 0:
        note = _failure(measured, folder)
    elif made < samples:
        note = f"only {made} of {samples} samples came out"
    return Row(
        scenario, name, samples, requests, measured.seconds, None, None, None, measured.cpu_seconds, measured.peak_mb,
        measured.peak_rss_mb, note,
    )  # fmt: skip


def _failure(measured: Measured, folder: Path) -> str:
    """Return why a command failed, and where its whole output was saved."""
    lines = [line.strip() for line in (folder / "log").read_text(errors="replace").splitlines() if line.strip()]
    kept = BENCH / "failed.log"
    shutil.copy(folder / "log", kept)
    how = "took too long" if measured.code is None else f"exit code {measured.code}"
    return f"failed: {how}: {lines[-1][:120] if lines else 'no output'} (see {kept.relative_to(ROOT)})"


@contextmanager
def _folder() -> Iterator[Path]:
    BENCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH, prefix="run-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
