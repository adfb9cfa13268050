"""The number of held-out questions that show a difference, by Connor's formula."""

from __future__ import annotations

import pytest

from axolotl_synthetic.plan.power import difference_shown_by, questions_for


@pytest.mark.parametrize(
    ("difference", "differing", "questions"),
    [
        # (1.96 · √0.2 + 0.8416 · √(0.2 - 0.0025))² / 0.0025 = (0.87654 + 0.37401)² / 0.0025 = 625.6
        (0.05, 0.2, 626),
        # (1.96 · √0.2 + 0.8416 · √(0.2 - 0.04))² / 0.04 = (0.87654 + 0.33664)² / 0.04 = 36.8
        (0.2, 0.2, 37),
        # If one model is never worse, all that differ are of one kind: (1.96 · √0.5 + 0.8416 · √0.25)² / 0.25 = 13.06
        (0.5, 0.2, 14),
    ],
)
def test_questions_for_a_difference(difference, differing, questions):
    assert questions_for(difference, differing) == questions


def test_the_difference_that_a_number_of_questions_shows_is_the_formulas_inverse():
    assert difference_shown_by(626) == 0.05
    assert difference_shown_by(625) == 0.06
    assert difference_shown_by(1) == 1.0
