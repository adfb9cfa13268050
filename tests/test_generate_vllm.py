"""Whole runs whose teacher is vLLM started by the run: a fake with its command line, and vLLM for CPUs if it is installed."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from fake_vllm import LAST_WORDS, install, started
from projects import Project, until

ROOT = Path(__file__).parents[1]
REAL = Path(os.environ.get("VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", seeds=320)


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    return found


def configure(project: Project, samples: int, **teacher: object) -> None:
    block = {"provider": "vllm", "model": "org/model", "replicas": 2, "base_url": None, **teacher}
    project.configure("", teacher=block, budget={"samples": samples})
    text = (project.folder / "config.yml").read_text()
    (project.folder / "config.yml").write_text(text.replace("    base_url: null\n", ""))


def test_a_run_starts_its_servers_shares_the_calls_and_ends_them(project, records):
    configure(project, 60)
    done = project.run()
    assert done.code == 0, done.err
    assert project.manifest["counts"]["accepted"] == 60
    assert project.ends(10)
    assert [one["gpus"] for one in started(records)] == ["0", "1"]
    answered = sorted(int(path.read_text()) for path in records.glob("*.count"))
    assert sum(answered) >= 55  # the last counts may not have been written
    assert answered[0] >= 15
    assert {model for [model] in project.ledger("SELECT DISTINCT model FROM calls")} == {"org/model"}
    assert "INFO loading org/model" in (project.out / "vllm-teacher-1.log").read_text()
    # A finished run starts nothing.
    assert project.run().code == 0
    assert len(started(records)) == 2


@pytest.mark.parametrize("when", ["loading", "calling"])
def test_nothing_outlives_a_run_that_is_killed(project, records, when):
    load = ["--load-seconds", 30] if when == "loading" else []
    configure(project, 300, args=load, concurrency=1)
    running = project.start()
    if when == "loading":
        assert until(lambda: any(records.glob("*.new")))
    else:
        assert until(lambda: any(int(path.read_text() or 0) for path in records.glob("*.count")))
    running.kill()
    running.wait()
    assert project.ends(15)


def test_an_interrupted_load_ends_the_servers(project, records):
    configure(project, 300, args=["--load-seconds", 30])
    running = project.start()
    assert until(lambda: any(records.glob("*.new")))
    running.signal(2)
    assert running.wait().code == 130
    assert project.ends(15)


def test_a_server_that_dies_while_it_loads_ends_the_run_with_its_last_words(project, records, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM", "dies")
    configure(project, 10)
    done = project.run()
    assert done.code == 3
    assert done.err.rstrip().endswith(LAST_WORDS)
    assert "Traceback" not in done.err
    assert project.ends(10)


def test_servers_that_end_during_the_run_are_told_of_and_what_was_paid_for_is_kept(project, records, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM", "ends")
    configure(project, 300, retries=0)
    done = project.run()
    assert done.code == 3
    assert "the last 20 candidates all failed" in done.err
    assert "vLLM ended during the run (exit code 9)" in done.err
    assert project.outcomes["ok"] >= 20
    monkeypatch.setenv("FAKE_VLLM", "")
    configure(project, 300)
    assert project.run().code == 0
    assert project.paid_twice == 0


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason=f"vLLM for CPUs is not set up in {REAL}: make .venv-vllm/.ready")
def test_the_real_vllm_serves_a_run_and_is_gone_afterwards(project, tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("student", ROOT / "examples" / "quickstart" / "student.py")
    assert spec is not None and spec.loader is not None
    student = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(student)
    model = tmp_path / "SmolLM2"
    model.mkdir()
    student.write(student.packaged_gguf(), model)
    # Gigabytes of keys and values, and one thread for each of two replicas on a small machine.
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    configure(
        project,
        10,
        model=str(model),
        python=str(REAL),
        replicas=1,
        args=["--max-model-len", 2048, "--enforce-eager"],
        concurrency=8,
        generation={"max_new_tokens": 96},
    )
    config = (project.folder / "config.yml").read_text()
    # A small model is seldom right: only test that it answers.
    (project.folder / "config.yml").write_text(config.replace("samples: 10", "queries: 40"))
    done = project.run(seconds=900)
    assert done.code == 0, done.err
    assert project.outcomes["ok"] >= 38
    assert project.ends(20)
    tokens, calls = project.ledger("SELECT sum(completion_tokens), count(*) FROM calls WHERE outcome = 'ok'")[0]
    assert 0 < tokens <= 96 * calls
    assert "Application startup complete" in (project.out / "vllm-teacher-1.log").read_text() or calls
