"""A broken thread or process ends the run with one message, within seconds: nothing waits in vain."""

from __future__ import annotations

import asyncio
import resource
import threading
from pathlib import Path

import pytest
import yaml

from axolotl_synthetic.config import load_settings
from axolotl_synthetic.ledger import Ledger
from axolotl_synthetic.pipelines import engine as engine_module
from axolotl_synthetic.pipelines.engine import Engine
from axolotl_synthetic.pipelines.job import Job
from axolotl_synthetic.prepare import prepare
from axolotl_synthetic.records import Candidate

from fake_server import FakeServer
from projects import Done, Project

# Detects a hang; a run of this size takes a few seconds on an idle machine.
SECONDS = 120

TASK = '''
from dataclasses import dataclass, field, replace

from axolotl_synthetic.records import Question
from axolotl_synthetic.tasks.math import Math


@dataclass(frozen=True)
class Marked(Question):
    """A question with something in it that no other process can be given."""
    mark: object = field(default=None, compare=False)


def unpickled(*values):
    raise LookupError("no such registry")


class Odd(Question):
    """A question that pickles and cannot be read again."""
    def __reduce__(self):
        return unpickled, ()


class Unpicklable(Math):
    def read_rephrase(self, reply, question):
        found = super().read_rephrase(reply, question)
        return None if found is None else Marked(found.text, mark=lambda: None)


class Unreadable(Math):
    def read_rephrase(self, reply, question):
        found = super().read_rephrase(reply, question)
        return None if found is None else Odd(found.text)
'''


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def run_with_open_files(project: Project, soft: int, hard: int) -> Done:
    """Run `generate` with these limits of open files."""
    return project.run(seconds=SECONDS, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))


def many(project: Project, concurrency: int) -> FakeServer:
    server = FakeServer(latency=2.0, slots=None)
    project.write_seeds(range(1400))
    project.configure(server, teacher={"concurrency": concurrency, "retries": 2}, budget={"samples": 1200})
    return server


def test_a_soft_limit_of_open_files_is_raised_for_the_connections_asked_for(project):
    with many(project, 1010) as server:
        done = run_with_open_files(project, 1024, 4096)
    assert done.code == 0, done.err
    assert server.peak > 950
    assert project.manifest["counts"]["accepted"] == 1200
    assert "open files" not in done.err


def test_with_fewer_open_files_than_connections_fewer_are_opened_and_the_user_is_told(project):
    with many(project, 1010) as server:
        done = run_with_open_files(project, 1024, 1024)
    assert done.code == 0, done.err
    # 1,024 minus the 100 that the run opens besides its connections.
    assert "synthetic.teacher.concurrency: 1010: at most 924 calls are open at once" in done.err
    assert "ulimit -n" in done.err
    assert server.peak <= 924
    assert project.manifest["counts"]["accepted"] == 1200
    assert project.manifest["counts"]["failed"] == 0


@pytest.mark.parametrize(("task", "because"), [("Unpicklable", "lambda"), ("Unreadable", "no such registry")])
def test_a_question_that_cannot_be_handed_to_another_process_ends_the_run_with_one_message(project, task, because):
    (project.folder / "odd_tasks.py").write_text(TASK, encoding="utf-8")
    with FakeServer() as server:
        project.configure(server, task=f"odd_tasks.{task}", strategy="question_rephrase")
        done = project.run(seconds=SECONDS)
    assert done.code == 2, (done.err, done.out)
    assert "synthetic.task" in done.err
    assert because in done.err
    assert "module" in done.err
    assert done.err.count("axolotl-synthetic:") == 1
    assert "Traceback" not in done.err
    assert project.ends()


def job_of(project: Project, folder: Path, most: int | None = None) -> Job:
    """Return a job for an `Engine` in this process, by the project's config."""
    settings = load_settings(yaml.safe_load((project.folder / "config.yml").read_text())["synthetic"])
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.begin_run()
    return Job(
        settings=settings,
        models={"teacher": settings.teacher, "augmenter": settings.teacher},  # type: ignore[dict-item]
        seeds=prepare(settings).seeds.seeds,
        shares={"answer_augmentation": 1.0},
        ledger=folder / "ledger.sqlite",
        spool=folder / "spool",
        most_candidates=most,
    )


@pytest.mark.parametrize("broken", ["emit", "watch"])
def test_a_task_of_the_engine_that_breaks_ends_the_run(project, tmp_path, monkeypatch, broken):
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with FakeServer() as server:
        project.configure(server)
        job = job_of(project, tmp_path)

        def breaks(*_: object) -> None:
            raise LookupError("no such place")

        # One thread passes a candidate on, the other checks for a request to stop; both errors were once lost silently.
        engine = Engine(job, breaks if broken == "emit" else lambda _: None, threading.Event())
        if broken == "watch":
            monkeypatch.setattr(Ledger, "is_asked_to_stop", breaks)
        asyncio.run(asyncio.wait_for(engine.run(), SECONDS))
    assert "broke the run: LookupError: no such place" in str(engine.error)


def test_calls_wait_for_verification_that_is_too_far_behind(project, tmp_path, monkeypatch):
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setattr(engine_module, "MOST_UNJUDGED", 30)
    with FakeServer() as server:
        project.configure(server, budget={"queries": 1000})
        job = job_of(project, tmp_path, most=100)
        emitted: list[Candidate] = []

        async def judge_late() -> None:
            with Ledger(job.ledger) as ledger:
                while len(emitted) < 100:
                    at_rest = len(emitted)
                    await asyncio.sleep(0.5)
                    if len(emitted) == at_rest:
                        rests.append(at_rest)
                        ledger.report(seen=at_rest)

        async def both() -> None:
            await asyncio.gather(Engine(job, emitted.append, threading.Event()).run(), judge_late())

        rests: list[int] = []
        asyncio.run(asyncio.wait_for(both(), SECONDS))
    assert rests == [30, 60, 90]
    assert len(server.calls) == 100
