"""Draw the flow from planned candidates to training data, as bands whose height is a number of candidates (a Sankey diagram).

The strategies are on the left, the candidates' outcomes in the middle (accepted, rejected by each check, failed). The training file, which
the seed pairs join, is on the right. matplotlib's own `Sankey` draws trunks with arrows, not columns with bands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from axolotl_synthetic.report.style import NARROW, Look, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# More bands could not be told apart; the rest are merged into one.
MOST_CHECKS = 8
OTHERS = "other checks"
ENDS = ("accepted", "failed")
# White box behind a label, so that it is legible on a hatch.
BEHIND = {"facecolor": "white", "alpha": 0.72, "linewidth": 0, "pad": 1.2}
# In inches: the height of all candidates together, a node's width, the smallest height of a node with its label, the gap between two nodes,
# and the height of the totals above.
BODY, NODE, LINE, GAP, HEAD = 2.6, 0.12, 0.2, 0.07, 0.4


@dataclass(frozen=True)
class Flow:
    """Numbers of the flow.

    Attributes:
        planned: candidates by strategy.
        ended: candidates by strategy and end: `accepted`, a check's name, or `failed`.
        trained: rows of the training file that are samples; None if there is no such file yet.
        seeds: rows of it that are seed pairs.
    """

    planned: Mapping[str, int]
    ended: Mapping[tuple[str, str], int]
    trained: int | None
    seeds: int = 0


def flow_of(ends: Mapping[tuple[str, str, str], int], *, strategies: list[str], rows: int | None) -> Flow:
    """Return the flow of candidates by strategy, status and reason.

    Args:
        ends: as `samples.Samples.ends`.
        strategies: their order.
        rows: number of rows of the training file, None if there is none.
    """
    planned = {name: sum(number for (of, _, _), number in ends.items() if of == name) for name in strategies}
    by_check: dict[str, int] = {}
    for (_, status, reason), number in ends.items():
        if status == "rejected":
            by_check[reason] = by_check.get(reason, 0) + number
    ordered = sorted(by_check, key=lambda name: -by_check[name])
    kept = ordered if len(ordered) <= MOST_CHECKS else ordered[: MOST_CHECKS - 1]
    ended: dict[tuple[str, str], int] = {}
    for end in ("accepted", *kept, OTHERS, "failed"):
        for name in strategies:
            number = sum(n for (of, status, reason), n in ends.items() if of == name and _end(status, reason, kept) == end)
            if number:
                ended[name, end] = number
    accepted = sum(number for (_, end), number in ended.items() if end == "accepted")
    trained = None if rows is None else min(accepted, rows)
    return Flow(planned, ended, trained, 0 if rows is None else rows - min(accepted, rows))


def _end(status: str, reason: str, kept: list[str]) -> str:
    if status != "rejected":
        return status
    return reason if reason in kept else OTHERS


@dataclass
class _Node:
    """A bar with a label beside it. `top` and `x` are in inches; `used` is how much of each side already has bands."""

    label: str
    number: int
    look: Look
    x: float
    top: float = 0.0
    used: dict[str, float] = field(default_factory=lambda: {"right": 0.0, "left": 0.0})


def draw(flow: Flow, width: float) -> Figure:
    """Draw the flow.

    Args:
        flow: with at least one candidate.
        width: in inches.
    """
    total = sum(flow.planned.values())
    scale = BODY / max(total, (flow.trained or 0) + flow.seeds)
    numbers: dict[str, int] = {}
    for (_, end), number in flow.ended.items():
        numbers[end] = numbers.get(end, 0) + number
    xs = (0.05, width * 0.42, width - NODE - 0.05)
    named = {name: name.replace("_", "\n" if width <= NARROW else " ") for name in flow.planned}
    left = {name: _Node(f"{named[name]}\n{number:,}", number, look(name), xs[0]) for name, number in flow.planned.items()}
    by = "by" if width <= NARROW else "rejected by"
    ends = {
        end: _Node(f"{end if end in ENDS else f'{by} {end}'} {number:,} ({number / total:.0%})", number, _look_of(end), xs[1])
        for end, number in numbers.items()
    }
    seeds = _Node(f"seed pairs {flow.seeds:,}", flow.seeds, look("seeds"), xs[1])
    middle = [*([seeds] if flow.seeds else []), *ends.values()]
    # Positions grow downwards, and `_place` returns how far a column reaches.
    lowest = max(_place(list(left.values()), scale), _place(middle, scale))
    figure = Figure(figsize=(width, lowest + 0.05))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(lowest + 0.05, 0)
    for (name, end), number in flow.ended.items():
        _band(axes, left[name], ends[end], number * scale, ends[end].look)
    axes.text(xs[0], HEAD - 0.1, f"{total:,} planned", weight="bold")
    if flow.trained is not None:
        trained = _Node("", flow.trained + flow.seeds, look("accepted"), xs[2], HEAD)
        for node, number in ((seeds, flow.seeds), (ends.get("accepted"), flow.trained)):
            if node is not None and number:
                _band(axes, node, trained, number * scale, node.look)
        _bar(axes, trained, scale)
        axes.text(xs[2] + NODE, HEAD - 0.1, f"{trained.number:,} trained on", weight="bold", ha="right")
    for node in (*left.values(), *middle):
        _bar(axes, node, scale)
        beside = node.top + max(node.number * scale, LINE) / 2
        axes.text(node.x + NODE + 0.08, beside, node.label, va="center", linespacing=1.1, bbox=BEHIND)
    return figure


def _place(nodes: list[_Node], scale: float) -> float:
    """Set the tops of a column's nodes and return where it ends."""
    top = HEAD
    for node in nodes:
        node.top = top
        top += max(node.number * scale, LINE * (1 + node.label.count("\n"))) + GAP
    return top


def _bar(axes: Axes, node: _Node, scale: float) -> None:
    axes.add_patch(Rectangle((node.x, node.top), NODE, max(node.number * scale, 0.01), facecolor=node.look.colour, linewidth=0))


def _band(axes: Axes, source: _Node, target: _Node, thick: float, style: Look) -> None:
    """Draw a band from the right side of one node to the left side of another, below earlier bands."""
    x0, x1 = source.x + NODE, target.x
    y0, y1 = source.top + source.used["right"], target.top + target.used["left"]
    source.used["right"] += thick
    target.used["left"] += thick
    half = (x0 + x1) / 2
    move, line, curve = Path.MOVETO, Path.LINETO, Path.CURVE4
    corners = [
        *((x0, y0), (half, y0), (half, y1), (x1, y1)),
        *((x1, y1 + thick), (half, y1 + thick), (half, y0 + thick), (x0, y0 + thick), (x0, y0)),
    ]
    path = Path(corners, [move, curve, curve, curve, line, curve, curve, curve, Path.CLOSEPOLY])
    axes.add_patch(PathPatch(path, facecolor=style.colour, alpha=0.28, linewidth=0))
    if style.hatch:
        axes.add_patch(PathPatch(path, facecolor="none", edgecolor=style.colour, alpha=0.55, linewidth=0, hatch=style.hatch))


def _look_of(end: str) -> Look:
    return look(end if end in ENDS else "rejected")
