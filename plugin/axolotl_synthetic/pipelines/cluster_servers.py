"""The process that serves vLLM on the GPUs of a Ray cluster: one actor per replica, with a server on the actor's node.

Only `serving.py` starts it. It reads one line of JSON: the cluster, the models and the API key that the servers require. It answers with
lines of JSON, each a pair:

    ["waiting", [ready, all, text]]   it waits for what the text says
    ["none", ""]                      the cluster has no GPU
    ["ready", {role: addresses}]      all servers answer
    ["ended", text]                   a server ended later
    ["error", encoded]                error that ends this process

It stops the servers when its standard input closes; when it is killed, Ray ends them.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from axolotl_synthetic.config import RayCluster, VLLMModel
from axolotl_synthetic.errors import ServiceError, SyntheticError, encoded
from axolotl_synthetic.pipelines.ray_connection import connect, ignore_signals, leave
from axolotl_synthetic.processes import die_with
from axolotl_synthetic.wording import number_of

# Time for GPUs to become free; those of an earlier run are released within seconds.
PLACE_SECONDS = 60.0
# Time for a new cluster to report its resources.
SETTLE_SECONDS = 3.0
LOOK_SECONDS, LOOK_LATER_SECONDS = 0.5, 5.0
# Time for all servers to end: each first asks its processes to end, and kills them after five seconds.
END_SECONDS = 20.0


class Server:
    """Ray actor: one vLLM server on a node where Ray has free GPUs. Its methods return an error's text rather than raise."""

    def start(self, model: Mapping[str, Any], role: str, key: str) -> tuple[str, str]:
        """Start the server; return its address and an error's text, one of them empty."""
        try:
            import ray

            from axolotl_synthetic.config import VLLMModel
            from axolotl_synthetic.teachers import vllm
        except ImportError as error:
            return "", f"{error}; install axolotl-synthetic on every node"
        host = ray.util.get_node_ip_address()
        self._folder = Path(tempfile.mkdtemp(prefix="axolotl-vllm-"))
        try:
            # Ray has set CUDA_VISIBLE_DEVICES for this actor. The network can reach the address, but only we have the key.
            command = vllm.command_of(VLLMModel(**model), role)  # type: ignore[arg-type]
            self._replica = vllm.start(command, self._folder / "vllm.log", {"VLLM_API_KEY": key}, host)
        except Exception as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            return "", f"the node {host}: {error}"
        return self._replica.url, ""

    def look(self) -> tuple[bool, str, str]:
        """Return whether the server answers, the last line of its log, and an error's text if it has ended."""
        from axolotl_synthetic.teachers import vllm

        if (code := self._replica.process.poll()) is not None:
            return False, "", vllm.died(self._replica, f"on the node {self._replica.host} ended (exit code {code})")
        self._replica.is_ready = self._replica.is_ready or self._replica.answers()
        return self._replica.is_ready, "".join(self._replica.last_lines()[-1:]), ""

    def stop(self) -> None:
        from axolotl_synthetic.teachers import vllm

        vllm.end([self._replica])
        shutil.rmtree(self._folder, ignore_errors=True)


def main(parent: str) -> None:
    """Serve until standard input closes.

    Args:
        parent: the parent's process id; this process dies with it.
    """
    die_with(int(parent))
    ignore_signals()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray's output belongs in the log
    say = _Teller(answers)
    try:
        request = json.loads(sys.stdin.readline())
        connect(RayCluster(**request["cluster"]))
        ignore_signals()  # again: Ray has installed its own handlers
        _serve({role: VLLMModel(**model) for role, model in request["models"].items()}, request["key"], say)
    except SyntheticError as error:
        say("error", encoded(error))
    except BaseException as error:
        traceback.print_exception(error)
        said = f"engine: ray: serving vLLM on the cluster broke: {type(error).__name__}: {error}; see run.log"
        say("error", encoded(ServiceError(said)))
    leave()


class _Teller:
    def __init__(self, answers: Any) -> None:
        self._answers = answers

    def __call__(self, kind: str, said: object) -> None:
        with suppress(OSError):  # the run is gone; `_is_over` will notice
            self._answers.write(json.dumps([kind, said]) + "\n")
            self._answers.flush()


def _serve(models: Mapping[str, VLLMModel], key: str, say: _Teller) -> None:
    import ray

    if not (gpus := _gpus()):
        say("none", "")
        return
    _refuse_too_few(models, gpus)
    # By default Ray kills a worker's children as it ends: the guard would have no time to end vLLM's processes.
    spared = {"env_vars": {"RAY_kill_child_processes_on_worker_exit": "false"}}
    kind = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0, runtime_env=spared)(Server)
    roles = [role for role, model in models.items() for _ in range(model.replicas)]
    actors = [kind.options(num_gpus=models[role].tensor_parallel).remote() for role in roles]
    starting = [actor.start.remote(models[role].model_dump(mode="json"), role, key) for actor, role in zip(actors, roles, strict=True)]
    try:
        if (urls := _placed(starting, gpus, say)) is None:
            return
        if not _ready(actors, max(model.start_timeout for model in models.values()), say):
            return
        say("ready", {role: [url for url, its in zip(urls, roles, strict=True) if its == role] for role in models})
        _watch(actors, say)
    finally:
        _stop(actors, starting)


def _gpus() -> list[int]:
    """Return the number of GPUs of each node that has any."""
    import ray

    end = time.monotonic() + SETTLE_SECONDS
    while not ray.cluster_resources().get("CPU") and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
    nodes = [int(node["Resources"].get("GPU", 0)) for node in ray.nodes() if node["Alive"]]
    return [gpus for gpus in nodes if gpus]


def _refuse_too_few(models: Mapping[str, VLLMModel], gpus: Sequence[int]) -> None:
    """Refuse models that the whole cluster has too few GPUs for.

    Raises:
        ServiceError: with the GPUs needed and present.
    """
    wanted = sum(model.replicas * model.tensor_parallel for model in models.values())
    has = f"the cluster has {number_of(sum(gpus), 'GPU')} on {number_of(len(gpus), 'node')}"
    for role, model in models.items():
        if model.tensor_parallel > max(gpus):
            raise ServiceError(
                f"synthetic.{role}.tensor_parallel: {model.tensor_parallel} GPUs of one node are needed; {has}, at most {max(gpus)} on one:"
                " lower it, or add a node"
            )
    if wanted > sum(gpus):
        raise ServiceError(
            f"engine: ray: vLLM for {' and '.join(models)} needs {number_of(wanted, 'GPU')} (replicas × tensor_parallel); {has}: lower"
            " `replicas`, or add a node"
        )


def _placed(starting: Sequence[Any], gpus: Sequence[int], say: _Teller) -> list[str] | None:
    """Wait until every server has its GPUs; return their addresses, None if the run is gone.

    Raises:
        ServiceError: if there is no room or a server cannot be started.
    """
    import ray

    end = time.monotonic() + PLACE_SECONDS
    left: Sequence[Any] = list(starting)
    while left:
        done, left = ray.wait(list(left), num_returns=len(left), timeout=LOOK_SECONDS)
        for _, problem in ray.get(done):
            if problem:
                raise ServiceError(f"engine: ray: vLLM cannot be started: {problem}")
        if _is_over(0):
            return None
        if left and time.monotonic() > end:
            free = ray.available_resources().get("GPU", 0)
            raise ServiceError(
                f"engine: ray: {len(left)} of {number_of(len(starting), 'server')} of vLLM found no free GPUs within {PLACE_SECONDS:.0f}"
                f" s: the cluster has {sum(gpus)}, {free:g} of them free, and each server takes a processor as well; stop what else runs"
                " there, add a node, or lower `replicas`"
            )
        say("waiting", [0, len(starting), f"{len(starting) - len(left)} of {len(starting)} have their GPUs"])
    return [url for url, _ in ray.get(list(starting))]


def _ready(actors: Sequence[Any], seconds: float, say: _Teller) -> bool:
    """Wait until every server answers; return False if the run is gone.

    Raises:
        ServiceError: if a server ends or is not ready in time.
    """
    import ray

    end = time.monotonic() + seconds
    while True:
        looks = ray.get([actor.look.remote() for actor in actors])
        if (ended := next((problem for *_, problem in looks if problem), None)) is not None:
            raise ServiceError(ended)
        waiting = [line for ready, line, _ in looks if not ready]
        if not waiting:
            return True
        if time.monotonic() > end:
            raise ServiceError(
                f"vLLM on the cluster was not ready after {seconds:g} s (raise `start_timeout`); the last that it said: {waiting[0]}"
            )
        say("waiting", [len(looks) - len(waiting), len(looks), waiting[0]])
        if _is_over(LOOK_SECONDS):
            return False


def _watch(actors: Sequence[Any], say: _Teller) -> None:
    """Wait for the end of the run, and report servers that end earlier; calls then go to the others."""
    import ray

    alive, over = list(actors), False
    while not over:
        over = _is_over(LOOK_LATER_SECONDS)
        for actor in list(alive):
            try:
                *_, problem = ray.get(actor.look.remote(), timeout=LOOK_LATER_SECONDS)
            except ray.exceptions.GetTimeoutError:
                continue
            except ray.exceptions.RayError as error:
                problem = f"vLLM on the cluster was lost with its node or its actor ({type(error).__name__})"
            if problem:
                alive.remove(actor)
                say("ended", problem)


def _stop(actors: Sequence[Any], starting: Sequence[Any]) -> None:
    """Stop the servers and the actors that wait for GPUs. If the cluster is gone, it has ended them itself."""
    import ray

    with suppress(Exception):
        done, _ = ray.wait(list(starting), num_returns=len(starting), timeout=0)
        stopping = []
        for actor, began in zip(actors, starting, strict=True):
            if began in done:
                stopping.append(actor.stop.remote())
            else:
                ray.kill(actor)
        if stopping:
            ray.wait(stopping, num_returns=len(stopping), timeout=END_SECONDS)


def _is_over(seconds: float) -> bool:
    """Wait for up to `seconds`; return whether standard input has closed."""
    return bool(select.select([sys.stdin], [], [], seconds)[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
