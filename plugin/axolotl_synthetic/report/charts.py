"""Draw all figures but the flow: calls and cost over time, lengths, diversity, agreement, rounds, the grade. Each returns a figure.

Counting and measuring happen before (`samples.py`, `calls.py`, `diversity.py`); `style.py` defines colours and formats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from axolotl_synthetic.grading import Row, is_share
from axolotl_synthetic.report.calls import History
from axolotl_synthetic.report.diversity import SEEDS, Diversity
from axolotl_synthetic.report.style import FAINT, INK, Look, look, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Points of a line: more would not be visible, and a page of a million calls would be as large as the ledger.
POINTS = 240
# A box spans 25 to 75 % of the counted values, its line is the median, and its whiskers span 5 to 95 %.
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)

# The manifest's names for the minimum, the quartiles and the maximum.
QUARTERS = ("least", "quarter", "half", "three_quarters", "most")


def calls_over_time(history: History, width: float) -> Figure:
    """Draw calls and their cost (US dollars, or tokens if a price is unknown), cumulated over the working time."""
    unit, by = _time_unit(history.working)
    times = np.linspace(0.0, max(history.working, 1e-9), POINTS)
    usd = history.usd
    figure, (left, right) = panels(2, width, 2.9)
    for at, (purpose, calls) in enumerate(history.by_purpose.items()):
        style = look(purpose)
        counts = np.searchsorted(np.asarray(calls.at), times, side="right")
        worth = np.concatenate([[0.0], np.cumsum(np.asarray(calls.tokens if usd is None else calls.usd))])
        marks: dict[str, Any] = dict(
            drawstyle="steps-post",
            marker=style.marker,
            markersize=4.5,
            markevery=(24 + at * 9, 48),
            linewidth=1.8,
            color=style.colour,
            linestyle=style.dash,
        )
        left.plot(times / by, counts, label=f"{purpose} ({calls.number:,})", **marks)
        right.plot(times / by, worth[counts], label=purpose, **marks)
    for axes, title in ((left, "Calls"), (right, "Tokens" if usd is None else "US dollars")):
        axes.set_title(f"{title} so far")
        axes.set_xlabel(f"working time in {unit}")
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.yaxis.set_major_formatter(FuncFormatter(_number))
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=axes is left))
        for when, _ in history.pauses:
            axes.axvline(when / by, color=INK, linewidth=0.9, linestyle=(0, (1, 2)))
    left.legend(loc="upper left", handlelength=3.2)
    return figure


def _time_unit(seconds: float) -> tuple[str, float]:
    if seconds >= 2 * 3600:
        return "hours", 3600.0
    return ("minutes", 60.0) if seconds >= 120 else ("seconds", 1.0)


def _number(value: float, _: object = None) -> str:
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if suffix == 'k' else size):g} {suffix}"
    return f"{value:,g}"


def lengths(
    questions: Mapping[str, Mapping[int, int]],
    answers: Mapping[tuple[str, bool], Mapping[int, int]],
    strategies: Sequence[str],
    width: float,
) -> Figure:
    """Draw the words of questions and of answers by strategy, with accepted and rejected answers apart.

    Args:
        questions: by strategy, or `seeds`: number of questions by number of words.
        answers: the same, by strategy and whether they were accepted.
        strategies: their order.
        width: in inches.
    """
    asked = [(name, questions[name], look(name)) for name in (SEEDS, *strategies) if questions.get(name)]
    said = [
        (f"{name}\n{'accepted' if accepted else 'rejected'}", counts, look("accepted" if accepted else "rejected"))
        for name in strategies
        for accepted in (True, False)
        if (counts := answers.get((name, accepted)))
    ]
    both = [(title, boxes) for title, boxes in (("Questions, in words", asked), ("Answers, in words", said)) if boxes]
    figure, axes = panels(len(both), width, 0.9 + 0.46 * max(len(asked), len(said)))
    for panel, (title, boxes) in zip(axes, both, strict=True):
        panel.set_title(title)
        _boxes(panel, [(name, [quantile(counts, share) for share in SHARES], style) for name, counts, style in boxes], ",.0f")
        most = max(quantile(counts, SHARES[-1]) for _, counts, _ in boxes)
        panel.set_xlim(0, max(1.0, most * 1.15))  # room for the median's number
        panel.xaxis.set_major_formatter(FuncFormatter(_number))
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return figure


def quantile(counts: Mapping[int, int], share: float) -> float:
    """Return the smallest value that at least this share of all values does not exceed."""
    wanted, seen = share * sum(counts.values()), 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= wanted:
            return float(value)
    raise ValueError("nothing was counted")


def _boxes(axes: Axes, boxes: Sequence[tuple[str, Sequence[float], Look]], shown: str) -> None:
    """Draw horizontal boxes, the first at the top, each from five quantiles; write the median, formatted as `shown`, beside it."""
    stats: list[dict[str, Any]] = [
        {"label": _label(name), "whislo": low, "q1": quarter, "med": half, "q3": three, "whishi": high, "fliers": []}
        for name, (low, quarter, half, three, high), _ in boxes
    ]
    drawn = axes.bxp(
        stats, orientation="horizontal", patch_artist=True, showfliers=False, widths=0.55, medianprops={"color": INK, "linewidth": 2.2}
    )
    for box, (_, _, style) in zip(drawn["boxes"], boxes, strict=True):
        box.set(facecolor=_pale(style.colour), edgecolor=style.colour, hatch=style.hatch)
    for place, (_, quantiles, _) in enumerate(boxes, 1):
        _beside(axes, quantiles[-1], place, f"{quantiles[2]:{shown}}")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


def _beside(axes: Axes, x: float, y: float, text: str) -> None:
    """Write text a few points to the right of a position; an SVG would lose leading spaces."""
    axes.annotate(text, (x, y), xytext=(5, 0), textcoords="offset points", va="center")


def _label(name: str) -> str:
    return name.replace("_", " ").replace("answer augmentation", "answer\naugmentation").replace("question rephrase", "question\nrephrase")


def _pale(colour: str) -> tuple[float, float, float]:
    """Return the colour halfway to white, on which a hatch is visible."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return (1 + red) / 2, (1 + green) / 2, (1 + blue) / 2


def diversity(measured: Mapping[str, Diversity], width: float) -> Figure:
    """Draw the mean pairwise similarity of questions, and their similarity to the nearest seed; also among seeds, to compare."""
    alike = [(name, one.similarity, look(name)) for name, one in measured.items() if one.similarity is not None]
    near = [(name, one.nearest, look(name)) for name, one in measured.items() if one.nearest.size]
    figure, axes = panels(bool(alike) + bool(near), width, 0.9 + 0.42 * max(len(alike), len(near)))
    panel = iter(axes)
    if alike:
        bars = next(panel)
        bars.set_title("Mean similarity of a pair")
        for place, (_, value, style) in enumerate(alike):
            bars.barh(place, value, height=0.55, color=_pale(style.colour), edgecolor=style.colour, hatch=style.hatch)
            _beside(bars, value, place, f"{value:.2f}")
        bars.set_yticks(range(len(alike)), [_label(name) for name, _, _ in alike])
        bars.set_ylim(max(2, len(alike)) - 0.5, -0.5)
        bars.set_xlim(0, max(0.1, *(value * 1.18 for _, value, _ in alike)))
        bars.xaxis.set_major_locator(MaxNLocator(5))
        bars.grid(visible=False, axis="y")
    if near:
        boxes = next(panel)
        boxes.set_title("Similarity to the nearest seed")
        _boxes(boxes, [(name, [float(one) for one in np.quantile(values, SHARES)], style) for name, values, style in near], ".2f")
        boxes.set_xlim(-0.02, 1.16)
        boxes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    return figure


def agreement(votes: Mapping[tuple[int, int, bool], int], width: float) -> Figure:
    """Draw the number of candidates by how many answers to their question agreed; accepted and rejected.

    Args:
        votes: candidates by (agreeing answers, all answers, accepted).
        width: in inches.
    """
    shares = sorted({count / of for count, of, _ in votes})
    of_all = {of for _, of, _ in votes}
    figure = Figure(figsize=(width, 2.7), layout="constrained")
    axes = figure.subplots()
    bottom = np.zeros(len(shares))
    for accepted, style in ((True, look("accepted")), (False, look("rejected"))):
        heights = np.array(
            [sum(n for (count, of, ended), n in votes.items() if count / of == share and ended is accepted) for share in shares]
        )
        if heights.any():
            label = f"{'accepted' if accepted else 'rejected'} ({heights.sum():,})"
            there = np.flatnonzero(heights)
            drawn: dict[str, Any] = dict(color=_pale(style.colour), edgecolor=style.colour, hatch=style.hatch, label=label, width=0.6)
            axes.bar(there, heights[there], bottom=bottom[there], **drawn)
            bottom += heights
    [k] = of_all if len(of_all) == 1 else [None]
    names = [f"{share * k:.0f} of {k}" if k else f"{share:.0%}" for share in shares]
    axes.set_xticks(range(len(shares)), names)
    axes.set_title("Candidates by answers that agree")
    axes.set_ylim(0, bottom.max() * 1.25)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper left", ncols=2)
    return figure


def rounds(made: Sequence[Mapping[str, Any]], width: float) -> Figure:
    """Draw the seeds' scores after each round, and their weights in the next; boxes span from the minimum to the maximum."""
    scored = [one for one in made if one["score"] is not None]
    title = "Wrong answers" if scored[0]["by"] == "wrong" else "Bits that a byte of a seed's answer costs"
    figure, (left, right) = panels(2, width, 0.9 + 0.5 * len(scored))
    for panel, name, key, look_of in (
        (left, title, "score", look("accepted")),
        (right, "Weight in the next round", "weight", look("seeds")),
    ):
        panel.set_title(name)
        boxes = [(f"round {one['round']}", [one[key][part] for part in QUARTERS], look_of) for one in scored]
        _boxes(panel, boxes, ".2f")
        panel.set_xlim(0, max(one[key]["most"] for one in scored) * 1.25 or 1)
    right.axvline(1, color=INK, linewidth=0.9, linestyle=(0, (1, 2)))
    return figure


def grade(rows: Sequence[Row], width: float) -> Figure:
    """Draw base model and student on each task, with a standard error to each side; only metrics that are shares, in percent."""
    shown = [row for row in rows if is_share(row)]
    figure = Figure(figsize=(width, 0.95 + 0.5 * len(shown)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(shown):
        axes.plot([row.base, row.student], [place - 0.12, place + 0.12], color=FAINT, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    for which, (shift, marker, colour) in {"base model": (-0.12, "s", "#777777"), "student": (0.12, "o", "#0072B2")}.items():
        values = [row.base if which == "base model" else row.student for row in shown]
        errors = [(row.base_stderr if which == "base model" else row.student_stderr) or 0.0 for row in shown]
        places = [place + shift for place in range(len(shown))]
        axes.errorbar(values, places, xerr=errors, fmt=marker, color=colour, markersize=7, capsize=4, linewidth=1.6, label=which)
    axes.set_yticks(range(len(shown)), [_broken(f"{row.task}\n{row.metric}") for row in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def _broken(name: str, longest: int = 22) -> str:
    """Break a long name into several lines."""
    return "\n".join(line[at : at + longest] for line in name.split("\n") for at in range(0, max(1, len(line)), longest))
