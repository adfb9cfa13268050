"""Output of a study: the tables, the figures, `README.md`, and last `study.json`; and the output in a terminal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich import box
from rich.console import Console
from rich.table import Table

from axolotl_synthetic.files import storage_errors, write_bytes, write_text
from axolotl_synthetic.plan.crossing import LARGEST, SMALLEST, band, crossover
from axolotl_synthetic.plan.measured import FILE, Crossing, Measured, interval, to_dict
from axolotl_synthetic.plan.words import number
from axolotl_synthetic.study.arms import Difference, said
from axolotl_synthetic.study.curves import EXPONENTS
from axolotl_synthetic.study.findings import Findings
from axolotl_synthetic.study.sweep import CellResult
from axolotl_synthetic.wording import number_of

Draw = Callable[[Measured], Mapping[str, bytes]]
TABLE = "results"
FIGURES = ("accuracy.png", "accuracy.svg")
COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in ("strategy",)),
        *((name, pa.int64()) for name in ("seeds", "samples", "repeat")),
        ("budget_ratio", pa.float64()),
        *((name, pa.string()) for name in ("status", "reason")),
        *((name, pa.float64()) for name in ("accuracy", "stderr", "untrained")),
        ("metric", pa.string()),
        *((name, pa.int64()) for name in ("questions", "candidates", "calls", "tokens")),
        ("usd", pa.float64()),
        ("rows", pa.int64()),
        *((name, pa.float64()) for name in ("train_seconds", "grade_seconds")),
    ]
)


def rows(results: Sequence[CellResult], untrained: Mapping[int, float]) -> list[dict[str, Any]]:
    """Return the table of results, one row per cell; `untrained` is by repeat, from 1."""
    found = []
    for one in results:
        values = {**asdict(one), "budget_ratio": one.samples / one.seeds, "untrained": untrained.get(one.repeat)}
        found.append({name: values[name] for name in COLUMNS.names})
    return found


def write(findings: Findings, folder: Path, *, untrained: Mapping[int, float], draw: Draw) -> None:
    """Write everything but `README.md`, which also states the recommendation; `study.json` comes last.

    Args:
        findings: the content.
        folder: the study's.
        untrained: the student's accuracy before training, by repeat, from 1.
        draw: see `conduct`.

    Raises:
        StorageError: if the folder cannot be written.
    """
    table = rows(findings.results, untrained)
    beside = folder / f"{TABLE}.parquet.tmp"
    with storage_errors(beside):
        pq.write_table(pa.Table.from_pylist(table, schema=COLUMNS), beside)
        beside.replace(folder / f"{TABLE}.parquet")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS.names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    write_text(folder / f"{TABLE}.csv", text.getvalue())
    if findings.measured.curves:
        for name, content in draw(findings.measured).items():
            write_bytes(folder / name, content)
    write_text(folder / FILE, json.dumps(to_dict(findings.measured), indent=2) + "\n")


def write_readme(findings: Findings, folder: Path, *, done_by: Sequence[str], recommendation: Sequence[str], title: str) -> None:
    """Write the summary as Markdown.

    Args:
        findings: the content.
        folder: the study's.
        done_by: texts that describe the method.
        recommendation: texts that recommend a strategy for the config's budget.
        title: of the page.
    """
    measured = findings.measured
    parts = [f"# {title}", "\n".join(f"- {text}" for text in done_by)]
    if measured.curves:
        parts += [
            f"![Accuracy over samples for each strategy]({FIGURES[0]})",
            "## Accuracy\nMean over repeats ± its standard error, in percent of the held-out questions.",
            _markdown(_accuracy(measured)),
            f"## Curves\nLeast squares over the cells of a curve: accuracy = a - b / (d + Q^c), with 0 ≤ a ≤ 1, b ≥ 0 and"
            f" {EXPONENTS[0]} ≤ c ≤ {EXPONENTS[1]:g}. In brackets the middle 90 % of a bootstrap over repeats and questions. From three"
            " budgets three parameters fit nearly anything: R² then speaks of the spread between repeats alone. With d = 0 it is a power"
            " law, otherwise the rectified law of arXiv 2402.02314. *Missed*: by how many points the one and the other miss the largest"
            " budget when they are fitted without it; the curve is of the kind that misses it less.",
            _markdown(_laws(findings)),
        ]
    if measured.crossings:
        parts += [
            "## Where the lead changes\nIn samples, with the middle 90 % of the same bootstrap (≤ and ≥: to the end of what was measured),"
            " and in samples a seed; beside it the paper's (arXiv 2409.19759), which measured from 100 seeds on.",
            _markdown(_crossings(measured)),
        ]
    if findings.differences:
        parts += [
            "## Rounds and verification\nArms of one strategy that differ in one thing, on the same held-out questions; in brackets the"
            " middle 90 % of a bootstrap over repeats and then questions.",
            "\n".join(f"- {text}" for text in said(findings.differences)),
            _markdown(_differences(findings.differences)),
        ]
    if findings.targets:
        parts += ["## The cheapest way to an accuracy\nBy the curves, within what was measured.", _markdown(_targets(findings))]
    parts += ["## For the budget of the config", "\n".join(f"- {text}" for text in recommendation)]
    if failed := [one for one in findings.results if one.status == "failed"]:
        parts += [
            "## What could not be made",
            "\n".join(
                f"- {one.strategy}, {number_of(one.seeds, 'seed')}, {number_of(one.samples, 'sample')}, repeat {one.repeat}: {one.reason}"
                for one in failed
            ),
        ]
    parts.append(
        f"Every cell is a row of `{TABLE}.parquet` and `{TABLE}.csv`; `cells/` has each one's config, log and samples, `ledger.sqlite`"
        " every call. `synthetic.study` in a config lets `strategy: auto` decide by `study.json`."
    )
    write_text(folder / "README.md", "\n\n".join(parts) + "\n")


def show(console: Console, findings: Findings, recommendation: Sequence[str], folder: Path) -> None:
    """Print the summary."""
    measured = findings.measured
    if measured.curves:
        for title, table in (
            ("accuracy, %, mean over repeats ± standard error", _accuracy(measured)),
            ("where the lead changes, in samples", _crossings(measured)),
            ("arms of one strategy, difference in points", _differences(findings.differences)),
            ("the cheapest way to an accuracy", _targets(findings)),
        ):
            if table[1]:
                console.print(_table(title, table), markup=False)
    for text in recommendation:
        console.print(f"  - {text}", markup=False, highlight=False)
    failed = sum(one.status == "failed" for one in findings.results)
    if failed:
        console.print(
            f"{failed} of {len(findings.results)} cells failed; README.md says why, and the next start tries them again", highlight=False
        )
    console.print(f"written to {folder}: README.md, {TABLE}.csv, {', '.join(FIGURES)}, {FILE}", markup=False, highlight=False)


Rows = tuple[list[str], list[list[str]]]


def _accuracy(measured: Measured) -> Rows:
    samples = sorted({point.samples for curve in measured.curves for point in curve.points})
    lines = []
    for curve in measured.curves:
        by = {point.samples: point for point in curve.points}
        cells = [_percent(by[q].accuracy, by[q].stderr) if q in by else "-" for q in samples]
        lines.append([f"{curve.seeds:,}", curve.strategy, *cells, f"{curve.calls:.2f}"])
    if measured.untrained is not None:
        lines.append(["", "untrained", *[_percent(measured.untrained, None) for _ in samples], ""])
    return ["seeds", "strategy", *[f"Q = {q:,}" for q in samples], "calls a sample"], lines


def _laws(findings: Findings) -> Rows:
    lines = []
    for curve in findings.measured.curves:
        law, between = curve.law, findings.intervals.get((curve.strategy, curve.seeds), {})
        if law is None:
            numbers = len(curve.points), sum(point.repeats for point in curve.points)
            lines.append(
                [
                    f"{curve.seeds:,}",
                    curve.strategy,
                    *["too few cells"] * 4,
                    f"{number_of(numbers[0], 'budget')}, {number_of(numbers[1], 'cell')}",
                    "",
                ]
            )
            continue
        parameters = [_bracketed(getattr(law, name), between.get(name)) for name in "abc"]
        r2 = "the cells do not vary" if law.r2 is None else f"{law.r2:.2f}"
        missed = "" if law.missed is None else " / ".join("-" if one is None else f"{100 * one:.1f}" for one in law.missed)
        lines.append([f"{curve.seeds:,}", curve.strategy, *parameters, f"{law.d:.3g}", r2, missed])
    return ["seeds", "strategy", "a", "b", "c", "d", "R²", "missed"], lines


def _bracketed(value: float, interval: tuple[float, float] | None) -> str:
    return f"{value:.3g}" if interval is None else f"{value:.3g} [{interval[0]:.2g}, {interval[1]:.2g}]"


def _crossings(measured: Measured) -> Rows:
    lines = [
        [f"{one.seeds:,}", f"{one.first} → {one.then}", _seen(one, measured), _a_seed(one), _papers(one)] for one in measured.crossings
    ]
    return ["seeds", "from → to", "samples", "a seed", "the paper's, a seed"], lines


def _seen(one: Crossing, measured: Measured) -> str:
    said = {"before": "before", "beyond": "not"}.get(one.seen) or f"{one.samples:,.0f}"
    return f"{said} [{interval(measured, one)}]"


def _a_seed(one: Crossing) -> str:
    return "" if one.samples is None else number(one.samples / one.seeds)


def _papers(one: Crossing) -> str:
    if one.first == "question_rephrase":
        return "not given"
    low, high = band(one.seeds)
    outside = "" if SMALLEST <= one.seeds <= LARGEST else ", that of its nearest size"
    return f"{crossover(one.seeds):.1f} ({low:.1f} to {high:.1f}){outside}"


def _differences(found: Sequence[Difference]) -> Rows:
    lines = []
    for one in found:
        between = "" if one.low is None or one.high is None else f" [{100 * one.low:+.1f}, {100 * one.high:+.1f}]"
        gains = f"{100 * one.mean:+.1f}{between}"
        calls = f"{one.calls[0]:.2f} → {one.calls[1]:.2f}"
        lines.append([one.what, f"{one.first} → {one.second}", f"{one.seeds:,}", f"{one.samples:,}", gains, calls, str(one.repeats)])
    return ["of", "from → to", "seeds", "samples", "points", "calls a sample", "repeats"], lines


def _targets(findings: Findings) -> Rows:
    lines = []
    for target, ways in findings.targets.items():
        for seeds in findings.measured.sizes:
            of = [one for one in ways if one.seeds == seeds]
            reached = [one for one in of if one.samples is not None and one.calls is not None]
            others = "; ".join(f"{one.strategy} {_cost(one.calls, one.usd)}" for one in reached[1:])
            missed = ", ".join(one.strategy for one in of if one.samples is None)
            first = reached[0] if reached else None
            lines.append(
                [
                    f"{target:.0%}",
                    f"{seeds:,}",
                    "none within what was measured" if first is None else first.strategy,
                    "" if first is None else f"{first.samples:,.0f}",
                    "" if first is None else _cost(first.calls, first.usd),
                    "; ".join(text for text in (others, f"not reached by {missed}" if missed and first else "") if text),
                ]
            )
    return ["accuracy", "seeds", "cheapest", "samples", "cost", "others"], lines


def _cost(calls: float | None, usd: float | None) -> str:
    return number_of(round(calls or 0), "call") + ("" if usd is None else f", USD {usd:.3g}")


def _percent(value: float, stderr: float | None) -> str:
    return f"{100 * value:.1f}" if stderr is None else f"{100 * value:.1f} ± {100 * stderr:.1f}"


def _markdown(table: Rows) -> str:
    heads, lines = table
    return "\n".join(_cells(heads, lines))


def _cells(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _ in heads)} |"
    for line in lines:
        yield f"| {' | '.join(line)} |"


def _table(title: str, table: Rows) -> Table:
    heads, lines = table
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for head in heads:
        made.add_column(head)
    for line in lines:
        made.add_row(*line)
    return made
