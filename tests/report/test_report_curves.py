"""A study's figure and its place on the page: drawn from the study's measurements, with the colours of all other figures."""

import json
from html import unescape

import pytest
from matplotlib.colors import to_hex

from axolotl_synthetic.plan.measured import FILE, Curve, Law, Measured, Point, to_dict
from axolotl_synthetic.report import curves, study_figures, write
from axolotl_synthetic.report.style import LOOKS, NARROW, WIDE, styled

from reportable import find, make

AA, NQ = "answer_augmentation", "new_question"


def curve(strategy, seeds, *means, law=None):
    points = tuple(Point(samples, mean, 0.02, 2) for samples, mean in zip((50, 200, 800), means, strict=False))
    return Curve(strategy, seeds, points, law, 1.5)


def study(*made):
    return Measured(
        *("study", "math", "big", "big", "small", "exact_match", 120, 0.05, 2, 0),
        curves=made or (curve(AA, 20, 0.4, 0.45, 0.5), curve(NQ, 20, 0.3, 0.44, 0.6), curve(AA, 100, 0.5, 0.55)),
        crossings=(),
    )


@pytest.mark.parametrize(("width", "columns"), [(WIDE, 2), (NARROW, 1)])
def test_each_number_of_seeds_has_a_panel_with_its_means_in_percent(width, columns):
    with styled("x"):
        figure = curves.figure_of(study(), width)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["20 seeds", "100 seeds"]
    assert figure.axes[0].get_subplotspec().get_gridspec().ncols == columns
    means = {bars.get_label(): [round(float(y), 6) for y in bars[0].get_ydata()] for bars in figure.axes[0].containers}
    assert means == {"answer augmentation": [40, 45, 50], "new question": [30, 44, 60]}
    [only] = figure.axes[1].containers
    assert list(only[0].get_ydata()) == pytest.approx([50, 55])
    # A standard error of 2 points to each side.
    [(low, high), *_] = [segment[:, 1] for segment in only[2][0].get_segments()]
    assert (low, high) == pytest.approx((48, 52))


def test_strategies_have_the_colours_that_they_have_in_all_figures():
    with styled("x"):
        figure = curves.figure_of(study(), WIDE)
    seen = {bars.get_label().replace(" ", "_"): to_hex(bars[0].get_color()).upper() for bars in figure.axes[0].containers}
    assert seen == {name: LOOKS[name].colour for name in (AA, NQ)}


def test_where_there_is_a_law_the_law_is_drawn():
    # 0.8 - 2 / sqrt(Q): at 100 samples 0.6.
    with styled("x"):
        figure = curves.figure_of(study(curve(AA, 20, 0.5, 0.66, 0.72, law=Law(0.8, 2.0, 0.5, 0.9))), WIDE)
    line = next(line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == curves.POINTS)
    nearest = min(range(curves.POINTS), key=lambda at: abs(line.get_xdata()[at] - 100))
    assert line.get_ydata()[nearest] == pytest.approx(60, abs=0.5)


def test_the_same_measurements_give_the_same_files():
    once, again = study_figures(study()), study_figures(study())
    assert once == again and set(once) == {"accuracy.svg", "accuracy.png"}
    assert once["accuracy.png"].startswith(b"\x89PNG")
    assert "answer_augmentation from 20 seeds 40% to 50%" in once["accuracy.svg"].decode()


def test_one_budget_and_one_repeat_can_be_drawn():
    alone = Curve(AA, 20, (Point(50, 0.4, None, 1),), None, 1.0)
    assert study_figures(study(alone))["accuracy.png"].startswith(b"\x89PNG")


def test_the_report_of_a_run_that_goes_by_a_study_shows_what_the_study_found(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / FILE).write_text(json.dumps(to_dict(study())))
    path = make(tmp_path, study=str(folder), strategy="auto")
    write(find(path))
    page = " ".join(unescape((tmp_path / "out" / "report.html").read_text(encoding="utf-8")).split())
    assert "What the study found" in page and 'id="figure-accuracy"' in page
    # The table's row of answers from 20 seeds: three means ± 2 points, 1.5 calls per sample.
    for cell in ("answer augmentation, 20 seeds", "40.0 ± 2.0 %", "45.0 ± 2.0 %", "50.0 ± 2.0 %", "1.50"):
        assert cell in page
    assert {"accuracy.svg", "accuracy.png"} <= {one.name for one in (tmp_path / "out" / "figures").iterdir()}
    assert "](figures/accuracy.png)" in (tmp_path / "out" / "README.md").read_text()


def test_a_report_without_a_study_says_nothing_of_one(tmp_path):
    write(find(make(tmp_path)))
    assert "What the study found" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "out" / "figures" / "accuracy.svg").exists()
