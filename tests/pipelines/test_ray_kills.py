"""Runs on a Ray cluster of which parts are killed, at moments drawn with fixed seeds.

The run continues, or ends within a minute with one message. Nothing is paid for twice, and the rerun writes the same bytes as a run on one
machine.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_server import FakeServer
from projects import Done, Project, Running
from ray_cluster import RayCluster, cluster_of, wait_until

pytest.importorskip("ray")
pytestmark = pytest.mark.slow

SAMPLES, TIMES, WITHIN = 1200, 10, 60.0
# A third of the kills come while the run starts, this many seconds after its beginning; the others after this share of its calls.
STARTING, STARTED = (1.0, 8.0), (0.0, 0.95)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with FakeServer(latency=0.05) as server:
        yield server


@pytest.fixture(scope="module")
def wanted(server: FakeServer, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    project = configured(tmp_path_factory.mktemp("local"), server, "local")
    assert project.run().code == 0
    return project.training_bytes


def configured(folder: Path, server: FakeServer, engine: Any) -> Project:
    project = Project(folder, seeds=300)
    project.configure(server, budget={"samples": SAMPLES}, engine=engine)
    return project


def on(cluster: RayCluster, verifiers: int = 3) -> dict[str, Any]:
    return {"ray": {"address": cluster.address, "verifiers": verifiers}}


def struck(running: Running, strike: Callable[[], bool], due: Callable[[], bool]) -> tuple[Done, float]:
    """Return the end of a run that is struck when due, or as soon as there is something to strike; and the seconds in between, or -1."""
    struck_at = [0.0]
    over = threading.Event()

    def do() -> None:
        while not over.is_set() and not struck_at[0]:
            if due() and strike():
                struck_at[0] = time.monotonic()
            over.wait(0.05)

    thread = threading.Thread(target=do)
    thread.start()
    done = running.wait()
    ended = time.monotonic()
    over.set()
    thread.join()
    return done, ended - struck_at[0] if struck_at[0] else -1.0


def moment(number: int, choice: random.Random, server: FakeServer) -> Callable[[], bool]:
    """Return a function that says whether a randomly drawn moment of the run beginning now has come."""
    began, calls = time.monotonic(), len(server.calls)
    if number % 3 == 0:
        seconds = choice.uniform(*STARTING)
        return lambda: time.monotonic() - began >= seconds
    share = choice.uniform(*STARTED)
    return lambda: len(server.calls) - calls > share * SAMPLES


def kill_again_and_again(
    kind: str,
    folder: Path,
    server: FakeServer,
    wanted: bytes,
    cluster: RayCluster,
    strike: Callable[[Running, random.Random], bool],
    codes: set[int],
    *,
    engine_after: Any = None,
    first: int = 0,
    after_each: Callable[[], object] = lambda: None,
) -> None:
    """Strike until `TIMES` runs were hit; check what each promises, and that its rerun writes the bytes of a run on one machine."""
    ends: list[tuple[int, float]] = []
    for number in range(2 * TIMES):
        choice = random.Random(f"{kind} {number}")
        engine = on(cluster)
        project = configured(folder / f"{number}", server, engine)
        due = moment(number if engine_after is None else first, choice, server)
        running = project.start()
        done, after = struck(running, lambda r=running, c=choice: strike(r, c), due)  # type: ignore[misc]
        assert done.code in {0, *codes}, done.err
        assert "Traceback" not in done.err
        assert after < WITHIN, f"it ended {after:.0f} s after the kill"
        said = [line for line in done.err.splitlines() if line.startswith("axolotl-synthetic: ")]
        assert len(said) == (done.code > 0), done.err
        assert project.ends(15), project.processes()
        after_each()
        if engine_after is None:
            assert wait_until(lambda: not cluster.verifiers(), 15)
        project.configure(server, budget={"samples": SAMPLES}, engine=engine_after or engine)
        again = project.run()
        assert again.code == 0, again.err
        assert project.training_bytes == wanted
        assert project.paid_twice == 0
        assert project.ends(15), project.processes()
        if after >= 0:
            ends.append((done.code, after))
        if len(ends) == TIMES or (engine_after and ends):
            break
    else:
        pytest.fail(f"{len(ends)} runs of {2 * TIMES} were hit")
    report(kind, ends)


def report(kind: str, ends: list[tuple[int, float]]) -> None:
    codes, longest = sorted(code for code, _ in ends), max(after for _, after in ends)
    print(f"\n{kind}: {len(ends)} kills, exit codes {codes}, longest end {longest:.0f} s after the kill", flush=True)


def test_a_verifier_killed_at_any_moment(tmp_path, server, wanted):
    with cluster_of(nodes=2) as cluster:
        kill_again_and_again("verifier", tmp_path, server, wanted, cluster, lambda _, choice: cluster.kill_a_verifier(choice), set())


def test_a_node_killed_at_any_moment(tmp_path, server, wanted):
    with cluster_of(nodes=3) as cluster:
        strike = lambda _, choice: cluster.kill_a_node(choice)  # noqa: E731
        kill_again_and_again("node", tmp_path, server, wanted, cluster, strike, {3}, after_each=cluster.add_node)


@pytest.mark.parametrize("number", range(TIMES))
@pytest.mark.parametrize("part", ["head", "node_of_the_head"])
def test_the_head_killed_at_any_moment(tmp_path, server, wanted, part, number):
    """Without the head the cluster ends; the drivers' node takes their verifiers along, and they cannot reach another."""
    with cluster_of(nodes=2) as cluster:
        strike = lambda _, choice: cluster.kill_the(part)  # noqa: E731
        kill_again_and_again(f"{part} {number}", tmp_path, server, wanted, cluster, strike, {3}, engine_after="local", first=number)


def test_the_command_killed_at_any_moment_leaves_nothing_behind(tmp_path, server, wanted):
    with cluster_of(nodes=2) as cluster:
        strike = lambda running, _: tell(running, signal.SIGKILL)  # noqa: E731
        kill_again_and_again("command", tmp_path, server, wanted, cluster, strike, {-signal.SIGKILL})


@pytest.mark.parametrize("part", ["driver", "cluster_process"])
def test_a_process_of_the_pipeline_killed_at_any_moment(tmp_path, server, wanted, part):
    """The steps are forks of `driver`: one of these is the pipeline's own process, and the others are its steps."""

    def strike(running: Running, choice: random.Random) -> bool:
        found = sorted(pid for pid, command in running.project.processes() if f"pipelines.{part}" in command)
        return bool(found) and send(choice.choice(found), signal.SIGKILL)

    with cluster_of(nodes=2) as cluster:
        kill_again_and_again(part, tmp_path, server, wanted, cluster, strike, {1, 3} if part == "driver" else {3})


def test_ctrl_c_keeps_what_is_under_way_and_leaves_nothing_behind(tmp_path, server, wanted):
    with cluster_of(nodes=2) as cluster:
        strike = lambda running, _: tell(running, signal.SIGINT)  # noqa: E731
        kill_again_and_again("interrupt", tmp_path, server, wanted, cluster, strike, {130})


def tell(running: Running, number: int) -> bool:
    """Send a signal to the command, unless it has ended: its id may belong to another process by now."""
    running.child.send_signal(number)
    return running.child.returncode is None


def send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
