"""Start processes that end with ours, and that take no part in a distributed training. Imports next to nothing."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import IO

# What torchrun and accelerate leave in the environment of a rank: a child with them would wait for its peers.
RANK_VARIABLES = frozenset(
    {"RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE"}
    | {"ROLE_NAME", "MASTER_ADDR", "MASTER_PORT"}
)
RANK_PREFIXES = ("ACCELERATE_", "TORCHELASTIC_", "FSDP_", "PARALLELISM_CONFIG_")
PR_SET_PDEATHSIG = 1
# Seconds that a group has to end after SIGTERM.
GRACE_SECONDS = 5.0


def die_with(parent: int, number: int = signal.SIGKILL) -> None:
    """Have the kernel end this process when its parent ends (Linux), so that a killed run leaves nothing behind that goes on.

    Args:
        parent: its process id, noted before the fork: it may have ended since.
        number: the signal that it gets; SIGTERM lets it finish what it has paid for.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os._exit(1)


def without_ranks(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a process that is no rank of a training."""
    kept = {name: value for name, value in environment.items() if name not in RANK_VARIABLES and not name.startswith(RANK_PREFIXES)}
    # accelerate and torchrun give each rank one thread; the child has the machine to itself.
    if len(kept) < len(environment) and kept.get("OMP_NUM_THREADS") == "1":
        del kept["OMP_NUM_THREADS"]
    return kept


def run_in_group(command: Sequence[str], *, output: IO[str], environment: Mapping[str, str]) -> int:
    """Run a command in a process group of its own, all of which ends with this process, however that one ends.

    A launcher such as accelerate starts further processes and dies without ending them, so a signal to the command alone is not enough.

    Args:
        command: program and arguments.
        output: takes standard output and standard error.
        environment: of the command.

    Returns:
        The exit code; negative for a signal.
    """
    # The kernel closes our end of the pipe when this process is gone; then the leader of the group kills the group.
    leader = subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, *command],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        start_new_session=True,
    )
    try:
        return leader.wait()
    finally:
        if leader.poll() is None:
            _signal_group(leader.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                leader.wait(timeout=GRACE_SECONDS)
        _signal_group(leader.pid, signal.SIGKILL)
        leader.wait()
        assert leader.stdin is not None
        leader.stdin.close()


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Have SIGTERM end what is done here as Ctrl-C does, such as a training."""

    def handle(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _lead(command: Sequence[str]) -> None:
    """Lead the group of `run_in_group`: run the command, and kill the whole group once standard input ends."""

    def kill_without_parent() -> None:
        os.read(0, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=kill_without_parent, daemon=True).start()
    code = subprocess.call(command, stdin=subprocess.DEVNULL)
    if code < 0:
        with suppress(OSError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code & 0xFF)  # the thread still reads


if __name__ == "__main__":
    _lead(sys.argv[1:])
