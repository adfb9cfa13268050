"""Guard that runs one command, which never outlives the run with all that it starts: `guard.py LOG COMMAND…`.

The run holds the other end of this process's standard input. When it closes, however the run ended, the guard asks the command and its
descendants to end, and kills those that do not. On Linux, orphaned descendants become children of the guard, so none escapes. It imports
only the standard library and is run as a file, so that it starts at once.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# Seconds that the command may take to end by itself.
GRACE = 5.0
POLL_SECONDS = 0.1
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def main(log: str, *command: str) -> int:
    """Run the command until it ends or standard input does; return its exit code."""
    # The run handles Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    guard = os.getpid()

    def die_with_guard() -> None:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(1)

    with open(log, "ab", buffering=0) as output:
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, preexec_fn=die_with_guard
            )
        except OSError as error:
            output.write(f"{command[0]}: {error.strerror}\n".encode())
            return 127
        while child.poll() is None:
            if select.select([sys.stdin], [], [], POLL_SECONDS)[0] and not os.read(sys.stdin.fileno(), 1024):
                break
        end_all(child)
    return child.returncode or 0


def end_all(child: subprocess.Popen[bytes]) -> None:
    """Ask the command and its descendants to end, and kill those left after GRACE seconds."""
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        until = time.monotonic() + patience
        asked: set[int] = set()
        if child.poll() is None:
            # Signal the command's group too: the kernel may list no descendants.
            with suppress(OSError):
                os.killpg(child.pid, number)
        while ((left := set(descendants(os.getpid()))) or child.poll() is None) and time.monotonic() < until:
            for process in left - asked:
                with suppress(OSError):
                    os.kill(process, number)
            asked |= left
            _reap(child.pid)
            time.sleep(POLL_SECONDS / 5)
    child.poll()


def descendants(process: int) -> Iterator[int]:
    """Yield the ids of a process's living descendants; none where the kernel does not list them."""
    for thread in Path(f"/proc/{process}/task").glob("*"):
        with suppress(OSError):
            for name in (thread / "children").read_text().split():
                if not _is_dead(int(name)):
                    yield int(name)
                yield from descendants(int(name))


def _is_dead(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def _reap(child: int) -> None:
    """Reap orphans that have ended; `subprocess` reaps the command itself."""
    for name in Path(f"/proc/{os.getpid()}/task/{os.getpid()}").glob("children"):
        for process in map(int, name.read_text().split()):
            if process != child:
                with suppress(OSError):
                    os.waitpid(process, os.WNOHANG)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
