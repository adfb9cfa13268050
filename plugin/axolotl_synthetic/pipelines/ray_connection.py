"""Connection of one of our processes to a Ray cluster, and its end; Ray ends a process that loses its cluster."""

from __future__ import annotations

import os
import signal
import socket
import threading
import traceback
from contextlib import suppress
from typing import Any

from axolotl_synthetic.config import RayCluster
from axolotl_synthetic.errors import ServiceError
from axolotl_synthetic.extras import require

# Time for the head to accept a connection.
HEAD_SECONDS = 3.0
SHUTDOWN_SECONDS = 4.0


def ignore_signals() -> None:
    # A signal to all processes of a run reaches this one too, but its parent handles it.
    for asked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, signal.SIG_IGN)


def connect(cluster: RayCluster) -> tuple[str, int]:
    """Connect this process; return the address of the cluster's head.

    Raises:
        ServiceError: if that fails; the message says what to do.
    """
    require("ray", "engine: ray")
    # Send no usage statistics, and keep the visible GPUs for an actor that asks for none.
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0")
    if cluster.address != "auto":
        os.environ.pop("RAY_ADDRESS", None)  # it would take precedence
    import ray

    own: dict[str, Any] = {}
    if cluster.address == "local":
        own = {"include_dashboard": False, "num_cpus": cluster.verifiers}
    else:
        refuse_nobody(cluster.address)
    try:
        ray.init(cluster.address, namespace="axolotl-synthetic", log_to_driver=False, logging_level="ERROR", **own)
    except Exception as error:
        traceback.print_exception(error)
        raise ServiceError(f"engine: ray: {why_not(cluster.address, error)}") from error
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    return host.strip("[]"), int(port)


def refuse_nobody(address: str) -> None:
    """Refuse an address where nothing answers: Ray would take a minute to say so, and end this process."""
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
        return  # Ray resolves `auto` and `local`
    try:
        socket.create_connection((host.strip("[]"), int(port)), HEAD_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ServiceError(
            f"engine: ray: no cluster answers at {address} ({error}); start one with `ray start --head --port {port}`, correct the address,"
            " or write `engine: local`"
        ) from error


def why_not(address: str, error: Exception) -> str:
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


def leave() -> None:
    """End this process, after the cluster that it started, if any; without a head, Ray's shutdown may never return."""
    timer = threading.Timer(SHUTDOWN_SECONDS, os._exit, (1,))
    timer.daemon = True
    timer.start()
    with suppress(Exception):
        import ray

        ray.shutdown()
    os._exit(0)
