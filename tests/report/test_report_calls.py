"""One pass over the ledger: sums, working time and pauses, computed by hand from `reportable.CALLS`."""

import pytest

from axolotl_synthetic.ledger import Ledger, Past
from axolotl_synthetic.report import calls

from reportable import write_ledger


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    with Ledger(write_ledger(tmp_path_factory.mktemp("calls") / "ledger.sqlite"), read_only=True) as ledger:
        return calls.gather(ledger.history())


def test_calls_are_counted_by_purpose_without_those_that_never_left(history):
    answer, rephrase = history.by_purpose["answer"], history.by_purpose["rephrase"]
    assert (answer.number, answer.retried, answer.failed, answer.open) == (4, 1, 1, 0)
    assert (rephrase.number, rephrase.retried, rephrase.failed, rephrase.open) == (2, 0, 0, 1)
    assert history.total == 6
    assert history.models == {("teacher", "big"): 4, ("augmenter", "big"): 2}


def test_tokens_and_dollars_are_those_of_replies(history):
    assert history.tokens == 10 + 5 + 10 + 7 + 20 + 8 + 30 + 9
    assert history.usd == 0.25 + 0.5 + 1.0 + 0.25


def test_a_stop_is_left_out_of_the_working_time(history):
    # 1000 to 1011, then 2000 to 2007.
    assert history.working == 11 + 7
    assert history.pauses == [(11.0, 989.0)]
    assert list(history.by_purpose["answer"].at) == [0.0, 1.0, 3.0, 15.0]
    assert list(history.by_purpose["rephrase"].at) == [10.0, 11.0]
    assert (history.began, history.ended) == (1000.0, 2007.0)


def past(started, seconds=1.0, usd=0.5, **more):
    rest = {"purpose": "answer", "role": "teacher", "model": "m", "outcome": "ok", "attempt": 0, "prompt_tokens": 1, "completion_tokens": 1}
    return Past(started=started, seconds=seconds, usd=usd, **{**rest, **more})


def test_one_unknown_price_makes_the_cost_unknown():
    assert calls.gather([past(0.0), past(1.0, usd=None)]).usd is None


def test_a_long_call_is_no_pause():
    found = calls.gather([past(0.0, seconds=900.0), past(1000.0)])
    assert found.pauses == []
    assert found.working == 1001.0


def test_the_time_between_a_preview_and_the_run_is_no_working_time():
    # Ten seconds of a preview's call, two minutes until the run is started, three seconds until its first call.
    past = [past_call(100.0, 10.0), past_call(233.0, 5.0)]
    found = calls.gather(past, [99.0, 230.0])
    assert found.pauses == [(10.0, 123.0)]
    assert found.working == 15.0
    # Within a run, two minutes without a call are a server's, and count.
    assert calls.gather(past, [99.0]).working == 138.0


def test_a_run_that_begins_while_a_call_is_under_way_is_no_pause():
    assert calls.gather([past_call(100.0, 10.0), past_call(111.0, 5.0)], [99.0, 105.0]).pauses == []


def test_two_pauses_are_each_left_out():
    found = calls.gather([past(0.0), past(1001.0), past(5002.0)])
    assert found.pauses == [(1.0, 1000.0), (2.0, 4000.0)]
    assert found.working == 3.0


def test_a_clock_that_was_set_back_does_not_turn_time_round():
    found = calls.gather([past(100.0), past(105.0), past(90.0)])
    assert list(found.by_purpose["answer"].at) == [0.0, 5.0, 5.0]


def test_an_empty_ledger_has_no_time_and_costs_nothing():
    found = calls.gather([])
    assert (found.total, found.tokens, found.usd, found.working, found.began) == (0, 0, 0.0, 0.0, None)


def past_call(started: float, seconds: float) -> Past:
    return Past(started, "answer", "teacher", "big", "ok", 0, 1, 1, seconds, 0.0)
