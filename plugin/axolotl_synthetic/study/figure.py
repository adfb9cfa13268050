"""Accuracy over samples, a panel for each number of seeds: PNG and SVG. Colours of Okabe and Ito (2008), which colour-blind people
tell apart; markers and dashes differ as well, so that a grey print says the same.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from axolotl_synthetic.errors import StorageError
from axolotl_synthetic.plan.measured import Measured
from axolotl_synthetic.records import ANSWER_AUGMENTATION, NEW_QUESTION, QUESTION_REPHRASE

FILES = ("accuracy.png", "accuracy.svg")
# Colour, marker and dashes of each. https://jfly.uni-koeln.de/color/
LOOKS = {
    ANSWER_AUGMENTATION: ("#0072B2", "o", "-"),
    QUESTION_REPHRASE: ("#E69F00", "s", "--"),
    NEW_QUESTION: ("#009E73", "^", "-."),
}
NAMES = {ANSWER_AUGMENTATION: "Answer Augmentation", QUESTION_REPHRASE: "Question Rephrase", NEW_QUESTION: "New Question"}
# Points of neighbouring strategies stand this factor apart, or their error bars would hide one another.
APART = 1.03


def draw(measured: Measured) -> Figure:
    """The figure; not yet written anywhere."""
    sizes = measured.sizes
    figure = Figure(figsize=(1 + 4.2 * len(sizes), 4.4), layout="constrained")
    axes = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    for axis, size in zip(axes, sizes, strict=True):
        for place, strategy in enumerate(measured.strategies):
            curve = measured.of(strategy, size)
            if curve is None:
                continue
            colour, marker, dashes = LOOKS[strategy]
            samples = [point.samples * APART ** (place - 1) for point in curve.points]
            accuracies = [100 * point.accuracy for point in curve.points]
            axis.errorbar(
                samples,
                accuracies,
                yerr=[100 * (point.stderr or 0.0) for point in curve.points],
                fmt=marker,
                color=colour,
                markersize=6,
                capsize=3,
                label=NAMES[strategy],
            )
            low, high = curve.range
            between = np.geomspace(low, high, 100) if high > low else np.array([low])
            axis.plot(between, [100 * curve.at(float(q)) for q in between], dashes, color=colour, linewidth=1.4)
        if measured.untrained is not None:
            axis.axhline(100 * measured.untrained, color="black", linestyle=":", linewidth=1.2, label="untrained student")
        axis.set_xscale("log")
        ticks = sorted({point.samples for curve in measured.curves for point in curve.points})
        axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axis.minorticks_off()
        axis.set_title(f"{size:,} seeds")
        axis.set_xlabel("accepted samples (Q)")
        axis.grid(color="0.9")
        axis.set_axisbelow(True)
    axes[0].set_ylabel(f"right of {measured.questions:,} held-out questions, %" if measured.questions else "accuracy, %")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def write(measured: Measured, folder: Path) -> None:
    """Both files. Texts stay texts in the SVG, and the same study gives the same bytes.

    Raises:
        StorageError: if they cannot be written.
    """
    figure = draw(measured)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "axolotl-synthetic"}):
        for name in FILES:
            metadata = {"Date": None} if name.endswith(".svg") else {"Software": None}
            try:
                figure.savefig(folder / name, dpi=150, metadata=metadata)
            except OSError as error:
                raise StorageError(f"{folder / name}: {error.strerror}; free some space or make it writable, then start again") from error
