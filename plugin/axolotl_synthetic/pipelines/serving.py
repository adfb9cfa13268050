"""The servers that a run's models need while it lasts: on this machine (`teachers.serve`), or vLLM on its cluster's GPUs.

A process of its own starts the cluster's servers (cluster_servers.py), because Ray ends a process that loses its cluster. The servers
are then lost too, and calls fail as they do to any unreachable server.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from axolotl_synthetic import terminal
from axolotl_synthetic.config import RayCluster, Settings, VLLMModel, first_of_same
from axolotl_synthetic.errors import ServiceError, StorageError, decoded
from axolotl_synthetic.records import Role
from axolotl_synthetic.teachers import ModelSettings, serve, vllm

MODULE = "axolotl_synthetic.pipelines.cluster_servers"
# Time for the process to stop its servers and end.
END_SECONDS = 40.0


@contextmanager
def serving(settings: Settings, folder: Path, log: Path) -> Iterator[dict[Role, ModelSettings]]:
    """Start the servers that the teacher, the augmenter and the student need.

    Args:
        settings: the block `synthetic`.
        folder: where servers on this machine write their logs.
        log: file for the output of the process that is connected to the cluster.

    Yields:
        The settings to open each role's model with.

    Raises:
        ConfigError, ServiceError: if a model cannot be used; the message says what to do.
    """
    first = first_of_same(settings.models)
    wanted = {role: model for role, model in settings.models.items() if first[role] == role}
    cluster = settings.cluster
    with ExitStack() as stack:
        found: dict[Role, ModelSettings] = {}
        own = {role: model for role, model in wanted.items() if isinstance(model, VLLMModel)}
        # A `local` cluster has only this machine's GPUs, so serve on them directly.
        if own and cluster is not None and cluster.address != "local":
            found |= stack.enter_context(_on_cluster(cluster, own, log))
        for role, model in wanted.items():
            if role not in found:
                before = [wanted[other] for other in list(wanted)[: list(wanted).index(role)]]
                found[role] = stack.enter_context(serve(model, folder, role, before))
        yield {role: found[first[role]] for role in first}


@contextmanager
def _on_cluster(cluster: RayCluster, models: Mapping[Role, VLLMModel], log: Path) -> Iterator[dict[Role, ModelSettings]]:
    """Serve vLLM on the cluster's GPUs; yield an empty dict if it has none."""
    process = _start(log)
    key = secrets.token_urlsafe(32)
    before = os.environ.get(vllm.KEY)
    os.environ[vllm.KEY] = key  # visible to this process and its children only
    try:
        _send(process, {"cluster": cluster.model_dump(), "key": key, "models": {role: _absolute(one) for role, one in models.items()}})
        urls = _ready(process, cluster, models)
        yield {role: vllm.served(models[role], urls[role]) for role in urls}
    finally:
        if before is None:
            del os.environ[vllm.KEY]
        else:
            os.environ[vllm.KEY] = before
        _end(process)


def _start(log: Path) -> subprocess.Popen[bytes]:
    try:
        with open(log, "ab") as output:
            command = [sys.executable, "-P", "-m", MODULE, str(os.getpid())]
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, start_new_session=True)
    except OSError as error:
        raise StorageError(f"{log}: {error.strerror}; make it writable, or choose another output_dir") from error


def _send(process: subprocess.Popen[bytes], request: Mapping[str, Any]) -> None:
    assert process.stdin is not None
    with suppress(OSError):  # it has ended; `_next` reports that
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()


def _absolute(model: VLLMModel) -> dict[str, Any]:
    """Return a model's settings with absolute paths, for a node with another working directory; its folder must exist there too."""
    changed: dict[str, Any] = {}
    if model.python is not None:
        changed["python"] = os.path.abspath(os.path.expanduser(model.python))
    if os.path.isdir(model.model):
        changed["model"] = os.path.abspath(model.model)
    return model.model_copy(update=changed).model_dump(mode="json")


def _ready(process: subprocess.Popen[bytes], cluster: RayCluster, models: Mapping[Role, VLLMModel]) -> Mapping[Role, list[str]]:
    """Wait until all servers answer, with progress on the terminal; return their addresses by role.

    Raises:
        SyntheticError: if a server cannot be used.
    """
    stand = terminal.Stand(0, sum(model.replicas for model in models.values()), "servers", f"connecting to the cluster ({cluster.address})")
    with terminal.watched("starting vLLM on the cluster", lambda: stand):
        while True:
            kind, said = _next(process)
            if kind == "waiting":
                ready, number, text = said
                stand = terminal.Stand(ready, number, "servers", terminal.shown(text), timed=False)
            elif kind == "ready":
                return dict(said)
            elif kind == "none":
                return {}
            elif kind == "error":
                raise decoded(said)


def _next(process: subprocess.Popen[bytes]) -> tuple[str, Any]:
    assert process.stdout is not None
    if not (line := process.stdout.readline()):
        raise ServiceError(f"the process that serves vLLM on the cluster ended unexpectedly (exit code {process.wait()}); see run.log")
    kind, said = json.loads(line)
    return kind, said


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop the servers, and report those that ended during the run."""
    assert process.stdin is not None and process.stdout is not None
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()  # Ray then ends its actors
        process.wait()
    with process.stdout:
        for kind, said in map(json.loads, process.stdout):
            if kind == "ended":
                terminal.notice(f"during the run: {said}")
