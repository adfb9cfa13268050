"""The look of all figures, and their conversion to SVG and PNG. `flow.py` and `charts.py` define their contents.

Colours are Okabe and Ito's (Color Universal Design, 2008), which colour-blind people can distinguish. Each has its own marker, dash and
hatch, so that a grey print shows the same. Text stays text in the SVG, so it can be selected, searched and read aloud.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from axolotl_synthetic.records import ANSWER_AUGMENTATION, NEW_QUESTION, QUESTION_REPHRASE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# In inches at 96 pixels: a page's column on a screen, and on a telephone.
WIDE, NARROW = 9.0, 3.6
INK, FAINT = "#222222", "#8a8a8a"
_SETTINGS: dict[str, Any] = {
    "font.size": 9,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
    "text.color": INK,
    "text.parse_math": False,  # a `$` in a name is a dollar
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.formatter.useoffset": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "hatch.linewidth": 0.7,
    "figure.facecolor": "white",
    "svg.fonttype": "none",
}


@dataclass(frozen=True)
class Look:
    """Colour, marker, line style and hatch of one thing, the same in every figure."""

    colour: str
    marker: str
    dash: Any
    hatch: str


BLUE = Look("#0072B2", "o", "-", "")
ORANGE = Look("#E69F00", "s", (0, (5, 2)), "///")
PURPLE = Look("#CC79A7", "^", (0, (5, 1.5, 1, 1.5)), "++")  # a dotted hatch would take 80 kB in an SVG
GREEN = Look("#009E73", "D", "-", "")
VERMILLION = Look("#D55E00", "v", (0, (1, 1.2)), "\\\\\\")
SKY = Look("#56B4E9", "P", (0, (8, 2)), "|||")
GREY = Look("#777777", "X", (0, (3, 3)), "xxx")

LOOKS = {
    ANSWER_AUGMENTATION: BLUE,
    QUESTION_REPHRASE: ORANGE,
    NEW_QUESTION: PURPLE,
    "seeds": SKY,
    "accepted": GREEN,
    "rejected": VERMILLION,
    "failed": GREY,
    "answer": BLUE,
    "rephrase": ORANGE,
    "self_check": GREEN,
    "judge": VERMILLION,
    "difficulty": SKY,
}


def look(name: str) -> Look:
    """Return the look of a strategy, a purpose or a status; grey for unknown names."""
    return LOOKS.get(name, GREY)


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Return a look for each name; unknown names get unused looks as long as there are any."""
    found = {name: LOOKS[name] for name in names if name in LOOKS}
    free = [one for one in (GREEN, VERMILLION, SKY, BLUE, ORANGE, PURPLE) if one not in found.values()]
    return {name: found.get(name) or (free.pop(0) if free else GREY) for name in names}


@dataclass(frozen=True)
class Picture:
    """One figure, as files and for the page.

    Attributes:
        name: base name of its files.
        text: description for those who cannot see it.
        wide, narrow: SVG elements, without the XML prologue.
        png: the wide one as PNG.
    """

    name: str
    text: str
    wide: str
    narrow: str
    png: bytes

    @property
    def file(self) -> str:
        """Return the wide SVG as the content of a file."""
        return f'<?xml version="1.0" encoding="utf-8"?>\n{self.wide}\n'


@contextmanager
def styled(name: str) -> Iterator[None]:
    """Apply our style. `name` salts the elements' ids, so that ids are unique on a page and the same data gives the same bytes."""
    settings: Any = {**_SETTINGS, "svg.hashsalt": name}
    with mpl.rc_context(settings):
        yield


def pictured(name: str, text: str, draw: Callable[[float], Figure]) -> Picture:
    """Return a figure in both widths.

    Args:
        name: base name of its files.
        text: description of what it shows.
        draw: returns the figure for a width in inches.
    """
    text = " ".join(re.sub(r"[\[\]]", " ", text).split())  # the card puts it between brackets
    with styled(f"{name} narrow"):
        narrow = svg(draw(NARROW), text)
    with styled(name):
        figure = draw(WIDE)
        wide = svg(figure, text)
        figure.set_layout_engine("none")  # it is already laid out; doing so again would take as long again
        return Picture(name, text, wide, narrow, png(figure))


def panels(number: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Return panels side by side in a wide figure, one below another in a narrow one; each `height` inches high."""
    beside = width > NARROW
    figure = Figure(figsize=(width, height if beside else height * number), layout="constrained")
    axes = figure.subplots(1 if beside else number, number if beside else 1, squeeze=False)
    return figure, list(axes.flat)


def svg(figure: Figure, text: str) -> str:
    """Return the figure as an SVG element of its container's width, with `text` as its name for screen readers."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    element = buffer.getvalue()
    element = element[element.index("<svg") :].rstrip()
    element = re.sub(r"<metadata>.*?</metadata>\s*", "", element, count=1, flags=re.DOTALL)
    # Groups have the same numbers in every figure, and nothing refers to them.
    element = re.sub(r'<g id="[^"]*">', "<g>", element)
    opening, rest = element.split(">", 1)
    opening = re.sub(r'\s(width|height)="[^"]*"', "", opening)
    return f'{opening} width="100%" role="img" aria-label="{escape(text)}">{rest}'


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG, 1,080 pixels wide if it is `WIDE`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
