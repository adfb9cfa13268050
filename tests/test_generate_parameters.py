"""Whole runs against servers that refuse parameters: the cost of a refusal, and its record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fake_profiles import gemma, newest_claude, o_series, only_below
from fake_server import FakeServer
from projects import Project

SECRET = "header-recognisable-0123456789"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", seeds=20)


@pytest.mark.parametrize("reply", [o_series, newest_claude])
def test_a_refused_parameter_ends_the_run_at_the_first_call_with_nothing_paid_and_the_key_that_helps(project, reply):
    with FakeServer(reply) as server:
        project.configure(server, budget={"samples": 5}, teacher={"concurrency": 4})
        done = project.run()
        assert done.code == 3
        assert "refuses a parameter (HTTP 400: " in done.err
        assert "write `generation: {temperature: null}`" in done.err
        assert "Traceback" not in done.err
        # Calls open at the refusal are repeated once if the limit's name was wrong; no answered call is.
        assert (server.count <= 2 * 4, server.answered) == (True, server.count)
        assert "ok" not in project.outcomes
        project.configure(server, budget={"samples": 5}, teacher={"concurrency": 4, "generation": {"temperature": None}})
        assert project.run().code == 0
    assert project.manifest["counts"]["accepted"] == 5
    assert project.outcomes["ok"] >= 5


def test_concurrent_first_calls_that_name_the_limit_wrongly_do_not_fail(project):
    with FakeServer(o_series, latency=0.2) as server:
        project.configure(server, budget={"samples": 20}, teacher={"concurrency": 8, "generation": {"temperature": 1}})
        assert project.run().code == 0
        wrong = sum("max_tokens" in call.body for call in server.calls)
    assert set(project.outcomes) == {"ok"}
    assert 1 <= wrong <= 8


@pytest.mark.parametrize("system_role", ["auto", pytest.param("fold", marks=pytest.mark.slow)])
def test_a_model_without_a_system_role_makes_its_samples_and_a_second_run_asks_nothing(project, system_role):
    with FakeServer(gemma) as server:
        project.configure(server, budget={"samples": 5}, teacher={"system_role": system_role}, strategy="question_rephrase")
        assert project.run().code == 0
        refused = sum(call.body["messages"][0]["role"] == "system" for call in server.calls)
        assert (refused > 0) == (system_role == "auto")
        before, trained = server.count, project.training_bytes
        project.forget_all_but_the_ledger()
        assert project.run().code == 0
        assert server.count == before
    assert set(project.outcomes) == {"ok"}
    assert project.training_bytes == trained


def test_a_header_from_the_environment_is_sent_and_written_down_nowhere(project, monkeypatch):
    monkeypatch.setenv("GATEWAY", SECRET)
    teacher = {"headers_env": {"X-Gateway": "GATEWAY"}, "query": {"api-version": "1"}, "concurrency": 2, "retries": 0}

    def echo(body):
        return (400, {"error": {"message": f"no: {SECRET}"}}) if server.count == 2 else gemma({**body, "messages": body["messages"][-1:]})

    with FakeServer(echo) as server:
        project.configure(server, budget={"samples": 5}, teacher=teacher)
        done = project.run()
        assert done.code == 0, done.err
    assert {(call.fields["x-gateway"], call.path) for call in server.calls} == {(SECRET, "/v1/chat/completions?api-version=1")}
    assert project.outcomes["failed"] == 1
    written = b"".join(path.read_bytes() for path in project.folder.rglob("*") if path.is_file())
    assert SECRET[:20].encode() not in written
    assert SECRET[:20] not in done.out + done.err


def test_an_address_without_v1_runs_and_is_the_same_run_with_it(project):
    with FakeServer(admit=only_below("/v1")) as server:
        project.configure(server.base_url.removesuffix("/v1"), budget={"samples": 5})
        assert project.run().code == 0
        count = server.count
        project.configure(f"{server.base_url}/chat/completions", budget={"samples": 5})
        assert project.run().code == 0
        assert server.count == count


def test_what_is_sent_can_be_read_in_the_ledger(project):
    with FakeServer() as server:
        project.configure(server, budget={"samples": 3}, teacher={"generation": {"seed": 5, "extra_body": {"top_k": 20}}})
        assert project.run().code == 0
    assert {json.dumps(json.loads(text), sort_keys=True) for [text] in project.ledger("SELECT parameters FROM calls")} == {
        '{"extra_body": {"top_k": 20}, "seed": 5, "temperature": 0.7}'
    }
