"""The report: one HTML page about a run, finished or not, and its figures as files. Asks nobody, and needs no network to be read.

    samples.py      once through the samples: counts, lengths, draws
    calls.py        once through the ledger: calls, tokens, cost, time
    diversity.py    how different the questions are
    flow.py         the flow from planned to trained
    charts.py       the other figures of a run
    curves.py       the figure of a study
    style.py        colours, markers, hatches; SVG and PNG
    page.py         the page's words and numbers, filled into page.html.j2 with page.css

What lies in a folder is looked up by `run.find`. matplotlib and scikit-learn are imported by this package alone and no other command
imports it, so that they start as quickly as before; a run therefore writes its card without figures, and a report adds them.
"""

from axolotl_synthetic.report.curves import files as study_figures
from axolotl_synthetic.report.page import write

__all__ = ["study_figures", "write"]
