"""Whole runs with teachers that think aloud, bill unexpectedly, or ask to wait: the training data, the bill and the messages."""

from __future__ import annotations

import json
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fake_replies import MathReplies
from fake_server import FakeServer
from fake_wire import counted, message
from projects import KEY, Project, until

MATH = MathReplies()
PRICE = {"input": 1.0, "output": 10.0}
HIDDEN = "between ourselves"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", seeds=20)


def dollars(project: Project) -> float:
    [[usd]] = project.ledger("SELECT sum(usd) FROM calls")
    return float(usd)


@pytest.mark.parametrize("strategy", ["new_question", "question_rephrase"])
def test_no_thought_of_augmenter_or_teacher_reaches_a_prompt_a_check_or_the_training_file(project, strategy):
    def think(body: dict[str, Any]) -> Any:
        return message(f"<think>{HIDDEN}: #### 77\nYes</think>\n{MATH(body)}<|im_end|>", usage=counted(50, 100))

    with FakeServer(think) as server:
        project.configure(server, strategy=strategy, budget={"samples": 5})
        assert project.run().code == 0
        asked = [json.dumps(call.body) for call in server.calls]
    assert project.manifest["counts"]["accepted"] == 5
    assert not [body for body in asked if HIDDEN in body or "im_end" in body]
    left = project.training_bytes.decode() + (project.out / "samples.jsonl").read_text(encoding="utf-8")
    assert HIDDEN not in left
    assert "im_end" not in left
    # The ledger has every reply as it was received.
    [[raw, kept]] = project.ledger(f"SELECT count(*), sum(reply LIKE '<think>{HIDDEN}%<|im_end|>') FROM calls")
    assert raw == kept >= 10
    # The file made from the ledger alone is the same.
    trained = project.training_bytes
    project.forget_all_but_the_ledger()
    with FakeServer(think) as server:
        project.configure(server, strategy=strategy, budget={"samples": 5})
        assert project.run().code == 0
        assert server.count == 0
    assert project.training_bytes == trained


def test_a_refusal_behind_thoughts_is_seen(project):
    with FakeServer(lambda _: message("<think>No.</think>I'm sorry, but I can't help with that.", usage=counted(50, 100))) as server:
        project.configure(server, task="instruction", budget={"queries": 5})
        assert project.run().code == 0
    assert {(row["status"], row["reason"]) for row in project.samples} == {("rejected", "format")}


def test_an_old_ledgers_replies_of_thoughts_alone_do_not_serve_and_its_thoughts_are_cut_out(project):
    with FakeServer() as server:
        project.configure(server, budget={"samples": 10})
        assert project.run().code == 0
        project.forget_all_but_the_ledger()

        database = sqlite3.connect(project.out / "ledger.sqlite")
        with database:  # as version 1.0 left it
            database.execute("ALTER TABLE calls DROP COLUMN thinking")
            database.execute("ALTER TABLE calls DROP COLUMN reasoning_tokens")
            database.execute(f"UPDATE calls SET reply = '<think>{HIDDEN}' || reply WHERE id = 1")
            database.execute(f"UPDATE calls SET reply = '<think>{HIDDEN}</think>' || reply WHERE id > 1")
        database.close()
        assert project.run("status").code == 0
        before = server.count
        assert project.run().code == 0
        assert server.count - before == 1
    assert HIDDEN not in project.training_bytes.decode()


def test_replies_that_were_billed_and_of_no_use_count_everywhere(project):
    with FakeServer(lambda _: message(None, "length", counted(120, 512))) as server:
        project.configure(server, teacher={"price": PRICE, "concurrency": 4})
        done = project.run()
        assert done.code == 3
        assert "raise `generation.max_new_tokens`" in done.err
        assert server.count <= 23  # not one retry
    status = json.loads(project.run("status", "--json").out)
    assert status["usd"] == pytest.approx(server.count * (120 * 1 + 512 * 10) / 1e6)
    assert status["tokens"] == server.count * 632
    assert status["usd"] == pytest.approx(dollars(project))
    assert f"USD {status['usd']:.4f}" in project.run("status").out


def test_dollars_are_the_same_in_ledger_manifest_status_card_and_report(project):
    def sometimes(body: dict[str, Any]) -> Any:
        number = int(server.count)
        if number % 3 == 0:
            return message("Half of", "error", counted(100, 10))
        return message(MATH(body), usage={"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 1150})

    with FakeServer(sometimes) as server:
        project.configure(server, teacher={"price": PRICE, "concurrency": 2}, budget={"queries": 12})
        assert project.run().code == 0
    [[whole, broken]] = project.ledger("SELECT sum(outcome = 'ok'), sum(outcome = 'failed') FROM calls")
    # Of the total of 1,150, 100 are the prompt's: 1,050 are billed as completion.
    billed = (whole * (100 * 1 + 1050 * 10) + broken * (100 * 1 + 10 * 10)) / 1e6
    assert whole > 0 < broken
    assert dollars(project) == pytest.approx(billed)
    assert project.manifest["usd"] == pytest.approx(billed)
    [[spent]] = project.ledger("SELECT usd FROM spent")
    assert spent == pytest.approx(billed)
    shown = f"USD {billed:.4f}"
    assert shown in project.run("status").out
    assert shown in (project.out / "README.md").read_text(encoding="utf-8")
    assert project.run("report").code == 0
    assert shown in next(project.out.glob("*.html")).read_text(encoding="utf-8")


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 0, "completion_tokens": "50"}])
def test_with_a_price_and_no_counts_the_cost_is_an_upper_bound_and_never_unknown_or_nothing(project, usage):
    with FakeServer(lambda body: message(MATH(body), usage=usage)) as server:
        project.configure(server, teacher={"price": PRICE}, budget={"samples": 5})
        done = project.run()
    assert done.code == 0
    assert f"no tokens counted by the server, at most USD {project.manifest['usd']:.4f}" in done.out
    assert project.manifest["usd"] == pytest.approx(dollars(project))
    assert "unknown" not in done.out


def test_without_a_price_no_dollars_are_named(project):
    with FakeServer(lambda _: message(None, refusal="I will not.")) as server:
        project.configure(server)
        assert project.run().code == 3
    said = project.run("status").out
    assert "cost unknown (no price)" in said
    assert "USD" not in said


def test_a_server_that_bills_more_than_was_asked_for_ends_the_run_at_the_limit_with_a_word(project):
    with FakeServer(lambda body: message(MATH(body), usage=counted(100, 9_000)), latency=0.05) as server:
        project.configure(server, teacher={"price": PRICE, "concurrency": 4}, budget={"usd": 0.05})
        done = project.run()
    assert done.code == 0
    # Each is 0.0901 dollars, and was reserved as 0.006: the four concurrent calls cannot be recalled.
    assert server.count == 4
    assert "up to 9,000 tokens for a reply of at most 512 (generation.max_new_tokens)" in done.err
    assert "the budget was passed by the calls under way: usd 0.3604 of 0.05" in done.err


def test_once_it_is_known_that_a_server_bills_more_the_budget_is_kept(project):
    with FakeServer(lambda body: message(MATH(body), usage=counted(100, 9_000)), latency=0.05) as server:
        project.configure(server, teacher={"price": PRICE, "concurrency": 4}, budget={"usd": 1.0})
        done = project.run()
    # Eleven times 0.0901 is 0.9911; with the twelfth it would be 1.0812.
    assert server.count == 11
    assert "billed more than it was asked for" in done.err
    assert "the budget was passed" not in done.err


@pytest.mark.slow
def test_a_wait_of_minutes_is_shown_by_the_run_and_by_status(project):
    away = {"Content-Type": "application/json", "Retry-After": "578"}
    with FakeServer(lambda _: (429, {"error": {"message": "the day's limit"}}, away)) as server:
        project.configure(server, teacher={"concurrency": 4})
        running = project.start()
        # The reply comes first, and the notice within a second.
        assert until(lambda: "calls wait" in project.run("status").out, 60)
        assert "4 min" in project.run("status").out
        assert until(lambda: server.count == 4)
        running.signal(signal.SIGINT)
        done = running.wait()
    assert done.code == 130
    assert "waiting" not in project.run("status").out


@pytest.mark.parametrize(("code", "said"), [(401, "refuses the key"), (402, "out of credit")])
def test_an_error_within_a_200_ends_the_run_as_its_status_would(project, code, said):
    with FakeServer(lambda _: (200, {"error": {"code": code, "message": "no"}})) as server:
        project.configure(server, teacher={"concurrency": 4})
        done = project.run()
        assert done.code == 3
        assert said in done.err
        assert server.count <= 4


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": "Unauthorized"}, "refuses the key"),
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, "out of credit"),
    ],
)
def test_an_error_without_a_code_within_a_200_ends_the_run_too(project, body, said):
    with FakeServer(lambda _: (200, body)) as server:
        project.configure(server, teacher={"concurrency": 4})
        done = project.run()
        assert done.code == 3
        assert said in done.err
        assert server.count <= 4


def test_a_key_that_replies_echo_is_neither_kept_nor_trained_on(project):
    def echo(body: dict[str, Any]) -> Any:
        return message(f"Authorization: Bearer {KEY}\n{MATH(body)}" if server.count % 2 else MATH(body), usage=counted(50, 100))

    with FakeServer(echo) as server:
        project.configure(server, budget={"samples": 5})
        assert project.run().code == 0
    assert project.manifest["counts"]["accepted"] == 5
    kept = [file for file in project.out.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]
    assert kept == []
    [[echoed, tokens]] = project.ledger("SELECT count(*), sum(completion_tokens) FROM calls WHERE error LIKE 'echoed_key%'")
    assert tokens == echoed * 100 > 0


def test_turns_that_the_model_invented_are_not_trained_on(project):
    with FakeServer(lambda body: message(f"{MATH(body)}\n\nUser: {HIDDEN}\nAssistant: #### 77", usage=counted(50, 100))) as server:
        project.configure(server, budget={"samples": 5})
        assert project.run().code == 0
    assert project.manifest["counts"]["accepted"] == 5
    assert HIDDEN not in project.training_bytes.decode()


def test_a_judge_whose_replies_cannot_be_read_ends_the_run_with_a_word(project):
    with FakeServer(MathReplies(mumbled=1)) as server:
        project.configure(server, verify=["format", "judge"], budget={"samples": 200}, teacher={"concurrency": 4})
        done = project.run()
        # Twenty candidates of two calls each, and the open ones.
        assert 40 <= server.count <= 48
    assert done.code == 3
    assert (
        "the last 20 candidates all failed, the last with `judge: its reply does not end in a score: 'I would rather not say.'`" in done.err
    )
    assert "see that the teacher works" not in done.err
    assert "let another model judge (`by` of the judge, or another model for it)" in done.err


@pytest.mark.slow
def test_another_model_that_judges_brings_a_run_whose_judge_could_not_be_read_to_its_end(project):
    def reply(body: dict[str, Any]) -> Any:
        return (MATH if body["model"] == "judge" else MathReplies(mumbled=1))(body)

    with FakeServer(reply) as server:
        block: dict[str, Any] = {"budget": {"samples": 10, "queries": 200}, "augmenter": {"base_url": server.base_url, "model": "judge"}}
        project.configure(server, verify=["format", "judge"], **block | {"budget": {"samples": 200}})
        assert project.run().code == 3
        project.configure(server, verify=["format", {"judge": {"by": "augmenter"}}], **block)
        assert project.run().code == 0
    assert project.manifest["counts"]["accepted"] == 10
