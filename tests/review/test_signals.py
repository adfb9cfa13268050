"""How certain the checks are, read from their verdicts; an unreadable verdict counts as absent, never as an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.review.signals import Signals, read_signals


def row(*checks):
    return {"checks": [{"name": name, "passed": passed, "detail": detail} for name, passed, detail in checks]}


@pytest.mark.parametrize(
    ("detail", "agreement"),
    [
        ('3 of 5 answers (60%) say 72; votes: ["72", "72", "72", "8", null]', 0.6),
        ("no majority: 2 of 4 answers (50%) say 72, and as many 8; votes: []", 0.5),
        ("none of 5 answers marks a final answer; votes: []", 0.0),
        ("there is no answer to ask for again", None),
        ("0 of 0 answers", 0.0),
        ("", None),
    ],
)
def test_agreement_is_the_share_of_the_votes(detail, agreement):
    assert read_signals(row(("self_consistency", True, detail))).agreement == agreement


@pytest.mark.parametrize(
    ("detail", "score", "threshold"),
    [
        ("4 on a scale from 1 to 5", 4, None),
        ("3 on a scale from 1 to 5, below 4", 3, 4),
        ("there is no answer to judge", None, None),
    ],
)
def test_a_judges_score_and_what_it_would_have_needed(detail, score, threshold):
    signals = read_signals(row(("judge", score == 4, detail)))
    assert (signals.score, signals.threshold) == (score, threshold)


def test_other_checks_votes_are_not_taken_for_agreement():
    assert read_signals(row(("final_answer", False, "3 of 5 apples is not the seed's 4"))).agreement is None


def test_checks_that_did_not_apply_take_no_side():
    # One of three failed; the fourth did not apply.
    checks = row(("format", True, ""), ("final_answer", False, ""), ("duplicate", True, ""), ("self_check", None, ""))
    assert read_signals(checks).dissent == pytest.approx(1 / 3)


def test_a_sample_without_checks_is_sure_in_every_respect():
    assert read_signals({"checks": []}) == read_signals({}) == Signals(None, None, None, 0.0)


@given(st.lists(st.tuples(st.sampled_from(["self_consistency", "judge", "format"]), st.sampled_from([True, False, None]), st.text())))
def test_whatever_a_check_says_dissent_is_at_most_a_half(checks):
    assert 0 <= read_signals(row(*checks)).dissent <= 0.5
