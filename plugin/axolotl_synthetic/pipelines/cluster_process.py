"""The process that is connected to a Ray cluster: it starts the verifiers, sends them candidates and returns their verdicts.

Only `cluster.py` starts it. It receives the cluster's address and the job through a socket, and answers with tuples:

    ("waiting", text)         it waits for what the text says
    ("ready", verifiers)      that many verifiers have started
    ("judged", number, …)     verdicts on a chunk of candidates
    ("up", verifiers)         sent every second: number of verifiers that can judge
    ("lost", text)            the cluster is gone; another process may find it again
    ("error", encoded)        error that ends the run
"""

from __future__ import annotations

import asyncio
import pickle
import sys
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
from axolotl_synthetic.pipelines import own_modules, verifier
from axolotl_synthetic.pipelines.cluster import KEPT, broken
from axolotl_synthetic.pipelines.job import Job
from axolotl_synthetic.pipelines.judging import Judging
from axolotl_synthetic.pipelines.ray_connection import HEAD_SECONDS, connect, ignore_signals, leave
from axolotl_synthetic.processes import die_with
from axolotl_synthetic.strategies import load_strategies
from axolotl_synthetic.tasks import load_task
from axolotl_synthetic.wording import number_of

# Limit for all verifiers to start. On a node with room they start within five seconds.
START_SECONDS = 60.0
# One chunk being judged and one queued, so that a verifier need not wait for a round trip.
AT_A_VERIFIER = 2
SETTLE_SECONDS = 5.0
AWAY_PAUSE = 0.5
# Give the cluster up after this long without a verifier; a killed one is back within five seconds.
WITHOUT_SECONDS = 20.0
# Probe the head every second: Ray itself would only end this process 60 s after the head is gone.
BEAT_SECONDS, MISSES = 1.0, 5
# Verifiers that may end over the same candidates: kills from outside rarely hit the same ones repeatedly.
MOST_ENDED = 6
# Consecutive reports of Ray that an actor is dead before it counts as dead: early ones may only mean that it is moving to another node.
MOST_DEAD = 6


def main(parent: str, descriptor: str) -> None:
    """Connect, and serve until the parent asks to end.

    Args:
        parent: the parent's process id; this process dies with it.
        descriptor: the socket's file descriptor.
    """
    die_with(int(parent))
    ignore_signals()
    messages = Connection(int(descriptor))
    try:
        python_path, cluster, whole = messages.recv()
        sys.path[:] = python_path
        job: Job = pickle.loads(messages.recv_bytes())
        head = connect(cluster)
        ignore_signals()  # Ray has set a handler of its own
        asyncio.run(_Dispatch(job, messages, head).run(cluster, whole))
    except (EOFError, OSError):
        pass  # the parent is gone
    except SyntheticError as error:
        _tell(messages, "error", encoded(error))
    except _Lost as lost:
        _tell(messages, "lost", str(lost))
    except BaseException as error:
        traceback.print_exception(error)
        _tell(messages, "error", encoded(broken(error)))
    messages.close()  # the parent need not wait for Ray's shutdown
    leave()


def _tell(messages: Connection, *message: Any) -> None:
    with suppress(OSError):
        messages.send(message)


class _Lost(Exception):
    """Error: the cluster is gone."""


@dataclass
class _Chunk:
    """Candidates that are judged together, and the number of verifiers that ended while judging them."""

    number: int
    seeds: Sequence[str]
    texts: Sequence[str]
    ended: int = 0


class _Actor:
    """A verifier and its state.

    Attributes:
        chunks: its queue, from which an idle verifier may take chunks.
    """

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.chunks: deque[_Chunk] = deque()
        self.is_up = False
        self.is_dead = False


class _Dispatch:
    """Dispatcher of chunks to verifiers and of verdicts to the parent.

    Ray would restart a verifier for ever and resend the candidates that kill it. So Ray only restarts verifiers, and this class decides
    what is sent again.
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
        # Last time that a verifier could judge; None before all have started.
        self._last_up: float | None = None

    async def run(self, cluster: RayCluster, whole: bool) -> None:
        """Serve until the parent asks to end.

        Raises:
            SyntheticError: if the run must end.
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
        # Keep the reference: a restarted verifier reads the object again.
        self._work = [ray.put(_work(self._job))]
        kind = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=0, scheduling_strategy="SPREAD")(verifier.Verifier)
        self._actors = [_Actor(kind.remote(self._wanted, self._work)) for _ in range(count)]

    async def _started(self, whole: bool) -> None:
        """Wait until all verifiers have started, or one, if not `whole`."""
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
        """Wait until a verifier can judge (True) or is dead (False).

        Raises:
            ServiceError: if its node is unfit and `may_refuse` is set.
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
        """Have a verifier judge one chunk after another."""
        from ray.exceptions import RayError, RayTaskError

        had: _Chunk | None = None
        while not actor.is_dead:
            if not actor.is_up:
                if await self._ready(actor, may_refuse=False) and had is not None:
                    # The verifier came back, so the cluster is not at fault.
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
        """Return this verifier's next chunk, or else one from the longest queue."""
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
        """Return a database's version mark, and a reference to its bytes if a verifier has asked for them."""
        if file not in self._references:
            with _of_database(file):
                self._references[file] = verifier.mark_of(file), []
        return self._references[file]

    def _put(self, file: str) -> None:
        """Put a database into the object store, where verifiers on any node can fetch it."""
        import ray

        mark, reference = self._references[file]
        if not reference:
            with _of_database(file):
                self._references[file] = mark, [ray.put(Path(file).read_bytes())]

    async def _read(self) -> None:
        """Queue chunks from the parent until it asks to end."""
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
        """Check every second whether the cluster is there, and report it."""
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
    """Wait until the first of these tasks returns; raise the first exception of any. A dead verifier's lane that returns is ignored."""
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        if tasks[0].done():
            return


async def _free_processors() -> int:
    """Return how many processors of the cluster are free, after waiting for a new cluster to report any."""
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
    """Count a verifier that ended while it had these candidates.

    Raises:
        ProcessEndedError: if that is too often for an accident.
    """
    chunk.ended += 1
    if chunk.ended >= MOST_ENDED:
        raise ProcessEndedError(
            f"engine: ray: {chunk.ended} verifiers ended over the same {number_of(len(chunk.texts), 'candidate')} (of the seeds"
            f" {', '.join(dict.fromkeys(chunk.seeds))[:200]}); often it is the kernel, out of memory: see that each node has enough, then"
            f" {KEPT}"
        )


def _work(job: Job) -> tuple[bytes, bytes]:
    """Return the task, checks and seeds that the verifiers need, packed; see `Verifier`."""
    import ray

    task = load_task(job.settings.task, job.settings.prompts, job.settings.language)
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
    except Exception as error:  # a user's class may raise anything while it is pickled
        raise ServiceError(
            f"engine: ray: the task or a check cannot be carried to other machines ({type(error).__name__}: {error}); keep in it only"
            " values that Python's `pickle` can copy, or write `engine: local`"
        ) from error


if __name__ == "__main__":
    main(*sys.argv[1:])
