"""Numbers in the figures are those that they were given; their look is for people to judge."""

import xml.etree.ElementTree as ET

import pytest
from matplotlib.patches import PathPatch, Rectangle

from axolotl_synthetic.report import charts, flow
from axolotl_synthetic.report.calls import Calls, History
from axolotl_synthetic.report.samples import gather
from axolotl_synthetic.report.style import NARROW, WIDE, styled, svg

from reportable import ROWS

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def drawn_as_on_the_page():
    with styled("x"):
        yield


def texts(figure):
    return [line.strip() for element in ET.fromstring(svg(figure, "x")).iter(f"{SVG}text") for line in element.itertext()]


@pytest.fixture(scope="module")
def flows():
    found = gather(ROWS)
    return flow.flow_of(found.ends, strategies=found.strategies, rows=5)


def test_what_is_planned_ends_somewhere_and_seed_pairs_are_the_rest_of_what_is_trained_on(flows):
    assert flows.planned == {"answer_augmentation": 3, "question_rephrase": 3, "new_question": 1}
    assert sum(flows.ended.values()) == 7
    assert flows.ended["question_rephrase", "self_consistency"] == 1
    assert (flows.trained, flows.seeds) == (3, 2)


def test_without_a_training_file_nothing_is_trained_on():
    found = gather(ROWS)
    assert flow.flow_of(found.ends, strategies=found.strategies, rows=None).trained is None


def test_more_checks_than_can_be_told_apart_are_put_together():
    ends = {("new_question", "rejected", f"check{n}"): 20 - n for n in range(10)}
    flows = flow.flow_of(ends, strategies=["new_question"], rows=0)
    shown = {end: number for (_, end), number in flows.ended.items()}
    # Seven by name; 13, 12 and 11 together.
    assert shown == {**{f"check{n}": 20 - n for n in range(7)}, flow.OTHERS: 36}


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_bars_and_bands_are_as_high_as_their_numbers(flows, width):
    axes = flow.draw(flows, width).axes[0]
    heights = [patch.get_height() for patch in axes.patches if isinstance(patch, Rectangle)]
    # trained on 5; planned 3, 3, 1; seed pairs 2, accepted 3, then 1 each for three checks and the failure.
    one = heights[0] / 5
    assert heights == pytest.approx([number * one for number in (5, 3, 3, 1, 2, 3, 1, 1, 1, 1)])
    bands = [patch for patch in axes.patches if isinstance(patch, PathPatch) and patch.get_facecolor()[3] > 0]
    assert len(bands) == len(flows.ended) + 2


def test_the_flows_labels_say_numbers_and_shares(flows):
    said = texts(flow.draw(flows, WIDE))
    assert {"7 planned", "5 trained on", "seed pairs 2", "accepted 3 (43%)", "rejected by final_answer 1 (14%)"} <= set(said)


def history(**purposes):
    found = History(working=10.0, began=0.0, ended=10.0)
    for name, (at, usd) in purposes.items():
        of = found.by_purpose.setdefault(name, Calls(number=len(at)))
        of.at.extend(at)
        of.usd.extend(usd)
        of.tokens.extend([10.0] * len(at))
    return found


def test_calls_and_cost_mount_up_to_their_sums():
    figure = charts.calls_over_time(history(answer=([0.0, 4.0, 10.0], [1.0, 2.0, 4.0]), judge=([5.0], [0.5])), WIDE)
    left, right = figure.axes
    assert [line.get_ydata()[-1] for line in left.get_lines()] == [3, 1]
    assert [line.get_ydata()[-1] for line in right.get_lines()] == [7.0, 0.5]
    # At the middle, 5 s, two of the three answers had been requested.
    assert left.get_lines()[0].get_ydata()[charts.POINTS // 2] == 2
    assert right.get_title(loc="left") == "US dollars so far"


def test_tokens_stand_in_for_an_unknown_cost():
    found = history(answer=([0.0, 4.0], [0.0, 0.0]))
    found.by_purpose["answer"].unpriced = 1
    right = charts.calls_over_time(found, WIDE).axes[1]
    assert right.get_title(loc="left") == "Tokens so far"
    assert right.get_lines()[0].get_ydata()[-1] == 20


def test_a_single_call_that_took_no_time_can_be_drawn():
    found = history(answer=([0.0], [1.0]))
    found.working = 0.0
    assert charts.calls_over_time(found, NARROW).axes[0].get_lines()[0].get_ydata()[-1] == 1


def test_quantiles_are_values_that_were_counted():
    # 1, 2, 2, 2, 9: at least a quarter is no more than 2, 95 % are no more than 9.
    counts = {9: 1, 2: 3, 1: 1}
    assert [charts.quantile(counts, share) for share in (0.05, 0.25, 0.5, 0.75, 0.95)] == [1, 2, 2, 2, 9]


def test_agreement_bars_stand_on_one_another():
    figure = charts.agreement({(4, 5, True): 3, (4, 5, False): 1, (2, 5, False): 2}, WIDE)
    bars = [(bar.get_x() + bar.get_width() / 2, bar.get_y(), bar.get_height()) for bar in figure.axes[0].patches]
    assert bars == [(1.0, 0.0, 3.0), (0.0, 0.0, 2.0), (1.0, 3.0, 1.0)]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["2 of 5", "4 of 5"]


def test_a_dollar_or_markup_in_a_name_stays_a_letter():
    flows = flow.Flow({"<b>$\\alpha$": 1}, {("<b>$\\alpha$", "accepted"): 1}, None)
    assert "<b>$\\alpha$" in texts(flow.draw(flows, WIDE))


def test_the_same_data_gives_the_same_svg_and_no_two_figures_share_an_id(flows):
    def ids(text):
        return {element.get("id") for element in ET.fromstring(text).iter() if element.get("id")}

    made = {}
    for name in ("one", "one again", "two"):
        with styled(name.split()[0]):
            made[name] = svg(flow.draw(flows, WIDE), "x")
    assert made["one"] == made["one again"]
    assert ids(made["one"])
    assert not ids(made["one"]) & ids(made["two"])
