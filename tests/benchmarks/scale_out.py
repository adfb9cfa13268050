"""`engine: ray` on simulated clusters of one, two and four nodes: start-up, calls per second, and verdicts per second.

A node claims one processor, but all nodes share this machine's. So the tables show the overhead of a cluster; verdicts scale only as far as
there are real processors.

    python tests/benchmarks/scale_out.py --growth 10000 40000

measures the numbers of plugin/docs/scale-out.md: what a call costs on disk, in memory and in processor time, by process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml
from contestants import CONCURRENCY, ROOT, Contestant
from measuring import TESTS, Server
from scenarios import LIMIT_SECONDS, Row
from task import MAX_TOKENS, MODEL, TEMPERATURE, questions

NODES = (1, 2, 4)
MOST_SEEDS = 1000
SQL_SEEDS = 200
NAME = "scale-out"
# Parts of the command lines of a run's processes; all others are `command`.
KINDS = ("cluster_process", "driver", "sql.worker", "verifier_process")


def scale_out(contestants: Sequence[Contestant], shrink: int) -> Iterator[Row]:
    try:
        import ray  # noqa: F401
    except ImportError:
        yield Row(NAME, "engine: ray", note="skipped: ray is not installed")
        return
    for latency, samples in (("instant", 10_000 // shrink), ("lognormal", 1_000 // shrink)):
        yield from _calls(latency, samples)
    with _sql_server() as base_url, _folder() as folder:
        yield from _verdicts("SQL", 4_000 // shrink, base_url, folder, write_sql(folder))
    with Server("instant", CONCURRENCY) as server, _folder() as folder:
        yield from _verdicts("checks that wait 20 ms", 800 // shrink, server.base_url, folder, write_waiting(folder))


def _calls(latency: str, samples: int) -> Iterator[Row]:
    with Server(latency, CONCURRENCY) as server, _folder() as folder:
        write_seeds(folder, min(samples, MOST_SEEDS))
        for nodes in (0, *NODES):
            name = f"{latency}, {'this process' if not nodes else _named(nodes)}"
            with _engine(nodes, nodes) as engine:
                server.reset()
                ended = run(folder / name, folder, engine, server.base_url, task="math", budget={"samples": samples})
            if ended.code:
                yield Row(NAME, name, samples, note=f"ended with {ended.code}: {ended.last_line}")
                continue
            started = ended.calls()
            yield Row(
                NAME, name, samples, len(started), ended.seconds,
                requests_per_second=(len(started) - 1) / (started[-1] - started[0]), cpu_seconds=sum(ended.cpu.values()),
                note=f"first call after {started[0] - ended.began:.1f} s",
            )  # fmt: skip


def _verdicts(what: str, samples: int, base_url: str, folder: Path, block: dict[str, Any]) -> Iterator[Row]:
    """Measure verdicts on replies that are already in the ledger: only verification runs."""
    block |= {"budget": {"queries": samples}}
    first = run(folder / "out", folder, "local", base_url, **block)
    if first.code:
        yield Row(NAME, what, samples, note=f"ended with {first.code}: {first.last_line}")
        return
    for verifiers in (0, *NODES):
        name = f"{what}, {'this process' if not verifiers else _named(verifiers)}"
        for path in (folder / "out").iterdir():
            if path.is_file() and not path.name.startswith("ledger.sqlite"):
                path.unlink()
        with _engine(verifiers, verifiers) as engine:
            ended = run(folder / "out", folder, engine, base_url, watch=True, **block)
        if ended.code or len(ended.verdicts) < 2:
            yield Row(NAME, name, samples, note=f"ended with {ended.code}: {ended.last_line}")
            continue
        (began, before), (until, seen) = ended.verdicts[0], ended.verdicts[-1]
        note = f"{(seen - before) / (until - began):,.0f} verdicts a second"
        if not verifiers and (spent := ended.cpu["sql.worker"]):
            note += f", {1000 * spent / samples:.1f} ms of SQL's processor time each"
        yield Row(NAME, name, samples, 0, ended.seconds, cpu_seconds=sum(ended.cpu.values()), note=note)


def _named(count: int) -> str:
    return "1 node, 1 verifier" if count == 1 else f"{count} nodes, {count} verifiers"


@contextmanager
def _engine(nodes: int, verifiers: int) -> Iterator[Any]:
    if not nodes:
        yield "local"
        return
    sys.path.append(str(TESTS))
    from ray_cluster import RayCluster

    # The nodes' workers run the same checkout.
    os.environ["PYTHONPATH"] = str(ROOT / "plugin")
    cluster = RayCluster(nodes=0)
    try:
        for _ in range(nodes):
            cluster.add_node(cpus=1)
        yield {"ray": {"address": cluster.address, "verifiers": verifiers}}
    finally:
        cluster.close()


@dataclass
class Ended:
    """A measured run: Unix time of its start, its seconds, and each kind of process's processor time and largest memory."""

    out: Path
    began: float
    seconds: float = 0.0
    code: int = 0
    last_line: str = ""
    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    memory: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    verdicts: list[tuple[float, int]] = field(default_factory=list)

    def calls(self) -> list[float]:
        """Return when each call was sent, ascending."""
        with closing(sqlite3.connect(self.out / "ledger.sqlite")) as ledger:
            return [row[0] for row in ledger.execute("SELECT started FROM calls ORDER BY started")]


def run(out: Path, folder: Path, engine: Any, base_url: str, *, watch: bool = False, **block: Any) -> Ended:
    """Run `generate` of this checkout once. `watch` records the number of verdicts over time."""
    generation = {"temperature": TEMPERATURE, "max_new_tokens": MAX_TOKENS}
    config = {
        "seeds": {"path": str(folder / "seeds.jsonl")},
        "strategy": "answer_augmentation",
        "teacher": {"model": MODEL, "base_url": base_url, "concurrency": CONCURRENCY, "generation": generation},
        "output_dir": str(out),
        "engine": engine,
        **block,
    }
    (folder / "config.yml").write_text(yaml.safe_dump({"synthetic": config}))
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'plugin'}{os.pathsep}{folder}", "OPENAI_API_KEY": "", "HF_HUB_OFFLINE": "1"}
    ended = Ended(out, time.time())
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "axolotl_synthetic", "generate", str(folder / "config.yml")],
            env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        seen: dict[int, tuple[str, float]] = {}
        while process.poll() is None:
            if time.time() - ended.began > LIMIT_SECONDS:
                process.kill()
            _look(process.pid, ended, seen)
            if watch:
                _look_at_verdicts(out, ended)
            time.sleep(0.1)
    for kind, seconds in seen.values():
        ended.cpu[kind] += seconds
    ended.seconds = time.time() - ended.began
    ended.code = process.returncode
    ended.last_line = (folder / "log").read_text(errors="replace").strip().rpartition("\n")[2]
    return ended


def _look(pid: int, ended: Ended, seen: dict[int, tuple[str, float]]) -> None:
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return
    for process in processes:
        try:
            command = " ".join(process.cmdline())
            kind = next((name for name in KINDS if name in command), "command")
            times = process.cpu_times()
            if kind == "driver" and _is_a_fork(process):
                # The process that makes the calls has a connection for each.
                kind = "generate" if process.num_fds() > CONCURRENCY or seen.get(process.pid, ("",))[0] == "generate" else "verify"
            seen[process.pid] = kind, times.user + times.system
            ended.memory[kind] = max(ended.memory[kind], process.memory_info().rss)
        except psutil.Error:
            continue


def _is_a_fork(process: psutil.Process) -> bool:
    """Return whether a process is a step of the pipeline, which is forked from the process that runs it."""
    parent = process.parent()
    return parent is not None and parent.cmdline() == process.cmdline()


def _look_at_verdicts(out: Path, ended: Ended) -> None:
    try:
        with closing(sqlite3.connect(f"file:{out / 'ledger.sqlite'}?mode=ro", uri=True)) as ledger:
            (seen,) = ledger.execute("SELECT seen FROM progress").fetchone()
            (began,) = ledger.execute("SELECT max(value) FROM json_each((SELECT value FROM meta WHERE key = 'runs'))").fetchone()
    except (sqlite3.Error, TypeError):
        return
    if seen and began and began >= ended.began and (not ended.verdicts or seen > ended.verdicts[-1][1]):
        ended.verdicts.append((time.time(), seen))


def write_seeds(folder: Path, count: int) -> None:
    with (folder / "seeds.jsonl").open("w") as file:
        for number, question in enumerate(questions(count)):
            file.write(json.dumps({"question": question, "answer": f"#### {(2 + number % 997) * (2 + number // 997)}"}) + "\n")


def write_sql(folder: Path) -> dict[str, Any]:
    """Write a database and seeds that ask about it; return the block of a run with them."""
    sys.path.append(str(TESTS))
    from shop import make_shop

    make_shop(folder / "shop.sqlite")
    with (folder / "seeds.jsonl").open("w") as file:
        for number in range(SQL_SEEDS):
            sql = f"SELECT name FROM singer WHERE age > {number}"
            file.write(json.dumps({"question": f"Which singers are older than {number}?", "answer": sql, "database": "shop"}) + "\n")
    fields = {"question": "question", "answer": "answer", "database": "database"}
    seeds = {"path": str(folder / "seeds.jsonl"), "fields": fields, "databases": str(folder / "{database}.sqlite")}
    return {"task": "text_to_sql", "seeds": seeds, "verify": ["format", "execution", "final_answer"]}


WAITING_TASK = """
import time

from axolotl_synthetic.tasks.math import Math


class Waiting(Math):
    def final_answer(self, text, question):
        time.sleep(0.02)
        return super().final_answer(text, question)
"""


def write_waiting(folder: Path) -> dict[str, Any]:
    """Write a user's own task whose checks wait rather than work; return the block of a run with it.

    So any number of verifiers may wait on a machine with two processors.
    """
    write_seeds(folder, 20)
    (folder / "waiting_task.py").write_text(WAITING_TASK)
    return {"task": "waiting_task.Waiting", "verify": [{"length": {}}]}


@contextmanager
def _sql_server() -> Iterator[str]:
    sys.path.append(str(TESTS))
    from fake_server import FakeServer

    draw = random.Random(0)

    def reply(body: dict[str, Any]) -> str:
        age = int(body["messages"][-1]["content"].rpartition("older than ")[2].split("?")[0])
        # Other text each time, so that no verdict is cached.
        extra = draw.randrange(10**9)
        return f"```sql\nSELECT T.name FROM singer AS T WHERE NOT T.age <= {age} AND {extra} = {extra}\n```"

    with FakeServer(reply) as server:
        yield server.base_url


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="scale-out-") as name:
        yield Path(name)


def growth(sizes: Sequence[int]) -> None:
    """Print the cost of a call, by process, at each size."""
    with Server("instant", CONCURRENCY) as server, _folder() as folder:
        write_seeds(folder, MOST_SEEDS)
        for size in sizes:
            server.reset()
            ended = run(folder / f"{size}", folder, "local", server.base_url, task="math", budget={"samples": size})
            files = {path.name: path.stat().st_size for path in ended.out.iterdir() if path.is_file()}
            print(f"{size:,} samples: {ended.seconds:.1f} s, exit code {ended.code}")
            print("  bytes a call:", {name: round(bytes_ / size) for name, bytes_ in files.items() if bytes_ > size})
            print("  ms of processor a call:", {kind: round(1000 * seconds / size, 3) for kind, seconds in ended.cpu.items()})
            print("  largest memory, MB:", {kind: round(bytes_ / 2**20) for kind, bytes_ in ended.memory.items()}, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--growth", type=int, nargs="+", help="so many samples each")
    options = parser.parse_args()
    if options.growth:
        growth(options.growth)
    else:
        for row in scale_out((), 1):
            print(row, flush=True)
