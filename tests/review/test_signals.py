"""How certain the checks are, by the numbers of their verdicts; a missing number counts as absent, never as an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.review.signals import Signals, read_signals


def row(*checks):
    return {"checks": [{"name": name, "passed": passed, "detail": "", "data": data} for name, passed, data in checks]}


@pytest.mark.parametrize(
    ("data", "agreement"),
    [({"agree": 3, "of": 5, "threshold": 0.5}, 0.6), ({"agree": 0, "of": 5}, 0.0), ({}, None), ({"agree": 0, "of": 0}, None)],
)
def test_agreement_is_the_share_of_the_votes(data, agreement):
    assert read_signals(row(("self_consistency", True, data))).agreement == agreement


def test_a_judges_score_and_what_it_needs():
    signals = read_signals(row(("judge", False, {"score": 3, "threshold": 4, "scale": [1, 5]})))
    assert (signals.score, signals.threshold) == (3, 4)


def test_other_checks_numbers_are_not_taken_for_agreement():
    assert read_signals(row(("length", False, {"agree": 3, "of": 5}))).agreement is None


def test_a_row_of_format_1_says_nothing_of_numbers():
    old = {"checks": [{"name": "self_consistency", "passed": True, "detail": "3 of 5 answers (60%) say 72; votes: []"}]}
    assert read_signals(old) == Signals(None, None, None, 0.0)


def test_checks_that_did_not_apply_take_no_side():
    # One of three failed; the fourth did not apply.
    checks = row(("format", True, {}), ("final_answer", False, {}), ("duplicate", True, {}), ("self_check", None, {}))
    assert read_signals(checks).dissent == pytest.approx(1 / 3)


def test_a_sample_without_checks_is_sure_in_every_respect():
    assert read_signals({"checks": []}) == read_signals({}) == Signals(None, None, None, 0.0)


@given(st.lists(st.tuples(st.sampled_from(["self_consistency", "judge", "format"]), st.sampled_from([True, False, None]), st.just({}))))
def test_whatever_a_check_says_dissent_is_at_most_a_half(checks):
    assert 0 <= read_signals(row(*checks)).dissent <= 0.5
