"""Fitted laws, crossings and intervals, on cells whose curve is known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.plan.measured import Curve, Law, Point
from axolotl_synthetic.study.curves import Result, crossing, crossings, curves, fit, resampled, samples_for

AA, QR, NQ = "answer_augmentation", "question_rephrase", "new_question"
BUDGETS = (50, 200, 800, 3_200)


def cells(strategy: str, law: Callable[[float], float], *, repeats: int = 2, seeds: int = 20, spread: float = 0.0) -> list[Result]:
    """Return cells on a curve; the repeats alternate `spread` above and below it."""
    return [
        Result(strategy, seeds, q, repeat, law(q) + spread * (-1) ** repeat, None, calls=2 * q)
        for q in BUDGETS
        for repeat in range(1, repeats + 1)
    ]


def line(strategy: str, *points: tuple[int, float]) -> Curve:
    return Curve(strategy, 20, tuple(Point(q, accuracy, None, 1) for q, accuracy in points), None, 1.0)


def test_a_law_is_found_again_from_cells_that_lie_on_it():
    law = fit(BUDGETS, [0.8 - 3 * q**-0.5 for q in BUDGETS])
    assert law is not None
    assert (law.a, law.b, law.c) == pytest.approx((0.8, 3, 0.5), abs=1e-3)
    assert law.r2 == pytest.approx(1)


MANY = (50, 100, 200, 400, 800, 1_600)


def test_cells_that_are_flat_at_first_have_the_rectified_law_for_it_predicts_the_largest_better():
    # 0.8 - 40 / (100 + Q): 0.533 at 50, where a power law would be much lower.
    accuracies = [0.8 - 40 / (100 + q) for q in MANY]
    law = fit(MANY, accuracies)
    assert law is not None and law.missed is not None and law.missed[1] is not None
    assert law.missed[1] < law.missed[0]
    assert law.d > 0
    assert [law(q) for q in MANY] == pytest.approx(accuracies, abs=5e-3)
    assert law(6_400) == pytest.approx(0.8 - 40 / 6_500, abs=0.01)


def test_cells_on_a_power_law_keep_it_and_it_misses_nothing():
    law = fit(MANY, [0.8 - 3 * q**-0.5 for q in MANY])
    assert law is not None and law.missed is not None
    assert law.d == 0
    assert law.missed[0] == pytest.approx(0, abs=1e-3)


def test_the_largest_budget_is_left_out_only_where_enough_are_left():
    three, four = (fit(MANY[:count] * 2, [0.8 - 3 * q**-0.5 for q in MANY[:count]] * 2) for count in (3, 4))
    assert three is not None and three.missed is None
    # Three budgets remain for the power law, but that is too few for one more parameter.
    assert four is not None and four.missed is not None and four.missed[1] is None


@given(a=st.floats(0.3, 0.95), share=st.floats(0.1, 0.9), c=st.floats(0.1, 1.5))
def test_any_law_within_the_bounds_is_met_at_its_own_cells(a, share, c):
    b = share * a * BUDGETS[0] ** c  # so that no accuracy is below 0
    law = fit(BUDGETS, [a - b * q**-c for q in BUDGETS])
    assert law is not None
    assert [law(q) for q in BUDGETS] == pytest.approx([a - b * q**-c for q in BUDGETS], abs=2e-3)
    assert 0 <= law.a <= 1 and law.b >= 0


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_a_law_never_falls_and_never_ends_outside_0_and_1(accuracies):
    law = fit(BUDGETS, accuracies)
    assert law is not None
    values = [law(q) for q in (*BUDGETS, 1e9)]
    assert all(right >= left - 1e-12 for left, right in itertools.pairwise(values))
    assert values[-1] <= 1 + 1e-12


@pytest.mark.parametrize("budgets", [(50, 200), (50, 200, 800), (50, 50, 200, 200)])
def test_too_few_cells_have_no_law(budgets):
    # With two budgets, or three cells for three parameters, any curve would be a guess.
    assert fit(budgets, [0.1 * place for place in range(len(budgets))]) is None


def test_cells_that_do_not_vary_have_a_flat_law_and_no_r2():
    law = fit(BUDGETS, [0.5] * 4)
    assert law is not None and law.r2 is None
    assert [law(q) for q in BUDGETS] == pytest.approx([0.5] * 4)


def test_a_point_is_the_mean_over_repeats_with_its_standard_error():
    [curve] = curves([Result(AA, 20, 50, 1, 0.4, None, 50), Result(AA, 20, 50, 2, 0.6, None, 70)])
    # The standard deviation of 0.4 and 0.6 is 0.1414; over the root of 2 it is 0.1.
    assert curve.points == (Point(50, pytest.approx(0.5), pytest.approx(0.1), 2),)
    assert curve.calls == pytest.approx(1.2)  # 120 calls for 100 samples


def test_one_repeat_has_no_standard_error():
    [curve] = curves([Result(AA, 20, 50, 1, 0.4, None, 50)])
    assert curve.points[0].stderr is None


def test_lines_that_cross_halfway_over_the_logarithm_cross_there():
    # Over log Q both are straight: 0.4 to 0.6 and 0.3 to 0.7 meet in the middle, at the root of 100 * 10,000.
    at = crossing(line(AA, (100, 0.4), (10_000, 0.6)), line(NQ, (100, 0.3), (10_000, 0.7)))
    assert at == ("within", pytest.approx(1_000, rel=0.01))


@pytest.mark.parametrize(
    ("then", "seen"),
    [
        ([(100, 0.5), (10_000, 0.7)], "before"),  # above from the first cell on
        ([(100, 0.3), (10_000, 0.5)], "beyond"),  # below up to the last
        ([(100, 0.5), (10_000, 0.5)], "beyond"),  # it led and was overtaken: that is no lead
        ([(100, 0.4), (10_000, 0.6)], "beyond"),  # level
    ],
)
def test_a_lead_that_does_not_change_says_who_has_it(then, seen):
    assert crossing(line(AA, (100, 0.4), (10_000, 0.6)), line(NQ, *then)) == (seen, None)


def test_a_lead_that_changes_twice_changes_for_good_at_the_last():
    wavy = line(NQ, (100, 0.5), (1_000, 0.3), (10_000, 0.7))
    kind, at = crossing(line(AA, (100, 0.4), (1_000, 0.4), (10_000, 0.4)), wavy)
    # From 0.3 to 0.7 between 1,000 and 10,000: 0.4 is reached after a quarter of the decade.
    assert kind == "within" and at == pytest.approx(1_000 * 10**0.25, rel=0.01)


def answers(q: float) -> float:
    return 0.55 - 0.5 * q**-0.5


def inventions(q: float) -> float:
    return 0.75 - 2 * q**-0.5


def test_a_crossing_of_two_laws_is_where_they_are_equal_and_its_interval_holds_it():
    results = cells(AA, answers, spread=0.01) + cells(NQ, inventions, spread=0.01)
    [one] = crossings(results, [(AA, NQ)], draws=50)
    # 0.2 = 1.5 * Q^-0.5, so Q = 7.5 squared.
    assert one.seen == "within" and one.samples == pytest.approx(56.25, rel=0.02)
    assert one.low <= one.samples <= one.high


def test_the_interval_is_wider_where_the_questions_are_few():
    def width(questions: int) -> float:
        results = [
            Result(one.strategy, one.seeds, one.samples, one.repeat, one.accuracy, questions, one.calls)
            for one in cells(AA, lambda q: 0.6 - 0.2 * (q / 50) ** -0.4) + cells(NQ, lambda q: 0.7 - 0.4 * (q / 50) ** -0.4)
        ]
        [one] = crossings(results, [(AA, NQ)], draws=60)
        return math.log(one.high / one.low)

    assert width(40) > width(100_000)


def test_a_strategy_that_is_missing_at_a_size_has_no_crossing_there():
    results = cells(AA, answers) + cells(NQ, inventions, seeds=100)
    assert crossings(results, [(AA, NQ)], draws=2) == ()


def test_every_draw_keeps_a_repeat_together():
    results = cells(AA, answers, spread=0.1, repeats=3) + cells(NQ, inventions, spread=0.1, repeats=3)
    for drawn in resampled(results, 20, seed=1):
        assert len(drawn) == len(results)
        above = {(one.repeat, one.accuracy > (answers if one.strategy == AA else inventions)(one.samples)) for one in drawn}
        assert len(above) == 3  # one side of the curve for each repeat, whatever the strategy


def test_the_same_seed_draws_the_same():
    results = cells(AA, answers)
    assert list(resampled(results, 5, seed=3)) == list(resampled(results, 5, seed=3))


def test_the_fewest_samples_for_an_accuracy_are_where_the_curve_passes_it():
    curve = Curve(AA, 20, (Point(50, 0.4, None, 1), Point(3_200, 0.5, None, 1)), Law(0.55, 0.5, 0.5, 1.0), 1.0)
    # 0.5 = 0.55 - 0.5 * Q^-0.5 at Q = 100.
    assert samples_for(curve, 0.5) == pytest.approx(100, rel=0.02)
    assert samples_for(curve, 0.56) is None
    assert samples_for(curve, 0.1) == 50  # nothing is said below the measured range
