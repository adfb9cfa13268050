"""Agreement of people, with values computed by hand."""

import pytest

from axolotl_synthetic.review.agreement import Overruled, alpha, overruled
from axolotl_synthetic.review.kept import Answer
from axolotl_synthetic.review.ruling import Ruling


def answers(*verdicts, quality=()):
    """Return the answers to one record: a verdict or a rating for each person, None for a person who did not answer."""
    given = verdicts or [None] * len(quality)
    ratings = quality or [None] * len(given)
    return [
        Answer(str(at), str(at), "2026-01-01T00:00:00Z", what, quality=rating)
        for at, (what, rating) in enumerate(zip(given, ratings, strict=True))
    ]


def test_people_who_always_agree_have_an_alpha_of_1():
    assert alpha([answers("accept", "accept"), answers("reject", "reject")], "verdict") == pytest.approx(1)


def test_alpha_of_four_records_by_hand():
    # Coincidences of values: 2 + 2 accept with accept, 1 + 1 accept with reject, 2 reject with reject; so 8 values, 5 accept and 3 reject.
    # Observed disagreement 2/8; expected 2 * 5 * 3 / (8 * 7) = 30/56. alpha = 1 - (2/8) / (30/56) = 1 - 7/15.
    records = [answers("accept", "accept"), answers("accept", "accept"), answers("accept", "reject"), answers("reject", "reject")]
    assert alpha(records, "verdict") == pytest.approx(1 - 7 / 15)


def test_a_record_that_one_person_answered_says_nothing_of_agreement():
    records = [answers("accept", "accept"), answers("reject", "reject"), answers("accept", None)]
    assert alpha(records, "verdict") == pytest.approx(1)


@pytest.mark.parametrize(
    "records",
    [
        [],
        [answers("accept")],
        [answers("accept", "accept"), answers("accept", "accept")],
        [answers("edit", "edit"), answers("reject", "reject")],
    ],
)
def test_without_two_people_on_a_record_or_two_different_values_it_is_not_defined(records):
    # An `edit` without a correction is not a verdict, so the last of these has only one value.
    assert alpha(records, "verdict") is None


def test_ratings_that_are_nearly_the_same_agree_better_than_distant_ones():
    near = alpha([answers(quality=(1, 2)), answers(quality=(4, 5)), answers(quality=(3, 3))], "quality")
    far = alpha([answers(quality=(1, 5)), answers(quality=(4, 2)), answers(quality=(3, 3))], "quality")
    assert near > 0 > far


def test_a_check_is_overruled_when_people_accept_what_it_failed_or_reject_what_it_passed():
    def row(format, final):
        checks = [("format", format), ("final_answer", final), ("self_check", None)]
        return {"checks": [{"name": name, "passed": passed, "detail": ""} for name, passed in checks]}

    who = (("ann",), "2026-01-01T00:00:00Z")
    decided = [
        (row(True, False), Ruling("accept", *who)),
        (row(True, False), Ruling("reject", *who)),
        (row(True, True), Ruling("reject", *who)),
        (row(True, True), Ruling("edit", *who, answer="new")),
    ]
    assert overruled(decided) == {
        "format": Overruled(failed=0, accepted=0, passed=4, rejected=2),
        "final_answer": Overruled(failed=2, accepted=1, passed=2, rejected=1),
    }
