"""`make bench`: measure our command, the bare client and the peers on a local server, print tables, write `.bench/results.json`.

It is not a test: people must judge what a shared machine measures. scenarios.py defines the measurements, contestants.py the contestants,
and goals.py the goals.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import costs
import psutil
from contestants import BENCH, OURS, PEERS, Contestant, Floor, Ours
from goals import Goal, goals
from rich.console import Console
from rich.table import Table
from scale_out import scale_out
from scenarios import NOT_BY_DEFAULT, Row
from scenarios import SCENARIOS as WITHOUT_A_CLUSTER

QUICK = 10
SCENARIOS = {**WITHOUT_A_CLUSTER, "scale-out": scale_out}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=SCENARIOS, action="append", help="this scenario; may be given more than once")
    parser.add_argument("--memory", action="store_true", help="also the growth of memory up to 400,000 answers; takes long")
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes: does it work? The numbers mean little")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--ours", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--before", type=Path, help="another checkout of ours, such as the release before, measured right behind this one")
    parser.add_argument("--gsm8k", type=Path, default=costs.GSM8K, help="GSM8K's train.jsonl, for the scenario cost")
    parser.add_argument("--json", type=Path, default=BENCH / "results.json")
    options = parser.parse_args()
    costs.GSM8K = options.gsm8k
    # On SIGTERM, still end the measured command and remove its files.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = options.only or [name for name in SCENARIOS if name not in NOT_BY_DEFAULT or options.memory]
    before = [Ours("axolotl-synthetic", options.before)] if options.before else []
    # Measure our command right after the floor, so that a machine that slows down affects both.
    contestants: list[Contestant] = [Floor(), *(OURS if options.ours else ()), *before, *(PEERS if options.peers else ())]
    # A log file is wide enough for the table; a terminal keeps its width.
    console = Console() if sys.stdout.isatty() else Console(width=140)
    rows: list[Row] = []
    for name in chosen:
        of_scenario: list[Row] = []
        for row in SCENARIOS[name](contestants, QUICK if options.quick else 1):
            said = row.note or f"{row.seconds:.1f} s"
            console.print(f"{row.scenario}: {row.contestant}: {said}", style="dim", highlight=False)
            of_scenario.append(row)
        rows += of_scenario
        console.print(table(name, of_scenario))
        # Write after each scenario, so that stopping does not lose half an hour of measurements.
        write(options.json, rows, quick=options.quick)
    console.print(verdicts(list(goals(rows)), quick=options.quick))
    console.print(f"{machine()}; written to {options.json}", highlight=False)


def table(title: str, rows: Sequence[Row]) -> Table:
    made = Table(title=title, title_justify="left")
    for column in ("", "samples", "requests", "seconds", "requests/s", "× floor", "× ideal", "CPU s", "peak MB"):
        made.add_column(column, justify="right" if column else "left")
    made.add_column("", overflow="fold")
    for row in rows:
        made.add_row(
            row.contestant, f"{row.samples:,}", f"{row.requests:,}", _shown(row.seconds), _shown(row.requests_per_second, 0),
            _shown(row.to_floor), _shown(row.to_ideal), _shown(row.cpu_seconds), _shown(row.peak_mb, 0), row.note,
        )  # fmt: skip
    return made


def verdicts(of: Sequence[Goal], *, quick: bool) -> Table:
    made = Table("goal", "measured", "reached", title="goals" + (", at a tenth of the sizes" if quick else ""), title_justify="left")
    for goal in of:
        made.add_row(goal.text, goal.measured, "yes" if goal.reached else "NO")
    return made


def write(path: Path, rows: Sequence[Row], *, quick: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": machine(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "quick": quick,
        "rows": [row.as_dict() for row in rows],
        "goals": [{"goal": goal.text, "measured": goal.measured, "reached": goal.reached} for goal in goals(rows)],
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    gigabytes = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} × {cpu}, {gigabytes:.0f} GB, Python {platform.python_version()}, load {load:.1f}"


def _shown(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


if __name__ == "__main__":
    main()
