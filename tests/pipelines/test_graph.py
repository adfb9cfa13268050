"""The processes of a pipeline end with the command that started them."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from multiprocessing.process import BaseProcess

import pytest

from axolotl_synthetic.pipelines import driver

from projects import until

# Forks a process that would wait forever, as a pool does from its own thread, and exits.
FORKS = """
import os, threading, time
from axolotl_synthetic.pipelines import driver

def fork():
    child = os.fork()
    if child == 0:
        time.sleep(600)
    print(child, flush=True)

driver.let_children_die_with_us()
if {by_main_thread}:
    fork()
else:
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("by_main_thread", [True, False], ids=["forked by the main thread", "forked by another thread"])
def test_a_process_does_not_outlive_a_killed_command_whichever_thread_forked_it(by_main_thread):
    code = FORKS.format(by_main_thread=by_main_thread)
    command = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None
    child = int(command.stdout.readline())
    command.wait(60)
    assert until(lambda: not running(child), 20)
    command.stdout.close()


def running(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_process_that_ends_before_anybody_looks_is_remembered(monkeypatch):
    monkeypatch.setattr(BaseProcess, "start", BaseProcess.start)  # registers the original, to restore it afterwards
    started = driver._remembered()
    process = multiprocessing.get_context("fork").Process(target=os._exit, args=(7,))
    process.start()
    process.join()
    assert process not in multiprocessing.active_children()
    assert [one.exitcode for one in started] == [7]
