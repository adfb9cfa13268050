"""Draw a study's figure from its measurements: accuracy over samples for each strategy, one panel per number of seeds."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from axolotl_synthetic.plan.measured import Curve, Measured
from axolotl_synthetic.report.style import INK, Picture, looks, panels, pictured
from axolotl_synthetic.wording import number_of

NAME = "accuracy"
# Factor between points of neighbouring strategies, whose error bars would otherwise hide one another.
APART = 1.03
POINTS = 100


def files(measured: Measured) -> dict[str, bytes]:
    """Return a study's figure as files `accuracy.svg` and `accuracy.png`. The same measurements give the same bytes."""
    picture = draw(measured)
    return {f"{NAME}.svg": picture.file.encode(), f"{NAME}.png": picture.png}


def draw(measured: Measured) -> Picture:
    """Draw the figure with its text."""
    ends = [
        f"{curve.strategy} from {number_of(curve.seeds, 'seed')} {curve.points[0].accuracy:.0%} to {curve.points[-1].accuracy:.0%}"
        for curve in measured.curves
    ]
    before = "" if measured.untrained is None else f"; the untrained student {measured.untrained:.0%}"
    return pictured(NAME, f"Accuracy over samples: {', '.join(ends)}{before}", lambda width: figure_of(measured, width))


def figure_of(measured: Measured, width: float) -> Figure:
    """Draw means with a standard error to each side, and fitted curves or, if there is none, lines between the means."""
    rows_of_the_legend = -(-(len(measured.strategies) + 1) // 2)
    figure, axes = panels(len(measured.sizes), width, 2.7 + 0.2 * rows_of_the_legend)
    ticks = sorted({point.samples for curve in measured.curves for point in curve.points})
    styles = looks(measured.strategies)
    middle = (len(styles) - 1) / 2
    for panel, size in zip(axes, measured.sizes, strict=True):
        for place, strategy in enumerate(measured.strategies):
            curve = measured.of(strategy, size)
            if curve is None:
                continue
            style = styles[strategy]
            panel.errorbar(
                [point.samples * APART ** (place - middle) for point in curve.points],
                [100 * point.accuracy for point in curve.points],
                yerr=[100 * (point.stderr or 0.0) for point in curve.points],
                fmt=style.marker,
                color=style.colour,
                markersize=6,
                capsize=3,
                label=strategy.replace("_", " "),
            )
            between = _between(curve)
            panel.plot(between, [100 * curve.at(float(q)) for q in between], linestyle=style.dash, color=style.colour, linewidth=1.4)
        if measured.untrained is not None:
            panel.axhline(100 * measured.untrained, color=INK, linestyle=(0, (1, 2)), linewidth=1.2, label="untrained student")
        panel.set_xscale("log")
        panel.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        panel.minorticks_off()
        panel.set_title(number_of(size, "seed"))
        panel.set_xlabel("accepted samples (Q)")
        panel.sharey(axes[0])
    of = f" of {measured.questions:,}" if measured.questions else ""
    axes[0].set_ylabel(f"right answers{of}, %")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, handlelength=3.2)
    return figure


def _between(curve: Curve) -> np.ndarray:
    low, high = curve.range
    return np.geomspace(low, high, POINTS) if high > low else np.array([float(low)])
