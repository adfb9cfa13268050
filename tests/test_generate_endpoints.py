"""Whole runs on several servers of one model: a lost server comes back, and nothing is paid for twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fake_faults import Fault
from fake_server import FakeServer
from projects import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", seeds=320)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def run_on(project: Project, servers: list[FakeServer], samples: int, **teacher: object):
    urls = [server.base_url for server in servers]
    project.configure(servers[0], teacher={"base_url": urls, "concurrency": 24, **teacher}, budget={"samples": samples})
    return project.run()


@pytest.mark.slow
def test_a_server_that_is_killed_and_comes_back_costs_the_run_nothing_twice(project, stack):
    lost = FakeServer(faults=[Fault("go_away", calls=[12], away=1.0)], latency=0.15)
    servers = [stack.enter_context(server) for server in (lost, FakeServer(latency=0.15), FakeServer(latency=0.15))]
    done = run_on(project, servers, 300)
    assert done.code == 0, done.err
    assert project.manifest["counts"] == {"planned": 300, "accepted": 300, "rejected": 0, "failed": 0}
    assert project.paid_twice == 0
    # Each answer of the servers is in the ledger once; calls that were open at the lost server were repeated once.
    assert sum(server.answered for server in servers) == project.outcomes["ok"]
    assert project.outcomes.get("failed", 0) <= 13
    assert project.manifest["queries"]["retried"] == project.outcomes.get("failed", 0)
    # It had 13 calls when it was lost, and took its share again after its return.
    assert lost.count > 13 + 10
    # Two servers had all of the calls for a second, but never more than 1.25 times their share.
    assert all(60 <= server.count <= 180 for server in servers[1:])
    # Another order, or other servers, do not change a call's key.
    before, trained = sum(server.count for server in servers), project.training_bytes
    project.forget_all_but_the_ledger()
    project.configure(servers[1], budget={"samples": 300})
    assert project.run().code == 0
    assert sum(server.count for server in servers) == before
    assert project.training_bytes == trained


@pytest.mark.parametrize("kind", [pytest.param("http_500", marks=pytest.mark.slow), "http_429"])
def test_a_server_that_only_fails_is_left_alone_and_no_candidate_fails(project, stack, kind):
    servers = [stack.enter_context(server) for server in (FakeServer(faults=[Fault(kind)]), FakeServer(latency=0.05))]
    done = run_on(project, servers, 100)
    assert done.code == 0, done.err
    assert project.manifest["counts"] == {"planned": 100, "accepted": 100, "rejected": 0, "failed": 0}
    # Those that were open at it when it first failed, and occasional trial calls.
    assert servers[0].count <= 15 + 5
    assert servers[1].answered == 100


@pytest.mark.slow
def test_equal_prompts_stay_on_one_server_in_a_run(project, stack):
    project.write_seeds(range(20))
    servers = [stack.enter_context(FakeServer(latency=0.02, vary_repeats=True)) for _ in range(3)]
    done = run_on(project, servers, 120, concurrency=6)
    assert done.code == 0, done.err
    prompts = [{str(call.body["messages"]) for call in server.calls} for server in servers]
    assert sum(map(len, prompts)) <= 2 * 20  # 20 prompts: at most 60 if they were spread at random
    assert all(server.count <= 80 for server in servers)


def test_a_server_without_the_model_ends_the_run_with_its_address(project, stack):
    servers = [stack.enter_context(server) for server in (FakeServer(), FakeServer(models=["another-model"]))]
    done = run_on(project, servers, 20)
    assert done.code == 3
    assert f"{servers[1].base_url} does not know the model 'fake-model'" in done.err
    assert "Traceback" not in done.err


def test_servers_that_are_all_lost_end_the_run_as_a_single_one_does(project, stack):
    servers = [stack.enter_context(FakeServer(faults=[Fault("go_away", calls=[8], away=1_000)])) for _ in range(2)]
    done = run_on(project, servers, 200, retries=0)
    assert done.code == 3
    assert "the last 20 candidates all failed, the last with `connection" in done.err


def test_a_list_that_does_not_fit_its_keys_is_told_before_the_run(project):
    project.configure("http://127.0.0.1:1/v1", teacher={"base_url": ["http://a/v1", "http://b/v1"], "api_key_env": ["A", "B", "C"]})
    done = project.run()
    assert done.code == 2
    assert "synthetic.teacher.api_key_env: must name one variable for each of the 2 addresses of `base_url`, or one for all" in done.err
