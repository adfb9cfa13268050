"""The ledger's records of batches: calls outside any batch are given back, and those in one are found again as they were sent."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from axolotl_synthetic.batch_ledger import Batch, BatchLedger, new_batch
from axolotl_synthetic.config import Budget, Generation, Price
from axolotl_synthetic.ledger import Call, Settled
from axolotl_synthetic.records import Reply, Request
from axolotl_synthetic.run import batch_line

PRICE = Price(input=10, output=20)
# 1 word of 8 bytes: 8 + 16 for the turn + 16 for the chat, and 60 for the reply; USD 10 and 20 per million.
TOKENS, USD = 40 + 60, (40 * 10 + 60 * 20) / 1e6


def call(number: int, **more: object) -> Call:
    request = Request("answer", "teacher", ({"role": "user", "content": f"question{number}"[-8:]},), number)
    return Call(request, "m", Generation(max_new_tokens=60, temperature=None, stop=["x"]), PRICE, batched=True, **more)  # type: ignore[arg-type]


@pytest.fixture
def ledger(tmp_path: Path) -> BatchLedger:
    return BatchLedger(tmp_path / "ledger.sqlite", Budget(queries=100))


def sent(ledger: BatchLedger, *numbers: int) -> list[int]:
    ids = ledger.commit([call(number) for number in numbers], [])
    return [id for id in ids if id is not None]


def batch_of(ledger: BatchLedger, token: str, calls: list[int], **noted: object) -> Batch:
    batch = ledger.intend(new_batch(token, "openai", "m", "http://a/v1", len(calls), "{}"), calls)
    ledger.note(batch.id, **noted)
    return ledger.batch(batch.id)


def test_calls_that_no_batch_took_are_taken_back_with_what_was_reserved(ledger):
    ids = sent(ledger, 1, 2, 3, 4)
    batch_of(ledger, "open", ids[:1], state="open")
    batch_of(ledger, "void", ids[1:2], state="void")
    batch_of(ledger, "intended", ids[2:3], state="intended")
    assert ledger.spent() == (4, 4 * TOKENS, pytest.approx(4 * USD))
    # The second's batch was not made, and the fourth is in none; whether the third's was made is unknown.
    assert ledger.release() == 2
    assert ledger.spent() == (2, 2 * TOKENS, pytest.approx(2 * USD))
    assert [batch.token for batch, _ in ledger.open_batches()] == ["open", "intended"]
    assert ledger.release() == 0
    assert ledger.totals().queries["total"] == 2


def test_only_the_calls_that_are_named_are_taken_back_and_none_of_them_that_a_batch_has(ledger):
    ids = sent(ledger, 1, 2, 3)
    batch_of(ledger, "open", ids[:1], state="open")
    assert ledger.release(ids[:2]) == 1
    assert ledger.spent()[0] == 2


def test_a_settled_call_is_not_taken_back_nor_waited_for(ledger):
    [first, second] = sent(ledger, 1, 2)
    batch_of(ledger, "one", [first, second], state="void")
    ledger.commit([], [Settled(first, call(1), reply=Reply("four", "stop", 5, 6))])
    assert ledger.release() == 1
    assert ledger.spent()[:2] == (1, 11)
    assert ledger.open_batches() == []


def test_a_call_is_found_again_as_it_was_sent_and_gives_back_what_was_reserved_for_it_whatever_the_price_is_now(ledger):
    [number] = sent(ledger, 7)
    batch = batch_of(ledger, "one", [number], state="open", remote="batch_1")
    dearer = Price(input=100, output=200)
    [(key, found)] = ledger.waiting_calls(batch.id, dearer).values()
    assert key == call(7).key == found.key
    assert (found.request, found.generation, found.batched) == (call(7).request, call(7).generation, True)
    assert (found.worst_tokens, found.worst_usd) == (TOKENS, pytest.approx(USD))
    ledger.commit([], [Settled(number, found, reply=Reply("four", "stop", 5, 6))])
    assert ledger.spent() == (1, 11, pytest.approx((5 * 100 + 6 * 200) / 1e6))


def test_a_batch_is_open_until_all_its_calls_are_settled(ledger):
    ids = sent(ledger, 1, 2)
    batch = batch_of(ledger, "one", ids, remote="batch_1", state="open")
    assert ledger.open_batches() == [(batch, 2)] and ledger.under_way() == [batch]
    ledger.commit([], [Settled(ids[0], call(1), reply=Reply("four", "stop", 5, 6))])
    # Its results were read, and the run was killed before the last was written.
    ledger.note(batch.id, state="ended")
    assert [(one.state, waiting) for one, waiting in ledger.open_batches()] == [("ended", 1)] and ledger.under_way() == []
    ledger.commit([], [Settled(ids[1], call(2), error="batch_expired", cost="none")])
    assert ledger.open_batches() == [] and ledger.known() == {"batch_1"}


def test_a_call_of_a_batch_that_found_no_room_belongs_to_the_one_that_took_it(ledger):
    ids = sent(ledger, 1)
    batch_of(ledger, "full", ids, state="void")
    taken = batch_of(ledger, "taken", ids, state="open")
    assert ledger.release() == 0
    assert ledger.open_batches() == [(taken, 1)]
    assert taken.custom_id(ids[0]) == f"taken-{ids[0]}"


def test_a_line_says_where_batches_stand_by_their_provider(ledger):
    ids = sent(ledger, 1, 2, 3)
    one = batch_of(ledger, "one", ids[:2], state="open", told="in_progress", done=1, intended=time.time() - 200)
    two = batch_of(ledger, "two", ids[2:], state="intended")
    assert batch_line([]) == ""
    assert batch_line([one]) == "batch in_progress: 1 of 2 calls, for 3 min 20 s"
    assert batch_line([one, two]) == "2 batches (in_progress, being made): 1 of 3 calls, for 3 min 20 s"


def test_a_ledger_of_a_version_without_batches_has_none_for_who_only_looks(tmp_path):
    path = tmp_path / "ledger.sqlite"
    BatchLedger(path).close()
    with sqlite3.connect(path) as database:
        database.executescript("DROP TABLE batched; DROP TABLE batches")
    with BatchLedger(path, read_only=True) as ledger:
        assert ledger.open_batches() == ledger.under_way() == []
    with BatchLedger(path, Budget()) as ledger:
        assert len(sent(ledger, 1)) == 1
