"""The ledger: equal calls, usable replies, and that no limit is ever exceeded, even by several processes together."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axolotl_synthetic.config import Budget, Generation, Price
from axolotl_synthetic.errors import StorageError
from axolotl_synthetic.ledger import Call, Ledger, Settled, Waiting
from axolotl_synthetic.records import Reply, Request

PRICE = Price(input=1.0, output=2.0)


def call(text: str = "2 + 2?", *, sample: int = 0, price: Price | None = None, **generation: Any) -> Call:
    request = Request("answer", "teacher", ({"role": "user", "content": text},), sample)
    return Call(request, "a-model", Generation(**{"max_new_tokens": 100, **generation}), price)


def reply(text: str = "4", *, finish: str = "stop", prompt: int | None = 10, completion: int | None = 5) -> Reply:
    return Reply(text, finish, prompt, completion, 0.5)


def paid(ledger: Ledger, one: Call, answer: Reply) -> int:
    """Send a call and settle it with its reply."""
    [call_id] = ledger.commit([one], [])
    assert call_id is not None
    ledger.commit([], [Settled(call_id, one, reply=answer)])
    return call_id


def found(ledger: Ledger, one: Call) -> str | None:
    stored = ledger.find(one)
    return None if stored is None else stored.reply.text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


# Equal calls


@pytest.mark.parametrize(
    "other",
    [
        call("3 + 3?"),
        call(sample=1),
        call(temperature=0.8),
        call(top_p=0.9),
        replace(call(), model="another-model"),
        replace(call(), request=Request("answer", "teacher", ({"role": "system", "content": "2 + 2?"},))),
        replace(call(), request=Request("answer", "teacher", ({"role": "user", "content": "2 +"}, {"role": "user", "content": " 2?"}))),
    ],
    ids=["text", "sample", "temperature", "top_p", "model", "role of the turn", "where a turn ends"],
)
def test_calls_that_differ_in_what_is_asked_are_two(other):
    assert other.key != call().key


@pytest.mark.parametrize(
    "other",
    [
        call(max_new_tokens=900),
        replace(call(), attempt=3),
        call(price=PRICE),
        replace(call(), request=Request("self_check", "augmenter", ({"role": "user", "content": "2 + 2?"},))),
    ],
    ids=["max_new_tokens", "attempt", "price", "purpose and role"],
)
def test_calls_that_differ_in_nothing_a_model_sees_but_its_length_limit_are_one(other):
    assert other.key == call().key


@pytest.mark.parametrize(
    ("generation", "key"),
    [({}, "16454f34ffd97857cf5dac97a3429867"), ({"temperature": 0.3, "top_p": 0.9}, "cc8a6fedf6f8b6f99ce58259dc30cca6")],
)
def test_the_key_is_that_of_ledgers_made_before_there_were_further_parameters(generation, key):
    # The keys are those that version 0.1 computes.
    request = Request("answer", "teacher", ({"role": "user", "content": "2 + 2?"},))
    empty = Generation(**generation, stop=None, seed=None, reasoning_effort=None, extra_body={})
    assert Call(request, "m", empty, None).key.hex() == key


def test_every_further_parameter_is_part_of_the_key_whatever_its_order(path):
    body = {"a": 1, "b": {"c": 2, "d": 3}}
    others: list[dict[str, Any]] = [
        {"temperature": None},
        {"stop": "#"},
        {"stop": ["#", "##"]},
        {"seed": 0},
        {"seed": 1},
        {"reasoning_effort": "low"},
        {"extra_body": body},
        {"extra_body": {"a": True, "b": {"c": 2, "d": 3}}},
    ]
    assert len({call(**one).key for one in [{}, *others]}) == 1 + len(others)
    assert call(extra_body={"b": {"d": 3, "c": 2}, "a": 1}).key == call(extra_body=body).key
    with Ledger(path) as ledger:
        for one in others:
            paid(ledger, call(**one), reply(str(one)))
        assert [found(ledger, call(**one)) for one in others] == [str(one) for one in others]
        assert found(ledger, call()) is None
        [(parameters,)] = ledger._db.execute("SELECT parameters FROM calls ORDER BY id DESC LIMIT 1").fetchall()
    assert json.loads(parameters) == {"temperature": 0.7, "extra_body": others[-1]["extra_body"]}


# Usable replies


def test_a_reply_is_found_by_another_connection_and_after_closing(path):
    with Ledger(path, Budget()) as ledger:
        number = paid(ledger, call(), reply("é\n\0 4"))
    with Ledger(path) as again:
        stored = again.find(call())
    assert stored is not None
    assert (stored.call_id, stored.reply) == (number, reply("é\n\0 4"))


@pytest.mark.parametrize(
    ("had", "now", "answer", "serves"),
    [
        (100, 100, reply(), True),
        (100, 200, reply(), True),
        (100, 200, reply(finish="length", completion=100), False),
        (100, 100, reply(finish="length", completion=100), True),
        (200, 100, reply(completion=100), True),
        (200, 100, reply(completion=101), False),
        # It would be cut off again, even earlier: do not pay for it.
        (200, 100, reply(finish="length", completion=200), True),
        (200, 100, reply(completion=None, prompt=None), True),
    ],
    ids=[
        "same limit",
        "raised, ended by itself",
        "raised, cut off",
        "same limit, cut off",
        "lowered, within it",
        "lowered, longer",
        "lowered, cut off",
        "lowered, not counted",
    ],
)
def test_whether_a_reply_serves_after_the_length_limit_changed(path, had, now, answer, serves):
    with Ledger(path, Budget()) as ledger:
        paid(ledger, call(max_new_tokens=had), answer)
        assert (found(ledger, call(max_new_tokens=now)) is not None) == serves


def test_a_call_that_was_cut_off_and_asked_again_serves_with_its_longer_reply(path):
    with Ledger(path, Budget()) as ledger:
        paid(ledger, call(max_new_tokens=100), reply("half", finish="length", completion=100))
        paid(ledger, call(max_new_tokens=200), reply("whole", completion=150))
        assert found(ledger, call(max_new_tokens=200)) == "whole"
        assert found(ledger, call(max_new_tokens=100)) == "half"


def test_half_a_surrogate_pair_in_what_a_server_says_voids_no_reply_of_its_group(path):
    odd, failed, sound = call(sample=1), call(sample=2), call(sample=3)
    with Ledger(path, Budget()) as ledger:
        ledger.commit([odd, failed, sound], [])
        broken = Settled(2, failed, error="http_500: \ud800")
        ledger.commit([], [Settled(1, odd, reply=reply("1", finish="\ud800")), broken, Settled(3, sound, reply=reply("3"))])
        assert [found(ledger, one) for one in (failed, sound)] == [None, "3"]
        assert ledger.replies([1, 2, 3])[0][1] == reply("1", finish="?")


def test_an_sqlite_that_is_too_old_is_refused_before_anything_is_paid_for(path, monkeypatch):
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 31, 1))
    monkeypatch.setattr("sqlite3.sqlite_version", "3.31.1")
    with pytest.raises(StorageError, match=r"needs SQLite 3\.33 or newer, and this Python has 3\.31\.1"):
        Ledger(path)
    assert not path.exists()


def test_neither_a_failed_call_nor_one_under_way_serves(path):
    with Ledger(path, Budget()) as ledger:
        [failed, _] = ledger.commit([call(), call("3 + 3?")], [])
        assert failed is not None
        ledger.commit([], [Settled(failed, call(), error="http_500")])
        assert found(ledger, call()) is None
        assert found(ledger, call("3 + 3?")) is None


# Budgets

Steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 60), st.integers(1, 80)),
        st.tuples(
            st.sampled_from(["reply", "uncounted", "failed", "refused", "unsent"]), st.integers(0, 50), st.floats(0, 1, allow_nan=False)
        ),
    ),
    max_size=60,
)


@settings(max_examples=60)
@given(
    steps=Steps,
    queries=st.none() | st.integers(1, 12),
    tokens=st.none() | st.integers(1, 2000),
    usd=st.none() | st.floats(1e-5, 2e-3),
)
def test_no_sequence_of_calls_passes_any_limit(steps, queries, tokens, usd):
    budget = Budget(queries=queries, tokens=tokens, usd=usd)
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite", budget) as ledger:
        open_calls: list[tuple[int, Call]] = []
        costs = {"queries": 0, "tokens": 0, "usd": 0.0}  # an upper bound of a bill, for calls that have ended
        for what, number, size in steps:
            if what == "send":
                one = call("x" * number, max_new_tokens=int(size), price=PRICE)
                [call_id] = ledger.commit([one], [])
                if call_id is not None:
                    open_calls.append((call_id, one))
            elif open_calls:
                call_id, one = open_calls.pop(number % len(open_calls))
                # 7 bytes and at most two turns of template: no more tokens than the worst case can have been used.
                prompt, completion = int(size * (one.worst_tokens - one.generation.max_new_tokens)), one.generation.max_new_tokens
                if what in ("reply", "uncounted"):
                    counted = what == "reply"
                    answer = reply(prompt=prompt if counted else None, completion=completion if counted else None)
                    ledger.commit([], [Settled(call_id, one, reply=answer)])
                    costs["tokens"] += prompt + completion if counted else one.worst_tokens
                    costs["usd"] += (prompt * 1.0 + completion * 2.0) / 1e6 if counted else one.worst_usd
                else:
                    cost = {"failed": "unknown", "refused": "query", "unsent": "none"}[what]
                    ledger.commit([], [Settled(call_id, one, error=what, cost=cost)])
                    if what == "failed":
                        costs["tokens"] += one.worst_tokens
                        costs["usd"] += one.worst_usd
                costs["queries"] += what != "unsent"
            worst = {
                "queries": costs["queries"] + len(open_calls),
                "tokens": costs["tokens"] + sum(one.worst_tokens for _, one in open_calls),
                "usd": costs["usd"] + sum(one.worst_usd for _, one in open_calls),
            }
            assert ledger.spent() == (worst["queries"], worst["tokens"], pytest.approx(worst["usd"], abs=1e-12))
            assert queries is None or worst["queries"] <= queries
            assert tokens is None or worst["tokens"] <= tokens
            assert usd is None or worst["usd"] <= usd + 1e-12


def test_a_group_is_granted_in_its_order_until_the_limit(path):
    with Ledger(path, Budget(queries=2)) as ledger:
        ids = ledger.commit([call(sample=number) for number in range(4)], [])
    assert [call_id is not None for call_id in ids] == [True, True, False, False]


def test_a_call_that_does_not_fit_leaves_its_room_to_a_smaller_one_of_its_group(path):
    small, large = call(max_new_tokens=10), call(max_new_tokens=1000)
    with Ledger(path, Budget(tokens=2 * small.worst_tokens)) as ledger:
        assert ledger.commit([small, large, small, small], []) == [1, None, 2, None]
        assert ledger.spent() == (2, 2 * small.worst_tokens, 0.0)


def test_a_group_of_more_rows_than_one_statement_takes_is_written_whole(path):
    calls = [call(f"question {number % 700}", sample=number) for number in range(1_100)]
    with Ledger(path, Budget()) as ledger:
        ids = ledger.commit(calls, [])
        assert ids == list(range(1, 1_101))
        settled = [Settled(number, one, reply=reply(f"answer {number}")) for number, one in enumerate(calls[:1_050], 1)]
        refused = [Settled(number, one, error="http_400", cost="query") for number, one in enumerate(calls[1_050:], 1_051)]
        assert ledger.commit([], [*settled, *refused]) == []
        assert [found(ledger, one) for one in calls] == [f"answer {number}" for number in range(1, 1_051)] + [None] * 50
        # 1,050 replies of 10 and 5 tokens; the refused calls returned theirs, but count as queries.
        assert ledger.spent() == (1_100, 1_050 * 15, 0.0)
        assert len(ledger.replies(range(1, 1_101))) == 1_050
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM prompts").fetchone() == (700,)
        asked = database.execute("SELECT messages FROM calls JOIN prompts ON prompts.id = prompt WHERE calls.id = 1100").fetchone()
    # The 1,100th is number 1,099: question 399.
    assert asked == ('[{"role":"user","content":"question 399"}]',)


def test_what_a_group_settles_makes_room_for_what_it_sends(path):
    one = call()
    with Ledger(path, Budget(tokens=one.worst_tokens + 20)) as ledger:
        [first] = ledger.commit([one], [])
        assert first is not None
        assert ledger.commit([one], []) == [None]
        [second] = ledger.commit([one], [Settled(first, one, reply=reply(prompt=10, completion=10))])
        assert second is not None


def test_a_call_that_was_never_settled_stays_reserved(path):
    with Ledger(path, Budget(queries=1)) as ledger:
        ledger.commit([call()], [])
    with Ledger(path, Budget(queries=1)) as again:  # after a kill
        assert again.commit([call()], []) == [None]
        assert again.spent() == (1, call().worst_tokens, 0.0)
        assert again.totals().queries["total"] == 1


def test_a_call_that_never_left_gives_its_query_back_and_is_not_counted(path):
    with Ledger(path, Budget(queries=1)) as ledger:
        [call_id] = ledger.commit([call()], [])
        assert call_id is not None
        ledger.commit([], [Settled(call_id, call(), error="connection", cost="none")])
        assert ledger.spent() == (0, 0, 0.0)
        assert ledger.totals().queries["total"] == 0
        assert ledger.commit([call()], []) != [None]


def test_connections_of_many_threads_never_pass_a_limit_together(path):
    Ledger(path).close()

    def ask(worker: int) -> int:
        with Ledger(path, Budget(queries=100)) as ledger:
            return sum(ledger.commit([call(str(worker), sample=number)], []) != [None] for number in range(60))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(ask, range(4))) == 100


def test_two_processes_never_pass_a_limit_together(path):
    program = """
import sys
from pathlib import Path
from axolotl_synthetic.config import Budget, Generation
from axolotl_synthetic.ledger import Call, Ledger
from axolotl_synthetic.records import Request
ledger = Ledger(Path(sys.argv[1]), Budget(tokens=40_000))
calls = [Call(Request("answer", "teacher", ({"role": "user", "content": "x" * 60},), n), "m", Generation(max_new_tokens=108), None)
         for n in range(200)]
print(sum(ledger.commit([call], []) != [None] for call in calls))
"""
    Ledger(path).close()
    children = [subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    granted = [int(child.communicate(timeout=60)[0]) for child in children]
    # 60 bytes, 16 for the turn, 16 for the chat and 108 new tokens are 200 for each call.
    assert sum(granted) == 200


# Totals


def test_totals_count_what_was_sent_by_purpose_with_its_tokens_and_price(path):
    answer, rephrase = call(price=PRICE), replace(call(price=PRICE), request=Request("rephrase", "augmenter", call().request.messages))
    with Ledger(path, Budget()) as ledger:
        paid(ledger, answer, reply(prompt=1000, completion=500))
        paid(ledger, rephrase, reply(prompt=3000, completion=100))
        [failed] = ledger.commit([replace(answer, attempt=1)], [])
        assert failed is not None
        ledger.commit([], [Settled(failed, answer, error="http_500: injected")])
        totals = ledger.totals()
    zero = {"new_question": 0, "self_check": 0, "judge": 0, "difficulty": 0}
    assert totals.queries == {"total": 3, "answer": 2, "rephrase": 1, "retried": 1, **zero}
    assert (totals.prompt_tokens, totals.completion_tokens) == (4000, 600)
    assert totals.usd == pytest.approx((4000 * 1.0 + 600 * 2.0) / 1e6)
    assert totals.seconds == 1.0


def test_the_cost_is_unknown_as_soon_as_one_price_is(path):
    with Ledger(path, Budget()) as ledger:
        paid(ledger, call(price=PRICE), reply())
        paid(ledger, call("3 + 3?"), reply())
        assert ledger.totals().usd is None


def test_a_failed_call_that_was_billed_counts_its_tokens_and_gives_the_rest_back(path):
    one = call(price=PRICE)
    with Ledger(path, Budget(tokens=one.worst_tokens + 40)) as ledger:
        [call_id] = ledger.commit([one], [])
        assert call_id is not None
        useless = Reply("<think>2 + 2", "length", 10, 20, 0.5)
        ledger.commit([], [Settled(call_id, one, reply=useless, error="empty_reply: cut off")])
        assert ledger.spent() == (1, 30, pytest.approx((10 * 1.0 + 20 * 2.0) / 1e6))
        totals = ledger.totals()
        assert (totals.prompt_tokens, totals.completion_tokens, totals.usd) == (10, 20, pytest.approx(ledger.spent()[2]))
        assert ledger.failures() == {"empty_reply": 1}
        # The received text is kept, but it is neither a usable reply nor part of a sample.
        assert ledger._db.execute("SELECT reply, finish_reason FROM calls").fetchall() == [("<think>2 + 2", "length")]
        assert found(ledger, one) is None
        assert ledger.replies([call_id]) == []
        assert ledger.commit([one], []) != [None]


def test_a_reply_that_nobody_counted_costs_what_was_reserved_for_it(path):
    with Ledger(path, Budget()) as ledger:
        paid(ledger, call(price=PRICE), reply(prompt=None, completion=None))
        assert ledger.totals().usd == ledger.spent()[2] == call(price=PRICE).worst_usd > 0


def test_with_a_price_the_cost_is_known_before_any_reply_and_after_failures_alone(path):
    one = call(price=PRICE)
    with Ledger(path, Budget()) as ledger:
        assert ledger.totals().usd == 0.0
        ledger.commit([one, one], [])
        assert ledger.totals().usd == 0.0
        ledger.commit([], [Settled(1, one, error="http_429", cost="query"), Settled(2, one, error="timeout")])
        assert ledger.totals().usd == 0.0


def test_without_a_price_the_cost_is_unknown_although_no_call_brought_a_reply(path):
    with Ledger(path, Budget()) as ledger:
        ledger.commit([call()], [])
        ledger.commit([], [Settled(1, call(), error="http_429", cost="query")])
        assert ledger.totals().usd is None


def test_a_surplus_that_a_server_has_billed_is_reserved_from_then_on(path):
    honest = call(price=PRICE)
    greedy = replace(honest, surplus=(5, 900))
    assert greedy.worst_tokens - honest.worst_tokens == 905
    assert greedy.worst_usd - honest.worst_usd == pytest.approx((5 * 1.0 + 900 * 2.0) / 1e6) == greedy.surplus_usd
    assert greedy.key == honest.key


def test_the_name_of_an_error_does_not_end_within_an_address(path):
    with Ledger(path, Budget()) as ledger:
        ledger.commit([call()], [])
        ledger.commit([], [Settled(1, call(), error="http://localhost:8000/v1 refuses the key", cost="query")])
        assert ledger.failures() == {"http://localhost:8000/v1 refuses the key": 1}


@pytest.mark.parametrize("finish", ["abort", "error", "something_new"])
def test_a_broken_off_reply_of_an_older_version_does_not_serve(path, finish):
    with Ledger(path, Budget()) as ledger:
        paid(ledger, call(), reply("half of", finish=finish))
        assert found(ledger, call()) is None


def test_reasoning_and_its_tokens_come_back_as_they_were(path):
    told = Reply("<think>a</think>4", "stop", 10, 50, 0.5, thinking="2 + 2 \ud83d", reasoning_tokens=40)
    with Ledger(path, Budget()) as ledger:
        number = paid(ledger, call(), told)
        [(_, again)] = ledger.replies([number])
    assert again == replace(told, thinking="2 + 2 ?")  # half of a surrogate pair fits into no file


def test_a_ledger_of_version_1_0_is_read_and_gets_the_new_columns_when_it_is_written(path):
    with Ledger(path, Budget()) as ledger:
        paid(ledger, call(price=PRICE), reply())
        for name in ("thinking", "reasoning_tokens", "cached_tokens", "written_tokens"):
            ledger._db.execute(f"ALTER TABLE calls DROP COLUMN {name}")
    with Ledger(path, read_only=True) as looking:
        assert looking.totals().prompt_tokens == 10
        assert len(list(looking.history())) == 1
        assert looking.paid([1]) == {1: ("teacher", 10, 5, 0.5, None, None)}
        assert looking.waiting() is None
    with Ledger(path, Budget()) as ledger:
        assert found(ledger, call()) == "4"
        paid(ledger, call("3 + 3?"), Reply("6", "stop", 10, 5, 0.5, "thought", 3))


def test_what_waits_is_told_until_it_is_over(path, monkeypatch):
    with Ledger(path) as ledger:
        ledger.set_waiting(Waiting(3, 2_000_000_000.0, "http_429"))
        monkeypatch.setattr("time.time", lambda: 1_999_999_999.0)
        assert ledger.waiting() == Waiting(3, 2_000_000_000.0, "http_429")
        monkeypatch.setattr("time.time", lambda: 2_000_000_001.0)
        assert ledger.waiting() is None
        monkeypatch.undo()
        ledger.begin_run()
        assert ledger.waiting() is None


# Disks and files


def test_a_full_disk_undoes_the_group_and_keeps_what_was_committed(path):
    with Ledger(path, Budget()) as ledger:
        number = paid(ledger, call(), reply())
        [pages] = ledger._db.execute("PRAGMA page_count").fetchone()
        ledger._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageError, match=r"ledger\.sqlite: database or disk is full; free some space"):
            ledger.commit([call("x" * 100_000, sample=one) for one in range(10)], [])
        assert ledger.spent()[0] == 1
        ledger._db.execute("PRAGMA max_page_count = 1000000")
        # The rolled-back group's prompt is not assumed to exist.
        after = paid(ledger, call("x" * 100_000), reply("after"))
        [text] = ledger._db.execute("SELECT messages FROM prompts JOIN calls ON calls.prompt = prompts.id WHERE calls.id = ?", (after,))
    assert text == (f'[{{"role":"user","content":"{"x" * 100_000}"}}]',)
    with Ledger(path) as again:
        assert again.find(call()).call_id == number


def test_a_ledger_that_was_cut_short_is_named_with_a_remedy(path):
    with Ledger(path, Budget()) as ledger:
        for number in range(200):
            paid(ledger, call("x" * 500, sample=number), reply("y" * 500))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(StorageError, match=r"ledger\.sqlite: .*malformed; the file is damaged: .*\.recover"):
        with Ledger(path) as ledger:
            found(ledger, call("x" * 500, sample=199))


def test_a_file_that_is_no_ledger_is_named_with_a_remedy(path):
    path.write_bytes(b"not a ledger at all " * 1000)
    with pytest.raises(StorageError, match="not a database; the file is damaged"):
        Ledger(path)


def test_a_ledger_of_another_format_is_refused(path):
    with Ledger(path) as ledger:
        ledger.set_meta(format="2")
    with pytest.raises(StorageError, match="is a ledger of format 2; this version reads 1: use another output_dir"):
        Ledger(path)


def test_a_folder_that_is_not_there_is_named_with_a_remedy(tmp_path):
    with pytest.raises(StorageError, match="unable to open database file; make the folder writable, or choose another output_dir"):
        Ledger(tmp_path / "missing" / "ledger.sqlite")


@pytest.mark.skipif(not os.path.ismount("/proc"), reason="a file system that nobody can write to")
def test_a_folder_that_cannot_be_written_is_named_with_a_remedy():
    with pytest.raises(StorageError, match="make the folder writable"):
        Ledger(Path("/proc/ledger.sqlite"))


def test_looking_changes_nothing_and_makes_nothing(path):
    with pytest.raises(StorageError):
        Ledger(path, read_only=True)
    assert not path.exists()
    with Ledger(path, Budget()) as ledger:
        paid(ledger, call(), reply())
        with Ledger(path, read_only=True) as looking:
            assert looking.spent()[0] == 1
            with pytest.raises(StorageError, match="readonly"):
                looking.set_meta(task="math")


def test_an_error_that_no_file_can_hold_is_kept_as_far_as_it_can_be(path):
    with Ledger(path, Budget()) as ledger:
        [call_id] = ledger.commit([call()], [])
        assert call_id is not None
        ledger.commit([], [Settled(call_id, call(), error="http_500: half of a pair: \ud83d")])
        assert ledger.failures() == {"http_500": 1}
