"""`engine: ray`: verdicts by actors on a cluster of several nodes, the same bytes as on one machine, and missing parts of a cluster."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from axolotl_synthetic.checks import NAMES
from axolotl_synthetic.config import RayCluster as Wanted
from axolotl_synthetic.config import load_settings
from axolotl_synthetic.errors import MissingExtraError, ServiceError
from axolotl_synthetic.pipelines import cluster_process, own_modules, ray_connection, verifier
from axolotl_synthetic.pipelines.rows import to_text
from axolotl_synthetic.records import Candidate, Question, Seed
from axolotl_synthetic.tasks import BUILT_IN
from axolotl_synthetic.teachers.vllm import gpus_of

from fake_server import FakeServer
from projects import Project
from ray_cluster import RayCluster, cluster_of, wait_until
from shop import SCHEMA, make_shop

pytest.importorskip("ray")
ROOT = Path(__file__).parents[2]
SEED = Seed("s", Question("Ada has 6 jars with 10 cards each. How many cards are there?"), "6 * 10 = 60\n#### 60")


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with cluster_of(nodes=2) as cluster:
        yield cluster


def job(**block: Any) -> Any:
    return SimpleNamespace(settings=load_settings(block), seeds=(SEED,), held_out=(SEED,), most_candidates=None)


def candidate(answer: str, **fields: Any) -> Candidate:
    return Candidate(0, "0", "answer_augmentation", "s", **{"question": SEED.question, "prompt": "?", "answer": answer, **fields})


def test_the_yaml_of_the_page_is_valid():
    first, second = re.findall(r"```yaml\n(.*?)```", (ROOT / "plugin/docs/scale-out.md").read_text(), re.DOTALL)
    assert load_settings(yaml.safe_load(first)["synthetic"]).cluster == Wanted(address="auto", verifiers=8)
    assert gpus_of(load_settings(yaml.safe_load(second)["synthetic"]).teacher) == 8


# Data sent to the nodes


@pytest.mark.parametrize("task", BUILT_IN)
def test_every_check_of_every_task_can_be_carried_to_a_node(task, tmp_path):
    (tmp_path / "graded.txt").write_text("How many cards are there in six jars?\n")
    options = {"decontamination": {"files": [str(tmp_path / "graded.txt")]}, "diversity": {"per_seed": 3}}
    names = [name for name in NAMES if task not in ("instruction", "chat") or name not in ("self_consistency", "difficulty")]
    block: dict[str, Any] = {"task": task, "verify": [{name: options.get(name, {})} for name in names]}
    if "difficulty" in names:
        block["student"] = {"model": "weak"}
    if task == "text_to_sql":
        block["seeds"] = {"databases": "{database}.sql"}
    modules, pickled = cluster_process._work(job(**block))
    judging, seeds = pickle.loads(pickled)
    assert modules == b""
    assert seeds == {"s": SEED}
    # Checks that compare candidates with one another stay in the process that knows their order.
    in_order = {"duplicate", "near_duplicate", "diversity"}
    assert [check.name for check in judging._single] == [name for name in names if name not in in_order]
    assert judging._ordered == []


def test_no_key_and_no_address_of_a_model_goes_to_a_node(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-recognisable")
    _, pickled = cluster_process._work(job(teacher={"base_url": "http://secret-host:1234/v1", "model": "m"}))
    assert b"sk-recognisable" not in pickled
    assert b"secret-host" not in pickled


def test_the_modules_of_a_users_own_task_come_along_and_installed_ones_do_not(tmp_path, monkeypatch):
    package = tmp_path / "their_package"
    (package / "prompts").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "tasks.py").write_text("import their_helpers\n")
    (package / "prompts" / "answer.md").write_text("Answer.")
    (tmp_path / "their_helpers.py").write_text("")
    (tmp_path / "not_imported.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("their_package.tasks")
    try:
        with zipfile.ZipFile(
            BytesIO(own_modules.packed(["their_package.tasks", "yaml", "json", "axolotl_synthetic.tasks.math"]))
        ) as archive:
            assert sorted(archive.namelist()) == [
                "their_helpers.py",
                "their_package/__init__.py",
                "their_package/prompts/answer.md",
                "their_package/tasks.py",
            ]
        assert own_modules.packed(["yaml", "json"]) == b""
    finally:
        for name in ("their_package", "their_package.tasks", "their_helpers"):
            sys.modules.pop(name, None)


class Local:
    """A replacement for `ray` in a verifier of this process: a reference is the value itself."""

    @staticmethod
    def get(reference: Any) -> Any:
        return reference

    util = SimpleNamespace(get_node_ip_address=lambda: "10.0.0.7")


def opened(monkeypatch: pytest.MonkeyPatch, work: Any, **other: str) -> verifier.Verifier:
    monkeypatch.setitem(sys.modules, "ray", Local)
    return verifier.Verifier({**verifier.versions(), **other}, [work])


def test_a_node_with_other_versions_says_which(monkeypatch):
    one = opened(monkeypatch, (b"", b""), **{"axolotl-synthetic": "9.9.9 (0)", "sqlglot": "1.0"})
    have = verifier.versions()
    assert one.ready()[:2] == (
        "10.0.0.7",
        f"has axolotl-synthetic {have['axolotl-synthetic']} instead of 9.9.9 (0), sqlglot {have['sqlglot']} instead of 1.0",
    )


def test_a_node_without_the_package_says_so(monkeypatch):
    wanted = verifier.versions()
    monkeypatch.setattr(verifier, "PACKAGE", "no_such_package")
    monkeypatch.setitem(sys.modules, "ray", Local)
    assert f"has axolotl-synthetic none instead of {wanted['axolotl-synthetic']}" in verifier.Verifier(wanted, [(b"", b"")]).ready()[1]


def test_a_task_that_cannot_be_imported_on_a_node_is_told_with_its_module(monkeypatch):
    problem = opened(monkeypatch, (b"", b"cno_such_module\nTask\n.")).ready()[1]
    assert problem == "cannot load the task and the checks of this run: ModuleNotFoundError: No module named 'no_such_module'"


def test_a_users_own_modules_are_imported_from_what_came_along(monkeypatch):
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("carried_task.py", "class Task: pass\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    one = opened(monkeypatch, (buffer.getvalue(), b"(ccarried_task\nTask\n}t."))
    assert one.ready()[1] == ""
    assert one._judging.__module__ == "carried_task"
    one.close()
    del sys.modules["carried_task"]


def test_a_verifier_says_what_a_run_on_one_machine_says(monkeypatch):
    import ray  # noqa: F401 - the work is made with it

    work = cluster_process._work(job(verify=["format", "final_answer"]))
    one = opened(monkeypatch, work)
    error, rulings, _ = one.judge([to_text(candidate(answer)) for answer in ("#### 60", "#### 61", "sixty")], {})
    assert error == ""
    assert [ruling[:3] for ruling in pickle.loads(rulings)] == [
        ("60", None, None),
        ("61", "rejected", "final_answer"),
        (None, "rejected", "format"),
    ]
    one.close()


@pytest.mark.parametrize("same", [True, False], ids=["a node that sees the file", "a node that does not"])
def test_a_database_is_read_where_it_lies_or_fetched(monkeypatch, tmp_path, same):
    import ray  # noqa: F401

    make_shop(tmp_path / "shop.sqlite")
    question = Question("Which singers are older than 21?", context=SCHEMA, database="shop", database_file=str(tmp_path / "shop.sqlite"))
    seed = Seed("s", question, "SELECT name FROM singer WHERE age > 21")
    made = job(task="text_to_sql", seeds={"databases": "{database}.sqlite"}, verify=["execution"])
    made.seeds = (seed,)
    one = opened(monkeypatch, cluster_process._work(made))
    file = str(question.database_file)
    mark, content = verifier.mark_of(file), Path(file).read_bytes()
    if not same:
        shutil.move(file, tmp_path / "elsewhere.sqlite")
    answer = "```sql\nSELECT name FROM singer WHERE NOT age <= 21\n```"
    texts = [to_text(candidate(answer, question=question))]
    if not same:
        assert one.judge(texts, {file: (mark, [])}) == ("", b"", [file])
    error, rulings, missing = one.judge(texts, {file: (mark, [] if same else [content])})
    assert (error, list(missing)) == ("", [])
    ((_, status, _, _, verdicts),) = pickle.loads(rulings)
    assert status is None, verdicts
    assert verdicts[0].detail.startswith("it gives what the seed's query gives on the database's rows")
    assert len(list(Path(one._folder).iterdir())) == (0 if same else 1)
    one.close()
    assert not Path(one._folder).exists()


def test_what_a_killed_verifier_left_is_removed_by_the_next_on_its_node(monkeypatch, tmp_path):
    monkeypatch.setattr(verifier.tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"{verifier.FOLDER}999999999-x").mkdir()
    (tmp_path / f"{verifier.FOLDER}{os.getpid()}-x").mkdir()
    verifier._remove_folders_of_the_dead()
    assert [path.name for path in tmp_path.iterdir()] == [f"{verifier.FOLDER}{os.getpid()}-x"]


# Missing parts of a cluster


def test_without_ray_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"`engine: ray` needs ray, which is not installed: pip install 'axolotl-synthetic\[ray\]'"):
        ray_connection.connect(Wanted())


def test_a_cluster_that_does_not_answer_ends_the_run_before_its_first_call(tmp_path, server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    project = Project(tmp_path)
    project.configure(server, engine={"ray": {"address": f"127.0.0.1:{port}"}})
    server.calls.clear()
    done = project.run()
    assert done.code == 3
    assert done.err.splitlines()[-1] == (
        f"axolotl-synthetic: engine: ray: no cluster answers at 127.0.0.1:{port} ([Errno 111] Connection refused); start one with `ray"
        f" start --head --port {port}`, correct the address, or write `engine: local`"
    )
    assert server.calls == []
    assert project.ends(5)


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        (
            "auto",
            ConnectionError("Could not find any running Ray instance. Please"),
            "this machine belongs to no Ray cluster; start one with",
        ),
        (
            "auto",
            RuntimeError("Version mismatch: The cluster was started with: Ray: 2.1"),
            "install the cluster's versions of Ray and Python",
        ),
        (
            "10.0.0.1:1",
            ConnectionError("Failed to connect"),
            "the cluster (10.0.0.1:1) cannot be used from this machine: Failed to connect;",
        ),
        ("local", OSError("no room"), "no cluster can be started on this machine: no room"),
    ],
)
def test_why_a_cluster_cannot_be_used_is_told_with_the_remedy(address, error, said):
    assert said in ray_connection.why_not(address, error)


def test_an_address_of_rays_client_in_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(ServiceError, match=r"RAY_ADDRESS is ray://head:10001: must be the host:port of a cluster's head"):
        ray_connection.refuse_nobody("auto")


# Whole runs


def test_a_run_on_a_cluster_writes_the_same_bytes_and_leaves_nothing_behind(tmp_path, cluster):
    """The run has databases, and a user's own task that no node has installed."""
    with FakeServer(answer_by_sql) as server:
        wanted, found = (
            sql_project(tmp_path / name, server, engine)
            for name, engine in (("local", "local"), ("ray", {"ray": {"address": cluster.address, "verifiers": 3}}))
        )
        for project in (wanted, found):
            done = project.run()
            assert done.code == 0, done.err
            assert [line for line in done.err.splitlines() if not line.startswith(("generating", "seeds:"))] == []
    assert found.training_bytes == wanted.training_bytes
    without = {"requests": None}
    assert [{**row, **without} for row in found.samples] == [{**row, **without} for row in wanted.samples]
    assert {row["status"] for row in found.samples} == {"accepted", "rejected"}
    assert found.ends(5), found.processes()
    assert wait_until(lambda: not cluster.verifiers(), 10)


@pytest.mark.slow
def test_a_node_that_sees_no_file_of_the_run_is_sent_the_databases_and_the_users_own_task(tmp_path):
    """The node's processes have a separate file system, in which an empty folder covers the run's."""
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may make no mount namespace")
    with FakeServer(answer_by_sql) as server, cluster_of(nodes=0) as cluster:
        wanted, found = (
            sql_project(tmp_path / name, server, engine)
            for name, engine in (("local", "local"), ("ray", {"ray": {"address": cluster.address, "verifiers": 2}}))
        )
        joins = f"ray start --address={cluster.address} --num-cpus=2 --object-store-memory={80 * 2**20} --block"
        hidden = f"mount -t tmpfs none {found.folder} && exec {Path(sys.executable).parent}/{joins}"
        node = subprocess.Popen(["unshare", "--mount", "sh", "-c", hidden], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert wanted.run().code == 0
            done = found.run()
        finally:
            node.terminate()
            node.wait(60)
    assert done.code == 0, done.err
    assert found.training_bytes == wanted.training_bytes
    assert {row["status"] for row in found.samples} == {"accepted", "rejected"}


AGES = (18, 24, 27, 33)


def answer_by_sql(body: dict[str, Any]) -> str:
    """Answer correctly about ages below 30: no singer's age lies between such an age and the next."""
    age = int(re.findall(r"older than (\d+)", body["messages"][-1]["content"])[-1])
    return f"By the table.\n```sql\nSELECT name FROM singer WHERE {'NOT age <=' if age < 30 else 'age >='} {age}\n```"


def sql_project(folder: Path, server: FakeServer, engine: Any) -> Project:
    project = Project(folder, seeds=0)
    rows = [
        {"ask": f"Which singers are older than {age}?", "sql": f"SELECT name FROM singer WHERE age > {age}", "db": "shop"} for age in AGES
    ]
    (folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    make_shop(folder / "shop.sqlite")
    (folder / "their_task.py").write_text(
        "from axolotl_synthetic.tasks.text_to_sql import TextToSQL\n\n\nclass Queries(TextToSQL):\n    name = 'text_to_sql'\n"
    )
    project.configure(
        server,
        task="their_task.Queries",
        seeds={"path": "seeds.jsonl", "fields": {"question": "ask", "answer": "sql", "database": "db"}, "databases": "{database}.sqlite"},
        verify=["format", "execution", "final_answer"],
        budget={"queries": 60},
        engine=engine,
    )
    return project


@pytest.mark.slow
def test_a_cluster_without_room_ends_the_run_within_a_bounded_time(tmp_path, server, cluster):
    project = Project(tmp_path)
    project.configure(server, engine={"ray": {"address": cluster.address, "verifiers": 7}})
    server.calls.clear()
    done = project.run()
    assert done.code == 3
    assert "waiting for the cluster: 4 of 7 verifiers started" in done.err
    assert done.err.splitlines()[-1] == (
        "axolotl-synthetic: engine: ray: 4 of 7 verifiers started within 60 s: each takes a processor of the cluster, which has 4, 0 of"
        " them free; stop what else runs there, add a node, or write `verifiers: 4`"
    )
    assert done.seconds < 90
    assert server.calls == []
    assert wait_until(lambda: not cluster.verifiers(), 10)


@pytest.mark.slow
def test_nodes_with_other_files_of_the_package_end_the_run_before_its_first_call(tmp_path, server, monkeypatch):
    ours = Path(verifier.__file__).parents[1]
    shutil.copytree(ours, tmp_path / "theirs" / ours.name, ignore=shutil.ignore_patterns("__pycache__"))
    with open(tmp_path / "theirs" / ours.name / "wording.py", "a") as file:
        file.write("# changed\n")
    project = Project(tmp_path)
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path / "theirs"))
        other = RayCluster(nodes=1)
    try:
        project.configure(server, engine={"ray": {"address": other.address, "verifiers": 1}})
        server.calls.clear()
        done = project.run()
    finally:
        other.close()
    assert done.code == 3
    version = verifier.versions()["axolotl-synthetic"]
    assert f"instead of {version}; install there exactly what this machine has" in done.err.splitlines()[-1]
    assert server.calls == []


@pytest.mark.slow
def test_a_cluster_of_the_runs_own_ends_with_it(tmp_path, server):
    project = Project(tmp_path)
    project.configure(server, engine={"ray": {"address": "local", "verifiers": 2}})
    done = project.run()
    assert done.code == 0, done.err
    assert project.ends(10), project.processes()
    project.forget_all_but_the_ledger()
    running = project.start()
    assert wait_until(lambda: any("raylet" in command for _, command in project.processes()), 150)
    running.kill()
    running.wait()
    assert project.ends(20), project.processes()


@pytest.mark.slow
def test_a_preview_needs_no_cluster(tmp_path, server):
    project = Project(tmp_path)
    project.configure(server, engine={"ray": {"address": "127.0.0.1:1"}})
    assert project.run("preview").code == 0


@pytest.mark.slow
def test_a_candidate_that_ends_its_verifiers_ends_the_run_with_its_seed(tmp_path, server, cluster):
    project = Project(tmp_path, seeds=3)
    (tmp_path / "deadly_task.py").write_text(DEADLY_TASK)
    project.configure(
        server, task="deadly_task.Deadly", budget={"samples": 3}, engine={"ray": {"address": cluster.address, "verifiers": 2}}
    )
    done = project.run()
    assert done.code == 1
    assert "verifiers ended over the same" in done.err.splitlines()[-1]
    assert done.seconds < 100


DEADLY_TASK = """
import os
import sys

from axolotl_synthetic.tasks.math import Math


class Deadly(Math):
    def final_answer(self, text, question):
        if "ray" in sys.modules:
            os._exit(1)
        return super().final_answer(text, question)
"""
