"""Whole runs through LiteLLM on a server with Anthropic's own API: budget, ledger and secrets are as with every other teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fake_providers import KEY, PROMPT, PROVIDERS, SAID, THOUGHT
from fake_server import FakeServer
from projects import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    # The variable's name does not show that it holds a key.
    monkeypatch.setenv("MINE", KEY)
    return Project(tmp_path / "project", seeds=40)


def configure(project: Project, server: FakeServer, budget: dict[str, Any], **teacher: Any) -> None:
    fixed = {"provider": "litellm", "model": "anthropic/claude-sonnet-4-5", "api_key_env": "MINE", "concurrency": 4}
    fixed |= {"base_url": server.base_url.removesuffix("/v1"), "price": {"input": 3, "output": 15}}
    project.configure(server, teacher={**fixed, **teacher}, budget=budget)


@pytest.mark.slow
def test_a_budget_is_kept_a_rerun_asks_nothing_and_no_key_or_chatter_is_written_down(project):
    profile = PROVIDERS["Anthropic"]()
    answer = profile.reply.reply  # type: ignore[attr-defined]

    def reply(body: dict[str, Any]) -> Any:
        # Every fourth call is refused with the key in the text, in the middle of a body that is not JSON.
        return (400, f"<html>no {KEY}</html>".encode()) if server.count % 4 == 2 else answer(body)

    with FakeServer(reply, admit=profile.admit) as server:
        configure(project, server, {"queries": 16})
        done = project.run()
        assert done.code == 0, done.err
        assert server.count == 16
        assert project.outcomes == {"ok": 12, "failed": 4}
        assert project.manifest["tokens"] == {"prompt": 12 * PROMPT, "completion": 12 * (SAID + THOUGHT)}
        # 12 replies; a server does not bill refused prompts.
        assert project.manifest["usd"] == pytest.approx(12 * (PROMPT * 3 + (SAID + THOUGHT) * 15) / 1_000_000)
        before = server.count
        project.forget_all_but_the_ledger()
        configure(project, server, {"samples": 12})
        done = project.run()
        assert done.code == 0, done.err
        # The refused calls are repeated once; paid replies are reused.
        assert server.count - before <= 4
        assert project.paid_twice == 0
    written = b"".join(path.read_bytes() for path in project.folder.rglob("*") if path.is_file())
    assert KEY[:16].encode() not in written
    assert b"LiteLLM" not in written.replace(b"litellm.", b"")
    assert "LiteLLM" not in done.err
    assert KEY[:16] not in done.out + done.err


def test_a_key_that_is_refused_ends_the_run_at_its_first_calls(project, monkeypatch):
    monkeypatch.setenv("MINE", "sk-another-0123456789abcdef")
    profile = PROVIDERS["Anthropic"]()
    with FakeServer(profile.reply, admit=profile.admit) as server:
        configure(project, server, {"samples": 20})
        done = project.run()
    assert done.code == 3
    assert "refuses the key (HTTP 401: invalid x-api-key); set the environment variable MINE" in done.err
    assert "Traceback" not in done.err
    assert server.count == 0
    assert "ok" not in project.outcomes
