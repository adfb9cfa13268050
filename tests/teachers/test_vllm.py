"""vLLM started by the run: starting, awaiting and ending its servers, with a fake that has the real one's command line."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from axolotl_synthetic import teachers
from axolotl_synthetic.config import Generation, VLLMModel, load_settings
from axolotl_synthetic.errors import ConfigError, ServiceError
from axolotl_synthetic.records import Reply

from fake_vllm import LAST_WORDS, install, started
from projects import until

MODEL = "org/model"


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return found


def settings(**more: Any) -> VLLMModel:
    return VLLMModel(provider="vllm", model=MODEL, **more)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def processes(records: Path) -> list[int]:
    return [one[name] for one in started(records) for name in ("process", "worker")]


def test_the_servers_answer_and_are_gone_afterwards_with_all_that_they_started(records, tmp_path):
    async def ask(model: Any) -> list[Any]:
        teacher = teachers.open_teacher(model)
        chats = [({"role": "user", "content": f"Ada has {n} jars with 10 cards each. How many?"},) for n in range(20)]
        try:
            return await asyncio.gather(*(teacher.complete(chat, Generation(), 0) for chat in chats))
        finally:
            await teacher.close()

    with teachers.serve(settings(replicas=2), tmp_path) as served:
        assert [url.startswith("http://127.0.0.1:") for url in served.base_url] == [True, True]
        assert all(isinstance(reply, Reply) for reply in asyncio.run(ask(served)))
        assert until(lambda: all(int(path.read_text() or 0) >= 5 for path in records.glob("*.count")), 5)
        assert all(is_alive(process) for process in processes(records))
    assert not any(is_alive(process) for process in processes(records))
    assert [one["host"] for one in started(records)] == ["127.0.0.1", "127.0.0.1"]
    assert "INFO loading org/model" in (tmp_path / "vllm-teacher-1.log").read_text()
    assert (tmp_path / "vllm-teacher-2.log").exists()


def test_replicas_have_gpus_of_their_own_and_the_augmenters_come_behind(records, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,6,7,GPU-8")
    teacher = settings(replicas=2, tensor_parallel=2, args=["--max-model-len", 4096])
    with teachers.serve(teacher, tmp_path), teachers.serve(settings(), tmp_path, "augmenter", [teacher]):
        found = started(records)
    assert [(one["gpus"], one["parallel"]) for one in found] == [("3,5", 2), ("6,7", 2), ("GPU-8", 1)]
    assert found[0]["arguments"][-6:-4] == ["--max-model-len", "4096"]
    assert (tmp_path / "vllm-augmenter-1.log").exists()


def test_too_few_gpus_are_told_before_a_server_is_started(records, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    said = "synthetic.teacher.replicas: 2 with tensor_parallel 2 need 4 GPUs; 3 can be seen here: lower"
    with pytest.raises(ConfigError, match=said), teachers.serve(settings(replicas=2, tensor_parallel=2), tmp_path):
        pass
    said = "synthetic.augmenter.replicas: 1 with tensor_parallel 1 need 1 GPU; 3 can be seen here and 3 are the teacher's"
    with pytest.raises(ConfigError, match=said), teachers.serve(settings(), tmp_path, "augmenter", [settings(replicas=3)]):
        pass
    said = "synthetic.student.replicas: 1 with tensor_parallel 1 need 1 GPU; 3 can be seen here and 3 are the other models'"
    with pytest.raises(ConfigError, match=said), teachers.serve(settings(), tmp_path, "student", [settings(replicas=2), settings()]):
        pass
    assert started(records) == []


def test_without_gpus_the_variable_is_left_alone(records, tmp_path):
    with teachers.serve(settings(), tmp_path):
        assert started(records)[0]["gpus"] is None


def test_the_python_of_another_environment_serves_without_what_is_of_this_one(records, tmp_path, monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", "sk-that-it-would-want-of-us")
    monkeypatch.setenv("PYTHONPATH", "/of/another/python")
    with teachers.serve(settings(python=str(tmp_path / "bin" / "python")), tmp_path):
        [one] = started(records)
    assert one["arguments"][:4] == ["-m", "vllm.entrypoints.openai.api_server", "--model", MODEL]
    assert not {"VLLM_API_KEY", "PYTHONPATH"} & set(one["environment"])


@pytest.mark.parametrize(
    ("python", "error", "said"),
    [("python-without", ServiceError, "has no vLLM; .* -m pip install vllm"), ("none", ConfigError, "No such file")],
)
def test_a_python_without_vllm_is_one_line_with_what_to_install(records, tmp_path, python, error, said):
    with pytest.raises(error, match=said), teachers.serve(settings(python=str(tmp_path / "bin" / python)), tmp_path):
        pass


def test_a_missing_vllm_is_one_line_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceError, match=r"neither in PATH nor in this environment; install it into") as caught:
        with teachers.serve(settings(), tmp_path):
            pass
    assert "\n" not in str(caught.value)


def test_a_server_that_dies_while_it_loads_shows_the_end_of_its_log(records, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM", "dies")
    with pytest.raises(ServiceError) as caught, teachers.serve(settings(replicas=2), tmp_path):
        pass
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("vLLM ended while it started (exit code 1); correct `model` or `args` by the end of its log ")
    assert lines[-1].strip() == LAST_WORDS
    assert caught.value.exit_code == 3


def test_a_server_that_is_never_ready_is_given_up_and_ended(records, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM", "hangs")
    with pytest.raises(ServiceError, match=r"was not ready after 1.5 s \(raise `start_timeout`\)"):
        with teachers.serve(settings(start_timeout=1.5), tmp_path):
            pass
    assert len(processes(records)) == 2
    assert not any(is_alive(process) for process in processes(records))


SCRIPT = """
import sys, time
from pathlib import Path
from axolotl_synthetic import teachers
from axolotl_synthetic.config import VLLMModel
with teachers.serve(VLLMModel(provider="vllm", model="org/model", replicas=2), Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("stubborn", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_servers_do_not_outlive_a_run_that_is_killed(records, tmp_path, monkeypatch, stubborn):
    if stubborn:
        monkeypatch.setenv("FAKE_VLLM", "stubborn")
    run = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert run.stdout.readline() == "ready\n"
    found = processes(records)
    assert [is_alive(process) for process in found] == [True] * 4
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    assert until(lambda: not any(is_alive(process) for process in found), 15)


def test_servers_die_with_their_guard(records, tmp_path):
    with teachers.serve(settings(), tmp_path):
        [one] = started(records)
        guard = int(Path(f"/proc/{one['process']}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(guard, signal.SIGKILL)
        assert until(lambda: not is_alive(one["process"]), 5)
    if is_alive(one["worker"]):  # the kernel killed its parent, which could not end it
        os.kill(one["worker"], signal.SIGKILL)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"args": ["--port", 8000]}, "must not hold `--port`: the run decides it"),
        ({"args": ["--api-key=sk-1"]}, "must not hold `--api-key`"),
        ({"args": ["--hf-token", "hf_recognisable"]}, "must not hold `--hf-token`: keys are never written down"),
        ({"args": ["--tensor_parallel_size=2"]}, "write `tensor_parallel`"),
        ({"args": ["8192"]}, "must be what stands behind the model on the command line"),
        ({"replicas": 0}, "greater than or equal to 1"),
        ({"base_url": "http://x/v1"}, "`base_url` is for `provider: openai`"),
    ],
)
def test_settings_that_the_run_decides_are_refused(block, said):
    with pytest.raises(ConfigError) as caught:
        load_settings({"teacher": {"provider": "vllm", "model": MODEL, **block}})
    assert said in str(caught.value)
    assert "recognisable" not in str(caught.value)


def test_a_wait_for_servers_shows_how_far_they_are(records, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("axolotl_synthetic.terminal.LINE_SECONDS", 0.2)
    with teachers.serve(settings(args=["--load-seconds", "1"]), tmp_path):
        pass
    assert "starting vLLM for the teacher: 0/1 servers · loading org/model" in capsys.readouterr().err


def test_the_end_takes_no_longer_than_the_servers_need(records, tmp_path):
    with teachers.serve(settings(replicas=2), tmp_path):
        began = time.monotonic()
    assert time.monotonic() - began < 4
