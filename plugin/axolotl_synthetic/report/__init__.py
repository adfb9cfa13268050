"""The report: one HTML page about a run, finished or not, and its figures as files. It makes no calls and works offline.

    samples.py      reads the samples once: counts, lengths, draws
    calls.py        reads the ledger once: calls, tokens, cost, time
    diversity.py    how different the questions are
    flow.py         the flow from planned to trained
    charts.py       the other figures of a run
    curves.py       the figure of a study
    style.py        colours, markers, hatches; SVG and PNG
    page.py         the page's words and numbers, filled into page.html.j2 with page.css

`run.find` looks up a folder's contents. Only this package imports matplotlib and scikit-learn, and no other command imports it, so that
they start quickly. A run therefore writes its card without figures, and a report adds them.
"""

from axolotl_synthetic.report.curves import files as study_figures
from axolotl_synthetic.report.page import write

__all__ = ["study_figures", "write"]
