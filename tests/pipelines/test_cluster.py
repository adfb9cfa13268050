"""Verification with the process that is connected to a cluster, which the tests replace.

Lost chunks are sent again, and a permanent loss ends the run.
"""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

import pytest

from axolotl_synthetic.config import load_settings
from axolotl_synthetic.errors import Interrupted, ProcessEndedError, ServiceError, SyntheticError, encoded
from axolotl_synthetic.ledger import Ledger
from axolotl_synthetic.pipelines import cluster, cluster_process
from axolotl_synthetic.pipelines.cluster import Cluster, Connected
from axolotl_synthetic.pipelines.rows import from_text
from axolotl_synthetic.records import Candidate, Question, Verdict

ACCEPTED = ("60", None, None, (), (Verdict("format", True),))

# No process has an id above the maximum (proc(5), pid_max).
NOBODY = 2**22 + 1


class Played:
    """A cluster whose processes are this test: `ends` are their ends of the sockets, in the order of their start."""

    def __init__(self, verifiers: int = 2) -> None:
        self.ends: list[Connection] = []
        self.verifiers = verifiers
        self.is_gone = False
        self.wanted: list[int | None] = []

    def connect(self, job: Any, wanted: Any, seconds: float, *_: Any, whole: bool) -> Connected:
        self.wanted.append(wanted.verifiers)
        if self.is_gone:
            raise ServiceError("no cluster answers")
        ours, theirs = socket.socketpair()
        self.ends.append(Connection(theirs.detach()))
        return Connected(NOBODY, Connection(ours.detach()), self.verifiers)

    def chunks(self, number: int, of: int = -1) -> list[Any]:
        """Return this many messages of the last process."""
        return [self.ends[of].recv() for _ in range(number)]

    def answer(self, message: Any, of: int = -1) -> None:
        self.ends[of].send(("judged", message[0], pickle.dumps([ACCEPTED] * len(message[3]))))


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    played = Played()
    monkeypatch.setattr(cluster, "_connect", played.connect)
    monkeypatch.setattr(cluster, "_connected", None)
    monkeypatch.setattr(cluster, "RECONNECT_PAUSE", 0.01)
    monkeypatch.setattr(cluster, "RECONNECT_SECONDS", 0.2)
    monkeypatch.setattr(cluster, "CLOSE_SECONDS", 0.1)
    return played


class Run:
    """A run on the fake cluster, and the messages that it received."""

    def __init__(self, folder: Any) -> None:
        self.taken: list[tuple[Candidate, Any]] = []
        self.is_stopping = False
        with Ledger(folder / "ledger.sqlite") as ledger:
            ledger.begin_run()
        self.job: Any = SimpleNamespace(settings=load_settings({"engine": "ray"}), most_candidates=None, ledger=folder / "ledger.sqlite")
        self.cluster = Cluster(self.job, self.taken.extend, lambda: self.is_stopping)

    def asked_to_stop(self) -> bool:
        with Ledger(self.job.ledger) as ledger:
            return ledger.is_asked_to_stop()


@pytest.fixture
def run(played: Played, tmp_path: Any) -> Iterator[Run]:
    run = Run(tmp_path)
    yield run
    run.cluster._is_stopping = lambda: True
    with suppress(SyntheticError):
        run.cluster.close()


def candidates(number: int, seeds: int = 1) -> list[Candidate]:
    return [
        Candidate(n, f"{n}", "answer_augmentation", f"seed {n % seeds}", question=Question("How many?"), answer="60") for n in range(number)
    ]


def test_candidates_of_one_seed_go_to_one_verifier_in_chunks_and_come_back_with_their_verdicts(run, played):
    run.cluster.judge(candidates(80))
    messages = played.chunks(3)
    assert [len(message[3]) for message in messages] == [32, 32, 16]
    assert len({message[1] for message in messages}) == 1
    assert from_text(messages[0][3][0]) == candidates(1)[0]
    # Answer in any order.
    for message in reversed(messages):
        played.answer(message)
    run.cluster.close()
    assert sorted(candidate.number for candidate, _ in run.taken) == list(range(80))
    assert {(candidate.final_answer, candidate.status, verdicts) for candidate, verdicts in run.taken} == {("60", None, ACCEPTED[4])}


def test_candidates_of_many_seeds_go_to_all_verifiers(run, played):
    run.cluster.judge(candidates(40, seeds=40))
    assert {message[1] for message in played.chunks(2)} == {0, 1}
    run.is_stopping = True
    run.cluster.close()


def test_what_is_under_way_when_the_connection_is_lost_is_sent_anew_and_taken_once(run, played):
    run.cluster.judge(candidates(64))
    first, second = played.chunks(2)
    played.answer(first)
    played.ends[0].send(("lost", "its head does not answer"))
    (again,) = _all_of(played, 1)
    assert (again[0], again[3]) == (second[0], second[3])
    played.answer(again)
    played.answer(again)  # a second time
    run.cluster.close()
    assert sorted(candidate.number for candidate, _ in run.taken) == list(range(64))
    # As many verifiers as before, whatever is free by then.
    assert played.wanted == [None, 2]


def _all_of(played: Played, number: int) -> list[Any]:
    """Return messages of the second process, once there is one."""
    while len(played.ends) < 2:
        pass
    return played.chunks(number)


def test_a_process_that_ends_is_replaced(run, played):
    run.cluster.judge(candidates(3))
    played.chunks(1)
    played.ends[0].close()
    (again,) = _all_of(played, 1)
    played.answer(again)
    run.cluster.close()
    assert len(run.taken) == 3


def test_a_cluster_that_is_gone_ends_the_run_and_stops_the_calls(run, played):
    run.cluster.judge(candidates(3))
    played.is_gone = True
    played.ends[0].close()
    with pytest.raises(
        ServiceError, match=r"the cluster was lost \(.* ended unexpectedly\) and cannot be used again: no cluster answers; once"
    ):
        run.cluster.close()
    assert run.asked_to_stop()
    assert run.taken == []


def test_processes_that_end_again_and_again_without_a_verdict_end_the_run(run, played, monkeypatch):
    monkeypatch.setattr(cluster, "RECONNECT_SECONDS", 60)
    run.cluster.judge(candidates(3))
    for number in range(cluster.MOST_FRUITLESS + 1):
        while len(played.ends) <= number:
            pass
        played.ends[number].close()
    with pytest.raises(ServiceError, match="the cluster was lost"):
        run.cluster.close()


def test_the_error_of_a_verifier_ends_the_run(run, played):
    run.cluster.judge(candidates(3))
    played.ends[0].send(("error", encoded(ServiceError("the process that runs SQL does not start"))))
    with pytest.raises(ServiceError, match="the process that runs SQL does not start"):
        run.cluster.close()
    assert run.asked_to_stop()


def test_no_more_than_some_candidates_are_under_way(run, played, monkeypatch):
    monkeypatch.setattr(cluster, "UNDER_WAY", 32)
    asked = []

    def stop_when_full() -> bool:
        asked.append(run.cluster._count)
        return len(asked) > 3

    run.cluster._is_stopping = stop_when_full
    run.cluster.judge(candidates(200))
    assert max(asked) == 64


def test_after_a_wish_to_stop_nothing_is_waited_for(run):
    run.cluster.judge(candidates(3))
    run.is_stopping = True
    run.cluster.close()
    assert run.taken == []


def test_an_interrupted_search_for_the_cluster_ends_the_run_as_interrupted(run, played, monkeypatch):
    def interrupted(*_: Any, **__: Any) -> Connected:
        raise Interrupted("stopped")

    run.cluster.judge(candidates(3))
    monkeypatch.setattr(cluster, "_connect", interrupted)
    played.ends[0].close()
    with pytest.raises(Interrupted):
        run.cluster.close()


def test_candidates_over_which_verifiers_end_again_and_again_are_named():
    chunk = cluster_process._Chunk(1, ["a", "a", "b"], ["", "", ""])
    for _ in range(cluster_process.MOST_ENDED - 1):
        cluster_process._count_end(chunk)
    with pytest.raises(ProcessEndedError, match=r"6 verifiers ended over the same 3 candidates \(of the seeds a, b\);"):
        cluster_process._count_end(chunk)
