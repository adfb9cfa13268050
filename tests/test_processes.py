"""Commands in a process group of their own: what a launcher has started ends with it, and with whoever ran it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from axolotl_synthetic.processes import run_in_group

from projects import until

# As accelerate's launcher: it waits for a process that it has started, and dies without ending it.
LAUNCHER = "import subprocess, sys; subprocess.run(['sleep', '120'])"


def in_group(code: str) -> int:
    with open(os.devnull, "w") as output:
        return run_in_group([sys.executable, "-c", code], output=output, environment=os.environ)


def test_the_exit_code_is_that_of_the_command():
    assert in_group("raise SystemExit(7)") == 7


def test_a_command_that_a_signal_ends_has_its_negative_number():
    assert in_group("import os; os.kill(os.getpid(), 9)") == -9


def test_the_commands_output_goes_where_it_is_told_to(tmp_path):
    command = [sys.executable, "-c", "import sys; print(1); print(2, file=sys.stderr)"]
    with open(tmp_path / "log", "w") as output:
        assert run_in_group(command, output=output, environment=os.environ) == 0
    assert sorted((tmp_path / "log").read_text().split()) == ["1", "2"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_a_launcher_has_started_ends_with_whoever_ran_it(number):
    mark = os.urandom(8).hex()
    code = (
        "import os, sys; from axolotl_synthetic.processes import run_in_group\n"
        f"run_in_group([sys.executable, '-c', {LAUNCHER!r}], output=sys.stdout, environment=os.environ)"
    )
    ours = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "MARK": mark}, stderr=subprocess.DEVNULL)
    # Ours, the group's leader, the launcher and what it has started.
    assert until(lambda: len(marked(mark)) == 4)
    ours.send_signal(number)
    ours.wait()
    assert until(lambda: not marked(mark), 20)


def marked(mark: str) -> list[str]:
    found = []
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and f"MARK={mark}".encode() in (path / "environ").read_bytes():
                found.append(path.name)
        except OSError:
            pass
    return found
