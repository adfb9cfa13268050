"""`provider: vllm` with `engine: ray`: servers on the GPUs of the cluster's nodes, replaced by a fake with vLLM's command line.

Ray trusts a node that claims to have GPUs, and assigns different ones to each server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from fake_vllm import LAST_WORDS, install, started
from projects import Project, until
from ray_cluster import RayCluster, cluster_of

pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with cluster_of(nodes=2, gpus=2) as cluster:
        yield cluster


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", seeds=80)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return install(tmp_path / "bin")


def configure(project: Project, records: Path, engine: Any, samples: int = 40, **teacher: Any) -> None:
    """Configure a run whose teacher is served by this test's fake: nodes have the PATH that they were started with."""
    block = {"provider": "vllm", "model": "org/model", "python": str(records.parent / "python"), "base_url": None, **teacher}
    project.configure("", teacher=block, budget={"samples": samples}, engine=engine)
    text = (project.folder / "config.yml").read_text()
    (project.folder / "config.yml").write_text(text.replace("    base_url: null\n", ""))


def on(cluster: RayCluster, verifiers: int = 1) -> dict[str, Any]:
    return {"ray": {"address": cluster.address, "verifiers": verifiers}}


def are_gone(records: Path) -> bool:
    return not any(is_alive(one[name]) for one in started(records) for name in ("process", "worker"))


def is_alive(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def test_each_replica_has_gpus_of_one_node_and_the_training_file_is_that_of_one_machine(tmp_path, cluster, records):
    here, there = (Project(tmp_path / name, seeds=80) for name in ("here", "there"))
    configure(here, records, "local")
    assert here.run().code == 0
    [alone] = started(records)
    configure(there, records, on(cluster), replicas=2, tensor_parallel=2)
    done = there.run()
    assert done.code == 0, done.err
    servers = [one for one in started(records) if one["process"] != alone["process"]]
    assert [(one["gpus"], one["parallel"]) for one in servers] == [("0,1", 2), ("0,1", 2)]
    counts = [int((records / f"{one['process']}.count").read_text()) for one in servers]
    assert min(counts) >= 5
    assert there.training_bytes == here.training_bytes
    assert there.paid_twice == 0
    assert until(lambda: are_gone(records), 10)
    assert there.ends(10), there.processes()


@pytest.mark.slow
def test_servers_that_others_can_reach_want_a_key_that_is_written_nowhere(project, cluster, records):
    configure(project, records, on(cluster), samples=10)
    assert project.run().code == 0
    [one] = started(records)
    assert "VLLM_API_KEY" in one["environment"]
    assert not any("--api-key" in argument for argument in one["arguments"])
    assert project.outcomes == {"ok": project.outcomes["ok"]}  # a call with another key than the server's would get HTTP 401


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        (
            {"replicas": 5},
            "vLLM for teacher needs 5 GPUs (replicas × tensor_parallel); the cluster has 4 GPUs on 2 nodes: lower",
        ),
        ({"tensor_parallel": 3}, "synthetic.teacher.tensor_parallel: 3 GPUs of one node are needed; the cluster has 4 GPUs on 2 nodes, at"),
    ],
)
def test_too_few_gpus_end_the_run_before_a_server_is_started(project, cluster, records, teacher, said):
    configure(project, records, on(cluster), **teacher)
    done = project.run()
    assert done.code == 3
    assert said in done.err
    assert "Traceback" not in done.err
    assert started(records) == []
    assert project.ends(10)


def test_a_server_that_dies_while_it_loads_ends_the_run_with_its_last_words(project, cluster, records, tmp_path):
    vllm = records.parent / "python"
    vllm.write_text(vllm.read_text().replace("export", "export FAKE_VLLM=dies\nexport", 1))
    configure(project, records, on(cluster))
    done = project.run()
    assert done.code == 3
    assert done.err.rstrip().endswith(LAST_WORDS)
    assert "Traceback" not in done.err
    assert project.ends(10)


def test_a_node_without_vllm_is_named_with_what_to_install(project, cluster, records):
    configure(project, records, on(cluster), python=str(records.parent / "python-without"))
    done = project.run()
    assert done.code == 3
    assert "vLLM cannot be started: the node" in done.err
    assert "-m pip install vllm" in done.err


@pytest.mark.slow
def test_nothing_outlives_a_run_that_is_killed_and_a_rerun_goes_on(project, cluster, records):
    configure(project, records, on(cluster), samples=70, replicas=2, concurrency=1)
    running = project.start()
    assert until(lambda: any(int(path.read_text() or 0) for path in records.glob("*.count")), 60)
    running.kill()
    running.wait()
    assert until(lambda: are_gone(records), 30)
    assert project.ends(15)
    done = project.run()
    assert done.code == 0, done.err
    assert project.paid_twice == 0
    assert until(lambda: are_gone(records), 10)


@pytest.mark.slow
def test_a_server_that_is_lost_in_the_run_leaves_its_calls_to_the_other_and_is_told_of(project, cluster, records):
    configure(project, records, on(cluster), samples=70, replicas=2, concurrency=2)
    running = project.start()
    assert until(lambda: sum(int(path.read_text() or 0) > 2 for path in records.glob("*.count")) == 2, 60)
    os.kill(started(records)[0]["process"], 9)
    done = running.wait()
    assert done.code == 0, done.err
    assert project.manifest["counts"]["accepted"] == 70
    assert "during the run: vLLM on the node" in done.err
    assert until(lambda: are_gone(records), 10)


@pytest.mark.slow
def test_a_cluster_without_gpus_leaves_the_servers_to_this_machine(project, records, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    with cluster_of(nodes=1) as without:
        configure(project, records, on(without), samples=10)
        done = project.run()
    assert done.code == 0, done.err
    assert [(one["host"], one["gpus"]) for one in started(records)] == [("127.0.0.1", "7")]
