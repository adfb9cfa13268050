"""The process that is connected to a Ray cluster: starts the verifiers there, and passes candidates to them and verdicts back.

Started by `cluster.py` and by nobody else. It is told through a socket where the cluster is and what the run is; it answers with pairs:

    ("waiting", text)         what it waits for
    ("ready", verifiers)      they have started
    ("judged", number, …)     the verdicts on a chunk of candidates
    ("up", verifiers)         every second: so many of them can judge
    ("lost", text)            the cluster is gone, and another process may find it again
    ("error", encoded)        the error that ends the run
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from axolotl_synthetic.checks import load_checks
from axolotl_synthetic.config import RayCluster
from axolotl_synthetic.errors import ProcessEndedError, ServiceError, StorageError, SyntheticError, decoded, encoded
from axolotl_synthetic.extras import require
from axolotl_synthetic.pipelines import own_modules, verifier
from axolotl_synthetic.pipelines.cluster import KEPT, broken
from axolotl_synthetic.pipelines.job import Job
from axolotl_synthetic.pipelines.judging import Judging
from axolotl_synthetic.pipelines.process import die_with
from axolotl_synthetic.strategies import load_strategies
from axolotl_synthetic.tasks import load_task
from axolotl_synthetic.wording import number_of

# For all verifiers to start. Those that a node with room starts are there within five seconds.
START_SECONDS = 60.0
# A chunk under way on a verifier, and one that waits there, so that it need not wait for the way here and back.
AT_A_VERIFIER = 2
SETTLE_SECONDS = 5.0
AWAY_PAUSE = 0.5
# Without a verifier for so long, the cluster is given up; a killed one is back within five seconds.
WITHOUT_SECONDS = 20.0
# The head is asked every second whether it is there. Of what it does when it is gone, Ray's own way is to end this process after 60 s.
BEAT_SECONDS, HEAD_SECONDS, MISSES = 1.0, 3.0, 5
# Verifiers that may end over the same candidates: kills from outside rarely hit the same ones again and again.
MOST_ENDED = 6
# Ray says of an actor so often that it is dead before it is taken to be: at first it may only be on its way to another node.
MOST_DEAD = 6
SHUTDOWN_SECONDS = 4.0


def main(parent: str, descriptor: str) -> None:
    """Connect, and serve until the other side has enough.

    Args:
        parent: the process id of the one that started this process, and with which it is to end.
        descriptor: of the socket.
    """
    die_with(int(parent))
    _ignore_signals()
    messages = Connection(int(descriptor))
    try:
        python_path, cluster, whole = messages.recv()
        sys.path[:] = python_path
        job: Job = pickle.loads(messages.recv_bytes())
        head = _connect(cluster)
        _ignore_signals()  # Ray has set a handler of its own
        asyncio.run(_Dispatch(job, messages, head).run(cluster, whole))
    except (EOFError, OSError):
        pass  # nobody is there to be told
    except SyntheticError as error:
        _tell(messages, "error", encoded(error))
    except _Lost as lost:
        _tell(messages, "lost", str(lost))
    except BaseException as error:
        traceback.print_exception(error)
        _tell(messages, "error", encoded(broken(error)))
    messages.close()  # whoever waits for it need not wait for Ray
    _leave()


def _ignore_signals() -> None:
    # Who asks all processes of a run to end asks this one, too; those who started it handle that.
    for asked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, signal.SIG_IGN)


def _tell(messages: Connection, *message: Any) -> None:
    with suppress(OSError):
        messages.send(message)


def _leave() -> None:
    """End this process, and before that the cluster where it is this run's own. Without its head Ray's end may take for ever."""
    timer = threading.Timer(SHUTDOWN_SECONDS, os._exit, (1,))
    timer.daemon = True
    timer.start()
    with suppress(Exception):
        import ray

        ray.shutdown()
    os._exit(0)


class _Lost(Exception):
    """The cluster is gone."""


def _connect(cluster: RayCluster) -> tuple[str, int]:
    """Connect this process; return the address of the cluster's head."""
    require("ray", "engine: ray")
    # Nothing is sent to Ray's makers, and the cards of an actor that asks for none stay as they are.
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0")
    if cluster.address != "auto":
        os.environ.pop("RAY_ADDRESS", None)  # it would win
    import ray

    own: dict[str, Any] = {}
    if cluster.address == "local":
        own = {"include_dashboard": False, "num_cpus": cluster.verifiers}
    else:
        _refuse_nobody(cluster.address)
    try:
        ray.init(cluster.address, namespace="axolotl-synthetic", log_to_driver=False, logging_level="ERROR", **own)
    except Exception as error:
        traceback.print_exception(error)
        raise ServiceError(f"engine: ray: {_why_not(cluster.address, error)}") from error
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    return host.strip("[]"), int(port)


def _refuse_nobody(address: str) -> None:
    """Refuse an address at which nothing answers: Ray would take a minute to say so, and end this process."""
    if address == "auto":
        if not (address := os.environ.get("RAY_ADDRESS", "")):
            return
        if "://" in address:
            raise ServiceError(
                f"engine: ray: RAY_ADDRESS is {address}: must be the host:port of a cluster's head that this machine has joined; unset it"
                " or correct it"
            )
    host, colon, port = address.rpartition(":")
    if not colon:
        return  # `auto` or `local`, for Ray
    try:
        socket.create_connection((host.strip("[]"), int(port)), HEAD_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ServiceError(
            f"engine: ray: no cluster answers at {address} ({error}); start one with `ray start --head --port {port}`, correct the address,"
            " or write `engine: local`"
        ) from error


def _why_not(address: str, error: Exception) -> str:
    said = " ".join(f"{error} {error.__cause__ or ''}".split())[:400]
    if "ersion mismatch" in said:
        return f"{said}; install the cluster's versions of Ray and Python here, or start it with these"
    if address == "local":
        return f"no cluster can be started on this machine: {said}; see run.log"
    if "Could not find any running Ray instance" in said:
        return (
            "this machine belongs to no Ray cluster; start one with `ray start --head`, join one with `ray start --address HOST:PORT`, or"
            " write `engine: {ray: {address: local}}` for one on this machine, for this run alone"
        )
    return (
        f"the cluster ({address}) cannot be used from this machine: {said}; see with `ray status` that it runs and that this machine has"
        " joined it (`ray start --address HOST:PORT`)"
    )


@dataclass
class _Chunk:
    """Candidates that are judged together, and how many verifiers have ended while they had them."""

    number: int
    seeds: Sequence[str]
    texts: Sequence[str]
    ended: int = 0


class _Actor:
    """A verifier, and how it is.

    Attributes:
        chunks: that are meant for it. Another one that has nothing to do takes them.
    """

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.chunks: deque[_Chunk] = deque()
        self.is_up = False
        self.is_dead = False


class _Dispatch:
    """Passes chunks to the verifiers, and their verdicts back.

    Ray itself would go on for ever to restart a verifier whose candidates end it, and to send them anew. So it restarts verifiers, and
    what is sent anew is decided here.
    """

    def __init__(self, job: Job, messages: Connection, head: tuple[str, int]) -> None:
        self._job = job
        self._messages = messages
        self._head = head
        self._databases = {seed.id: seed.question.database_file for seed in job.seeds}
        self._references: dict[str, tuple[tuple[int, ...], Sequence[Any]]] = {}
        self._actors: list[_Actor] = []
        self._wanted = verifier.versions()
        self._work: Sequence[Any] = ()
        self._came = asyncio.Condition()
        # When one of them could judge last; None before all have started.
        self._last_up: float | None = None

    async def run(self, cluster: RayCluster, whole: bool) -> None:
        """Serve until the other side has enough.

        Raises:
            SyntheticError: what ends the run.
            _Lost: if the cluster is gone.
        """
        count = cluster.verifiers or await _free_processors()
        self._start(count)
        started = asyncio.create_task(self._started(whole))
        beat = asyncio.create_task(self._beat())
        await _first(started, beat)
        self._messages.send(("ready", count))
        self._last_up = time.monotonic()
        lanes = [asyncio.create_task(self._lane(actor)) for actor in self._actors for _ in range(AT_A_VERIFIER)]
        read = asyncio.create_task(self._read())
        await _first(read, beat, *lanes)
        with suppress(Exception):
            await asyncio.wait_for(asyncio.gather(*(actor.handle.close.remote() for actor in self._actors if actor.is_up)), 1)

    def _start(self, count: int) -> None:
        import ray

        ray.cloudpickle.register_pickle_by_value(verifier)
        # Kept, for a verifier that is started again reads it again.
        self._work = [ray.put(_work(self._job))]
        kind = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=0, scheduling_strategy="SPREAD")(verifier.Verifier)
        self._actors = [_Actor(kind.remote(self._wanted, self._work)) for _ in range(count)]

    async def _started(self, whole: bool) -> None:
        """Wait until all verifiers have started, or one."""
        import ray

        waits = [asyncio.create_task(self._ready(actor)) for actor in self._actors]
        end = time.monotonic() + START_SECONDS
        while (up := sum(actor.is_up for actor in self._actors)) < (len(self._actors) if whole else 1):
            there = f"{up} of {number_of(len(self._actors), 'verifier')} started"
            dead = sum(actor.is_dead for actor in self._actors)
            if time.monotonic() > end or dead > (0 if whole else len(self._actors) - 1):
                has, free = (resources().get("CPU", 0) for resources in (ray.cluster_resources, ray.available_resources))
                raise ServiceError(
                    f"engine: ray: {there} within {START_SECONDS:.0f} s: each takes a processor of the cluster, which has {has:g}, {free:g}"
                    f" of them free; stop what else runs there, add a node, or write `verifiers: {max(1, up + int(free))}`"
                )
            self._messages.send(("waiting", f"waiting for the cluster: {there}"))
            pending = [wait for wait in waits if not wait.done()]
            done, _ = await asyncio.wait(pending, timeout=BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            for wait in done:
                wait.result()

    async def _ready(self, actor: _Actor, *, may_refuse: bool = True) -> bool:
        """Wait until a verifier can judge (True), or is dead.

        Raises:
            ServiceError: if its node is not fit for it, and that ends the run.
        """
        from ray.exceptions import ActorDiedError, RayError

        dead = 0
        while not actor.is_dead:
            try:
                node, problem, _ = await actor.handle.ready.remote()
            except RayError as error:
                dead = dead + 1 if isinstance(error, ActorDiedError) else 0
                actor.is_dead = dead >= MOST_DEAD
                await asyncio.sleep(AWAY_PAUSE)
                continue
            if not problem:
                actor.is_up = True
                return True
            version = self._wanted["axolotl-synthetic"].partition(" ")[0]
            unfit = ServiceError(
                f"engine: ray: the node {node} {problem}; install there exactly what this machine has (pip install"
                f" 'axolotl-synthetic[ray]=={version}' and the same libraries), or take the node out of the cluster"
            )
            if may_refuse:
                raise unfit
            print(unfit, flush=True)
            actor.is_dead = True
        return False

    async def _lane(self, actor: _Actor) -> None:
        """Have a verifier judge one chunk after the other."""
        from ray.exceptions import RayError, RayTaskError

        had: _Chunk | None = None
        while not actor.is_dead:
            if not actor.is_up:
                if await self._ready(actor, may_refuse=False) and had is not None:
                    # It is back, so it is not the cluster that is going.
                    _count_end(had)
                continue
            chunk = await self._next(actor)
            databases = {file: self._database(file) for seed in chunk.seeds if (file := self._databases[seed]) is not None}
            try:
                error, rulings, missing = await actor.handle.judge.remote(chunk.texts, databases)
            except RayTaskError as broke:
                traceback.print_exception(broke)
                raise broken(broke.cause or broke) from broke
            except RayError as ended:
                print(f"a verifier ended: {type(ended).__name__}", flush=True)
                actor.is_up, had = False, chunk
                await self._put_back(actor, chunk)
                continue
            had = None
            if missing:
                for file in missing:
                    await asyncio.get_running_loop().run_in_executor(None, self._put, file)
                await self._put_back(actor, chunk)
                continue
            if error:
                raise decoded(error)
            self._messages.send(("judged", chunk.number, rulings))

    async def _next(self, actor: _Actor) -> _Chunk:
        """Return a chunk that is meant for this verifier, or else one of the verifier that has the most of them."""
        async with self._came:
            while True:
                longest = max(self._actors, key=lambda one: len(one.chunks))
                if actor.chunks:
                    return actor.chunks.popleft()
                if longest.chunks:
                    return longest.chunks.popleft()
                await self._came.wait()

    async def _put_back(self, actor: _Actor, chunk: _Chunk) -> None:
        async with self._came:
            actor.chunks.appendleft(chunk)
            self._came.notify_all()

    def _database(self, file: str) -> tuple[tuple[int, ...], Sequence[Any]]:
        """Return what tells a database apart, and a reference to its bytes once a verifier has missed it."""
        if file not in self._references:
            with _of_database(file):
                self._references[file] = verifier.mark_of(file), []
        return self._references[file]

    def _put(self, file: str) -> None:
        """Put a database where verifiers on any node can fetch it."""
        import ray

        mark, reference = self._references[file]
        if not reference:
            with _of_database(file):
                self._references[file] = mark, [ray.put(Path(file).read_bytes())]

    async def _read(self) -> None:
        """Take chunks from the other side until it has enough."""
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._messages.fileno(), readable.set)
        while True:
            await readable.wait()
            readable.clear()
            while self._messages.poll():
                if (message := self._messages.recv()) is None:
                    return
                number, at, seeds, texts = message
                async with self._came:
                    self._actors[at % len(self._actors)].chunks.append(_Chunk(number, seeds, texts))
                    self._came.notify_all()

    async def _beat(self) -> None:
        """Look every second whether the cluster is there, and say so."""
        misses = 0
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            up = sum(actor.is_up for actor in self._actors)
            self._messages.send(("up", up))
            if up and self._last_up is not None:
                self._last_up = time.monotonic()
            try:
                _, writer = await asyncio.wait_for(asyncio.open_connection(*self._head), HEAD_SECONDS)
                writer.close()
                misses = 0
            except OSError as error:
                misses += 1
                if misses >= MISSES:
                    raise _Lost(f"its head at {':'.join(map(str, self._head))} does not answer: {error or 'timeout'}") from error
            if self._actors and all(actor.is_dead for actor in self._actors):
                raise _Lost("all of its verifiers ended, for this machine's own node did")
            if self._last_up is not None and time.monotonic() - self._last_up > WITHOUT_SECONDS:
                raise _Lost(f"no verifier could be started again for {WITHOUT_SECONDS:.0f} s")


async def _first(*tasks: asyncio.Task[Any]) -> None:
    """Wait until the first of some tasks ends with a result, which the lanes of dead verifiers are not; raise what ends any of them."""
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        if tasks[0].done():
            return


async def _free_processors() -> int:
    """Return how many processors of the cluster are free; of one that has just begun this takes a moment to be known."""
    import ray

    end = time.monotonic() + SETTLE_SECONDS
    while not ray.cluster_resources().get("CPU") and time.monotonic() < end:
        await asyncio.sleep(AWAY_PAUSE)
    return max(1, int(ray.available_resources().get("CPU", 0)))


@contextmanager
def _of_database(file: str) -> Iterator[None]:
    from ray.exceptions import RayError

    try:
        yield
    except OSError as error:
        raise StorageError(f"{file}: {error.strerror}; put the database back, then {KEPT}") from error
    except RayError as error:
        raise ServiceError(
            f"engine: ray: {file} does not fit into the cluster's object store ({type(error).__name__}); start the nodes with a larger one"
            f" (`--object-store-memory`), or put the file at the same path of a disk that all nodes share, then {KEPT}"
        ) from error


def _count_end(chunk: _Chunk) -> None:
    """Count that a verifier ended while it had these candidates.

    Raises:
        ProcessEndedError: if that is no accident any more.
    """
    chunk.ended += 1
    if chunk.ended >= MOST_ENDED:
        raise ProcessEndedError(
            f"engine: ray: {chunk.ended} verifiers ended over the same {number_of(len(chunk.texts), 'candidate')} (of the seeds"
            f" {', '.join(dict.fromkeys(chunk.seeds))[:200]}); often it is the kernel, out of memory: see that each node has enough, then"
            f" {KEPT}"
        )


def _work(job: Job) -> tuple[bytes, bytes]:
    """Return what the verifiers work with: see `Verifier`."""
    import ray

    task = load_task(job.settings.task, job.settings.prompts)
    keeps_answer = {name: strategy.keeps_answer for name, strategy in load_strategies().items()}
    checks = load_checks(
        *(job.settings.verify, task, keeps_answer), seeds=job.seeds, held_out=job.held_out, include_seeds=job.settings.include_seeds
    )
    alone = [check for check in checks if not check.in_order]
    names = {type(task).__module__, *(str(getattr(check.judge, "__module__", "builtins")) for check in alone)}
    work = Judging(task, alone), {seed.id: seed for seed in job.seeds}
    try:
        return own_modules.packed(names), ray.cloudpickle.dumps(work)
    except SyntheticError:
        raise
    except Exception as error:  # whatever a class of the user's does while it is copied
        raise ServiceError(
            f"engine: ray: the task or a check cannot be carried to other machines ({type(error).__name__}: {error}); keep in it only"
            " values that Python's `pickle` can copy, or write `engine: local`"
        ) from error


if __name__ == "__main__":
    main(*sys.argv[1:])
