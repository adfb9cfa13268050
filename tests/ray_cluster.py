"""A Ray cluster of several nodes on this machine, for tests: a head without processors, and nodes that can be killed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

MEMORY = 80 * 2**20
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


class RayCluster:
    """Some nodes with two processors each, and a head with none, to which drivers connect."""

    def __init__(self, nodes: int = 2, head_cpus: int = 0, gpus: int = 0) -> None:
        from ray.cluster_utils import Cluster

        options = {"num_cpus": head_cpus, "object_store_memory": MEMORY, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=options)
        self.address: str = self._cluster.address
        self.nodes: list[Any] = []
        for _ in range(nodes):
            self.add_node(gpus=gpus)

    def add_node(self, cpus: int = 2, gpus: int = 0) -> None:
        """Add a node; its GPUs need not exist, since Ray trusts what a node claims."""
        self.nodes.append(self._cluster.add_node(num_cpus=cpus, num_gpus=gpus, object_store_memory=MEMORY))

    def raylets(self) -> list[psutil.Process]:
        """Return the nodes' main processes, except the head's."""
        found = [psutil.Process(node.all_processes["raylet"][0].process.pid) for node in self.nodes]
        return [process for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]

    def verifiers(self) -> list[psutil.Process]:
        """Return the processes that verify, on any node of this cluster."""
        found = []
        for node in (self._cluster.head_node, *self.nodes):
            with suppress(psutil.Error, KeyError, IndexError):
                children = psutil.Process(node.all_processes["raylet"][0].process.pid).children()
                found += [child for child in children if _name(child).startswith("ray::Verifier")]
        return found

    def kill_a_verifier(self, choice: random.Random) -> bool:
        return _kill(self.verifiers(), choice)

    def kill_a_node(self, choice: random.Random) -> bool:
        """Kill a node's main process, with which its workers end."""
        return _kill(self.raylets(), choice)

    def kill_the(self, part: str) -> bool:
        """Kill the `head`, on which the cluster depends, or the `node_of_the_head`, to which drivers on this machine connect."""
        name = {"head": "gcs_server", "node_of_the_head": "raylet"}[part]
        os.kill(self._cluster.head_node.all_processes[name][0].process.pid, signal.SIGKILL)
        return True

    def close(self) -> None:
        with suppress(Exception):
            self._cluster.shutdown()


@contextmanager
def cluster_of(nodes: int = 2, head_cpus: int = 0, gpus: int = 0) -> Iterator[RayCluster]:
    cluster = RayCluster(nodes, head_cpus, gpus)
    try:
        yield cluster
    finally:
        cluster.close()


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _kill(processes: list[psutil.Process], choice: random.Random) -> bool:
    if not processes:
        return False
    with suppress(psutil.Error):
        choice.choice(processes).kill()
    return True


def wait_until(happened: Any, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happened():
            return True
        time.sleep(0.05)
    return bool(happened())
