"""Judging of candidates on a Ray cluster, through a process that is connected to it (cluster_process.py).

Ray ends its connected process when it loses the cluster, and its library starts threads and signal handlers. So nothing of Ray is
imported here. When that process is lost, another is started; the calls go on, and this file sends open chunks again.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

from axolotl_synthetic.config import RayCluster
from axolotl_synthetic.errors import Interrupted, ProcessEndedError, ServiceError, SyntheticError, decoded
from axolotl_synthetic.ledger import Ledger
from axolotl_synthetic.pipelines.job import Job
from axolotl_synthetic.pipelines.rows import to_text
from axolotl_synthetic.pipelines.verifiers import Judged, Take, cluster_of
from axolotl_synthetic.records import Candidate

MODULE = "axolotl_synthetic.pipelines.cluster_process"
# Candidates per message to a verifier, and open candidates per verifier: enough that none idles.
CHUNK, UNDER_WAY = 32, 128
LOOK_SECONDS = 0.2
# Limits for a process to connect, and for the silence of a connected one, which reports every second. They tolerate a busy machine.
CONNECT_SECONDS, SILENCE_SECONDS = 60.0, 30.0
# Time to find a lost cluster again. Ray needs about 15 s to notice a node's end, and a run must end within a minute.
RECONNECT_SECONDS = 20.0
RECONNECT_PAUSE = 1.0
# Consecutive connections without a verdict before giving up.
MOST_FRUITLESS = 5
CLOSE_SECONDS = 5.0
KEPT = "run the same command again: what was paid for is kept"


@dataclass
class Connected:
    """A process that is connected to the cluster, and the number of its verifiers.

    Attributes:
        process: its process id. It is a child of this process or of the one that this was forked from. Neither waits for it, so the
            id is not reused.
    """

    process: int
    messages: Connection
    verifiers: int = 0

    def receive(self, seconds: float) -> Any:
        """Return its next message.

        Raises:
            ServiceError: if it has ended, or sends nothing for so long.
        """
        try:
            if self.messages.poll(seconds):
                return self.messages.recv()
            said = f"does not answer for {seconds:.0f} s"
        except (EOFError, OSError):
            said = "ended unexpectedly"
        raise ServiceError(f"the process that is connected to the Ray cluster {said}")

    def send(self, message: Any) -> None:
        with suppress(OSError):  # it has ended; `receive` reports that
            self.messages.send(message)

    def kill(self) -> None:
        """Kill the process, so that a pending send fails."""
        with suppress(OSError):
            os.kill(self.process, signal.SIGKILL)

    def close(self) -> None:
        """Kill the process and close the socket, which no thread may be using: its descriptor will be reused."""
        self.kill()
        with suppress(OSError, EOFError):
            self.messages.close()


# Keep the Popen objects: Python would reap a child whose object is gone, and its id could be reused.
_children: list[subprocess.Popen[bytes]] = []
# Connected before the first call. The step that verifies inherits it, being forked from the process that connected.
_connected: Connected | None = None


def connect_first(job: Job, is_stopping: Callable[[], bool], tell: Callable[[str], None]) -> None:
    """Connect to the run's cluster, if it has one, before anything is paid for, and start all of its verifiers.

    Args:
        job: the run.
        is_stopping: whether the user asked to stop.
        tell: receives a text that says what is being waited for.

    Raises:
        ServiceError: if the cluster cannot be reached or used, or has no room.
        Interrupted: if the user asked to stop.
    """
    global _connected
    if (cluster := cluster_of(job)) is not None:
        _connected = _connect(job, cluster, CONNECT_SECONDS, is_stopping, tell, whole=True)


def _connect(
    job: Job, cluster: RayCluster, seconds: float, is_stopping: Callable[[], bool], tell: Callable[[str], None], *, whole: bool
) -> Connected:
    """Start a process and connect it to the cluster.

    Args:
        seconds: longest silence of the process.
        whole: whether all verifiers must start; otherwise one is enough.
    """
    tell(f"connecting to the cluster ({cluster.address})")
    connected = _start()
    try:
        connected.send((list(job.python_path), cluster, whole))
        with suppress(OSError):
            connected.messages.send_bytes(pickle.dumps(job))
        end = time.monotonic() + seconds
        while True:
            if is_stopping():
                raise Interrupted("stopped before the first call; run the same command again to go on")
            if not connected.messages.poll(LOOK_SECONDS):
                if time.monotonic() > end:
                    raise ServiceError(
                        f"engine: ray: the cluster ({cluster.address}) does not answer within {seconds:.0f} s; {_see(cluster)}"
                    )
                continue
            match connected.receive(0):
                case "waiting", said:
                    tell(said)
                    end = time.monotonic() + seconds
                case "ready", verifiers:
                    return replace(connected, verifiers=verifiers)
                case "error", said:
                    raise decoded(said)
    except BaseException as error:
        connected.close()
        if isinstance(error, SyntheticError):
            raise
        raise ServiceError(f"engine: ray: connecting to the cluster broke: {type(error).__name__}: {error}") from error


def _see(cluster: RayCluster) -> str:
    if cluster.address == "local":
        return "see run.log in output_dir"
    return "see with `ray status` that it runs, start it with `ray start --head`, or write `engine: local`"


def _start() -> Connected:
    ours, theirs = socket.socketpair()
    try:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE, str(os.getpid()), str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
    except OSError as error:
        ours.close()
        raise ServiceError(
            f"no process can be started to connect to the Ray cluster: {error}; free memory or processes, then start again"
        ) from error
    finally:
        theirs.close()
    _children.append(child)
    return Connected(child.pid, Connection(ours.detach()))


class Cluster:
    """Verifiers of a run on its cluster; see `verifiers.Verifiers`.

    A thread receives verdicts and reconnects when the cluster is lost; open chunks are then judged again.

    Args:
        job: the run.
        take: receives judged candidates; called in that thread.
        is_stopping: whether the run no longer waits for verdicts.

    Raises:
        ServiceError: if the cluster cannot be used.
    """

    def __init__(self, job: Job, take: Take, is_stopping: Callable[[], bool]) -> None:
        self._job = job
        cluster = cluster_of(job)
        assert cluster is not None
        self._cluster = cluster
        self._take = take
        self._is_stopping = is_stopping
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._under_way: dict[int, tuple[int, Sequence[Candidate]]] = {}
        self._count = self._number = self._fruitless = 0
        self._closing = False
        self._error: BaseException | None = None
        self._connected = _connected or _connect(job, cluster, CONNECT_SECONDS, is_stopping, lambda _: None, whole=True)
        self._thread = threading.Thread(target=self._receive, name="cluster", daemon=True)
        self._thread.start()

    def judge(self, candidates: Sequence[Candidate]) -> None:
        for verifier, chunk in self._chunks(candidates):
            with self._changed:
                while self._count >= UNDER_WAY * self._connected.verifiers and not self._is_over():
                    self._changed.wait(LOOK_SECONDS)
                if self._is_over():
                    return
                self._number += 1
                self._count += len(chunk)
                number = self._number
                self._under_way[number] = verifier, chunk
            self._send(number, verifier, chunk)

    def close(self) -> None:
        with self._changed:
            while self._under_way and not self._is_over():
                self._changed.wait(LOOK_SECONDS)
            self._closing = True
        # On this message it ends its verifiers first; when it is killed, they end too.
        self._connected.send(None)
        self._thread.join(CLOSE_SECONDS)
        self._connected.kill()  # leave the socket open: the thread may still read from it
        if self._error is not None:
            raise self._error

    def _is_over(self) -> bool:
        return self._error is not None or self._is_stopping()

    def _chunks(self, candidates: Sequence[Candidate]) -> Iterator[tuple[int, Sequence[Candidate]]]:
        """Divide candidates among the verifiers by seed, so that a verifier reuses, for example, the result of a seed's query."""
        parts: dict[int, list[Candidate]] = {}
        for candidate in candidates:
            parts.setdefault(zlib.crc32(candidate.seed_id.encode()) % self._connected.verifiers, []).append(candidate)
        for verifier, part in parts.items():
            for start in range(0, len(part), CHUNK):
                yield verifier, part[start : start + CHUNK]

    def _send(self, number: int, verifier: int, chunk: Sequence[Candidate]) -> None:
        message = number, verifier, [candidate.seed_id for candidate in chunk], [to_text(candidate) for candidate in chunk]
        with self._sending:
            self._connected.send(message)

    def _receive(self) -> None:
        try:
            while True:
                try:
                    message = self._connected.receive(SILENCE_SECONDS)
                    if message[0] == "lost":
                        raise ServiceError(message[1])
                except ServiceError as lost:
                    if self._closing:
                        return
                    self._connect_again(lost)
                    continue
                match message:
                    case _ if self._closing:
                        pass  # ignore messages until the process has ended
                    case "judged", number, rulings:
                        self._judged(number, pickle.loads(rulings))
                    case "error", said:
                        raise decoded(said)
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()
            # Stop the engine's calls. If the ledger cannot be written, the engine stops by itself.
            with suppress(SyntheticError), Ledger(self._job.ledger) as ledger:
                ledger.ask_to_stop()

    def _judged(self, number: int, rulings: Sequence[tuple[Any, ...]]) -> None:
        with self._changed:
            _, chunk = self._under_way.get(number, (0, ()))
        if not chunk:
            return  # it was sent twice, and judged before
        judged: list[Judged] = []
        for candidate, (final_answer, status, reason, checks, verdicts) in zip(chunk, rulings, strict=True):
            judged.append((replace(candidate, final_answer=final_answer, status=status, reason=reason, checks=checks), verdicts))
        self._take(judged)
        self._fruitless = 0
        with self._changed:
            del self._under_way[number]
            self._count -= len(chunk)
            self._changed.notify_all()

    def _connect_again(self, lost: ServiceError) -> None:
        """Replace a lost connection, and send open chunks again.

        Raises:
            ServiceError: if the cluster is not found within RECONNECT_SECONDS.
        """
        self._connected.kill()
        with self._sending:
            self._connected.close()
        self._fruitless += 1
        # Ask for as many verifiers as before: the lost ones' processors may not be free yet, so counting free ones would give too few.
        cluster = self._cluster.model_copy(update={"verifiers": self._connected.verifiers})
        end, last = time.monotonic() + RECONNECT_SECONDS, lost
        while (left := end - time.monotonic()) > 0 and self._fruitless <= MOST_FRUITLESS:
            try:
                connected = _connect(self._job, cluster, left, self._is_stopping, lambda _: None, whole=False)
                break
            except ServiceError as error:
                last = error
                time.sleep(RECONNECT_PAUSE)
        else:
            raise ServiceError(
                f"engine: ray: the cluster was lost ({lost}) and cannot be used again: {last}; once it runs, {KEPT}"
            ) from last
        with self._changed:
            with self._sending:
                self._connected = connected
            again = [(number, *chunk) for number, chunk in self._under_way.items()]
        for number, verifier, chunk in again:
            self._send(number, verifier % connected.verifiers, chunk)


def broken(error: BaseException) -> SyntheticError:
    """Return the error for an unexpected exception in a verifier."""
    return ProcessEndedError(f"engine: ray: a verifier broke: {type(error).__name__}: {error}; see run.log, and {KEPT}")
