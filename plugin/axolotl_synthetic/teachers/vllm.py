"""vLLM on this machine while a run lasts: a server for each replica, on its own GPUs, at 127.0.0.1.

`endpoints.py` spreads calls over them as over any servers. They run below `guard.py`, which ends them with the run. vLLM pins its own torch
and often has an environment of its own. It comes from `python:` (run as `PYTHON -m vllm.entrypoints.openai.api_server`), else from the
`vllm` in PATH, else from this environment.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from axolotl_synthetic import terminal
from axolotl_synthetic.config import VLLMModel
from axolotl_synthetic.errors import ConfigError, ServiceError, StorageError
from axolotl_synthetic.records import Role
from axolotl_synthetic.teachers import guard
from axolotl_synthetic.teachers.openai import ServedModel
from axolotl_synthetic.wording import number_of

MODULE = "vllm.entrypoints.openai.api_server"
INSTALL = (
    "install it into an environment of its own (`python -m venv vllm-env && vllm-env/bin/pip install vllm`) and write `python:"
    " vllm-env/bin/python`, or put its `vllm` into PATH"
)
POLL_SECONDS = 0.2
# Seconds for one look at a server, and for a server to end, which exceeds the guard's own patience.
LOOK_SECONDS, END_SECONDS = 2.0, 3 * guard.GRACE
# Lines, characters of a line and bytes that are read of a dead server's log.
LAST_LINES, LONGEST_LINE, MOST_READ = 15, 300, 64 * 1024
# Characters of a log line beside the progress, and the line's prefix: process, level, time, file.
SHOWN = 100
_PREFIX = re.compile(r"^(?:\([^)]*\) )?(?:(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) )?(?:\d\d-\d\d [\d:]+ )?(?:\[[^\]]*\] )?")
# Variables that vLLM must not inherit: another Python's packages, and a key that the server would then require from us.
NOT_ITS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VLLM_API_KEY")
# A variable that users do not set: the user's own key must not reach this server.
KEY = "AXOLOTL_SYNTHETIC_VLLM_KEY"


@dataclass
class Replica:
    """One server: its guard's process, its address and its log."""

    process: subprocess.Popen[bytes]
    host: str
    port: int
    log: Path
    is_ready: bool = False

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def answers(self) -> bool:
        """Return whether the server is reachable and healthy."""
        # Use no proxy for our own servers.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.url}/health", timeout=LOOK_SECONDS) as response:
                return bool(response.status == 200)
        except OSError:  # base class of urllib's errors
            return False

    def last_lines(self) -> list[str]:
        """Return the end of its log without terminal control sequences and empty lines."""
        with suppress(OSError):
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - MOST_READ))
                lines = file.read().decode(errors="replace").splitlines()
            return [terminal.shown(line.rstrip())[:LONGEST_LINE] for line in lines if line.strip()][-LAST_LINES:]
        return []


def gpus_of(settings: object) -> int:
    """Return the number of GPUs that a model's servers use."""
    return settings.tensor_parallel * settings.replicas if isinstance(settings, VLLMModel) else 0


@contextmanager
def serve(settings: VLLMModel, folder: Path, role: Role = "teacher", taken: int = 0) -> Iterator[ServedModel]:
    """Start the servers, wait until they are ready, yield the settings to reach them, and stop them.

    Args:
        settings: the model.
        folder: where the servers write their logs.
        role: the model's role.
        taken: number of GPUs that another model's servers use.

    Raises:
        ConfigError: if there are too few GPUs or no such Python.
        ServiceError: if vLLM is not installed or a server does not start; the message has the end of its log.
    """
    command = command_of(settings, role)
    devices = _devices(settings, role, taken)
    replicas: list[Replica] = []
    with ExitStack() as stack:
        stack.callback(end, replicas)
        for number in range(settings.replicas):
            log = folder / f"vllm-{role}-{number + 1}.log"
            replicas.append(start(command, log, {"CUDA_VISIBLE_DEVICES": devices[number]} if devices else {}))
        _wait(settings, role, replicas)
        yield served(settings, [replica.url for replica in replicas])


def served(settings: VLLMModel, urls: Sequence[str]) -> ServedModel:
    """Return the settings to reach servers at these addresses."""
    shared = settings.model_dump(include={*ServedModel.model_fields} - {"provider", "base_url"})
    return ServedModel(**shared, base_url=[f"{url}/v1" for url in urls], api_key_env=KEY)


def command_of(settings: VLLMModel, role: Role) -> list[str]:
    """Return vLLM's command line without host and port.

    Raises:
        ConfigError: if there is no such Python.
        ServiceError: if vLLM is not installed.
    """
    return [*_program(settings, role), *_arguments(settings)]


def _program(settings: VLLMModel, role: Role) -> list[str]:
    if settings.python is not None:
        python = Path(settings.python).expanduser()
        look = [str(python), "-c", "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"]
        try:
            missing = subprocess.run(look, stdin=subprocess.DEVNULL, capture_output=True, env=_environment(), check=False).returncode
        except OSError as error:
            raise ConfigError(f"synthetic.{role}.python: {settings.python}: {error.strerror}; name the Python of an environment") from error
        if missing:
            raise ServiceError(f"synthetic.{role}.python: {settings.python} has no vLLM; {settings.python} -m pip install vllm")
        return [str(python.absolute()), "-m", MODULE, "--model", settings.model]
    if (executable := shutil.which("vllm")) is not None:
        return [executable, "serve", settings.model]
    if importlib.util.find_spec("vllm") is not None:
        return [sys.executable, "-m", MODULE, "--model", settings.model]
    raise ServiceError(f"`provider: vllm` needs vLLM, which is neither in PATH nor in this environment; {INSTALL}")


def _arguments(settings: VLLMModel) -> list[str]:
    """Return the arguments after the model, without host and port; the user's own come last, so that they take precedence."""
    parallel = [] if settings.tensor_parallel == 1 else ["--tensor-parallel-size", str(settings.tensor_parallel)]
    # Without this, a line for each call would make a log of gigabytes.
    return [*parallel, "--uvicorn-log-level", "warning", *settings.args]


def _devices(settings: VLLMModel, role: Role, taken: int) -> list[str] | None:
    """Return a value of CUDA_VISIBLE_DEVICES for each replica, None on a machine without GPUs.

    Raises:
        ConfigError: if there are too few GPUs.
    """
    visible = visible_gpus()
    if not visible:
        return None
    size, wanted = settings.tensor_parallel, gpus_of(settings)
    if taken + wanted > len(visible):
        whose = "teacher's" if role == "augmenter" else "other models'"
        others = f" and {taken} are the {whose}" if taken else ""
        raise ConfigError(
            f"synthetic.{role}.replicas: {settings.replicas} with tensor_parallel {size} need {number_of(wanted, 'GPU')}; {len(visible)}"
            f" can be seen here{others}: lower `replicas` or `tensor_parallel`, or correct CUDA_VISIBLE_DEVICES"
        )
    return [",".join(visible[at : at + size]) for at in range(taken, taken + wanted, size)]


def visible_gpus() -> list[str]:
    """Return the names of usable GPUs: those in CUDA_VISIBLE_DEVICES, else all that the driver lists."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() and name.strip() != "-1"]
    if (tool := shutil.which("nvidia-smi")) is None:
        return []
    listed = subprocess.run([tool, "-L"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return [str(number) for number, line in enumerate(line for line in listed.stdout.splitlines() if line.startswith("GPU "))]


def start(command: Sequence[str], log: Path, variables: Mapping[str, str], host: str = "127.0.0.1") -> Replica:
    """Start one server below a guard.

    Args:
        command: from `command_of`.
        log: file for its output.
        variables: variables to add to its environment.
        host: address of this machine to listen on.

    Raises:
        StorageError: if the log cannot be written.
    """
    with socket.socket() as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    whole = [*command, "--host", host, "--port", str(port)]
    try:
        log.write_text(f"{' '.join(whole)}\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{log}: {error.strerror}; make it writable, or choose another output_dir") from error
    process = subprocess.Popen(
        [sys.executable, "-P", guard.__file__, str(log.absolute()), *whole],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environment() | dict(variables),
        start_new_session=True,
    )
    return Replica(process, host, port, log)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in NOT_ITS}


def _wait(settings: VLLMModel, role: Role, replicas: Sequence[Replica]) -> None:
    """Wait until all servers answer, with progress on the terminal."""
    until = time.monotonic() + settings.start_timeout

    def look() -> terminal.Stand:
        waiting = next((replica for replica in replicas if not replica.is_ready), replicas[-1])
        ready = sum(replica.is_ready for replica in replicas)
        return terminal.Stand(ready, len(replicas), "servers", _PREFIX.sub("", "".join(waiting.last_lines()[-1:]))[:SHOWN], timed=False)

    with terminal.watched(f"starting vLLM for the {role}", look):
        while not all(replica.is_ready for replica in replicas):
            for replica in replicas:
                if (code := replica.process.poll()) is not None:
                    raise ServiceError(died(replica, f"ended while it started (exit code {code})"))
                replica.is_ready = replica.is_ready or replica.answers()
            if time.monotonic() > until:
                late = next(replica for replica in replicas if not replica.is_ready)
                raise ServiceError(died(late, f"was not ready after {settings.start_timeout:g} s (raise `start_timeout`)"))
            time.sleep(POLL_SECONDS)


def died(replica: Replica, what: str) -> str:
    """Return the message about a dead or late server, with the end of its log."""
    lines = "".join(f"\n    {line}" for line in replica.last_lines())
    return f"vLLM {what}; correct `model` or `args` by the end of its log {replica.log}:{lines}"


def end(replicas: Sequence[Replica]) -> None:
    """Stop all servers at the same time, and report one that had ended by itself."""
    for replica in replicas:
        if replica.is_ready and (code := replica.process.poll()) is not None:
            terminal.notice(f"vLLM ended during the run (exit code {code}); the end of its log {replica.log}: {replica.last_lines()[-1:]}")
        assert replica.process.stdin is not None
        with suppress(OSError):
            replica.process.stdin.close()
    for replica in replicas:
        try:
            replica.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            replica.process.kill()  # the server dies with its guard
            replica.process.wait()
