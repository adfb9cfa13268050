"""Runs that are ended from outside: signals, kills, another run, a full disk. Paid replies are kept, and the next run continues.

The scenes run in parallel, because most of each is waiting.
"""

from __future__ import annotations

import functools
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from fake_faults import Fault
from fake_replies import MathReplies
from fake_server import FakeServer
from projects import KEY, Project, Running, until

SAMPLES = 60
AT_ONCE = 3
ONE_AT_A_TIME = threading.Lock()
Scene = Callable[[Project], None]
SCENES: dict[str, Scene] = {}


def scene(body: Scene) -> Callable[..., None]:
    """Make a test of a function that runs in a separate project."""
    SCENES[body.__name__] = body

    @functools.wraps(body)
    def test(scenes: dict[str, Future[None]]) -> None:
        scenes[body.__name__].result()

    del test.__wrapped__  # pytest would treat its arguments as fixtures
    return test


@pytest.fixture(scope="module")
def scenes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    """Yield the requested scenes, all running."""
    selected = {item.name for item in request.session.items}
    tmp_path_factory.getbasetemp()  # created at its first use, which two threads must not do at once
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(body, Project(tmp_path_factory.mktemp("scene") / "project", seeds=2 * SAMPLES))
            for name, body in SCENES.items()
            if name in selected
        }


@functools.cache
def _undisturbed(folder: Path, samples: int) -> bytes:
    project = Project(folder / f"undisturbed-{samples}", seeds=2 * samples)
    with FakeServer(MathReplies(wrong=0.2)) as server:
        project.configure(server, budget={"samples": samples})
        assert project.run().code == 0
    return project.training_bytes


def undisturbed(folder: Path, samples: int = SAMPLES) -> bytes:
    """Return the training file of an undisturbed run, made once."""
    with ONE_AT_A_TIME:
        return _undisturbed(folder, samples)


def slow(seconds: float = 0.5) -> FakeServer:
    return FakeServer(MathReplies(wrong=0.2), latency=seconds)


def now_takes(server: FakeServer, latency: float | str) -> None:
    server.latency = latency
    server._latencies = server._draw()


def begun(project: Project, server: FakeServer, calls: int) -> Running:
    """Start a run and return it after this many more replies."""
    answered = server.answered
    running = project.start()
    assert until(lambda: server.answered >= answered + calls), running.wait(1)
    return running


@pytest.mark.slow
@scene
def test_a_server_that_is_away_for_a_minute_costs_the_run_a_minute_and_no_sample(project: Project) -> None:
    with FakeServer(MathReplies(wrong=0.2), [Fault("go_away", calls=[20], away=60)], latency=0.2) as server:
        project.configure(server, budget={"samples": SAMPLES}, teacher={"concurrency": 8})
        done = project.run(seconds=300)
    assert done.code == 0, done.err
    assert done.seconds > 60
    assert project.manifest["counts"]["accepted"] == SAMPLES
    assert project.manifest["counts"]["failed"] == 0
    assert project.manifest["queries"]["retried"] >= 1
    # The server's answers are kept; lost ones were requested again.
    assert project.paid_twice == 0
    assert project.training_bytes == undisturbed(project.folder.parent.parent)


@scene
@pytest.mark.slow
def test_a_run_that_is_interrupted_terminated_and_ended_at_once_goes_on_and_makes_the_same_file(project: Project) -> None:
    # Slow enough that samples remain when distilabel's processes have started, on a busy machine as well.
    with slow(2.0) as server:
        interrupted(project, server, 4 * SAMPLES)
    assert project.training_bytes == undisturbed(project.folder.parent.parent, 4 * SAMPLES)


def interrupted(project: Project, server: FakeServer, samples: int) -> None:
    project.write_seeds(range(2 * samples))  # a repeated question gets the same answer
    project.configure(server, budget={"samples": samples}, teacher={"concurrency": 8})

    running = begun(project, server, 8)
    # The command, the one that runs the pipeline, distilabel's queues and its two steps.
    assert until(lambda: len(project.processes()) >= 6)
    assert KEY not in str(project.processes())
    second = project.run()
    assert second.code == 4
    assert "another run is at work there; wait for it, stop it, or choose another output_dir" in second.err
    running.signal(signal.SIGINT)
    ended = time.monotonic()
    done = running.wait()
    assert done.code == 130
    assert "stopped; every reply that was paid for is kept" in done.err
    assert "Traceback" not in done.err
    assert time.monotonic() - ended < 8
    # Open calls were awaited, and no call left after that.
    assert project.outcomes == {"ok": server.answered} == {"ok": server.count}
    assert project.ends()
    assert list(project.temporary.iterdir()) == []

    running = begun(project, server, 8)
    running.signal(signal.SIGTERM)
    assert running.wait().code == 130
    assert project.outcomes == {"ok": server.count}

    # When a terminal is closed, the kernel sends the signal, and the shell sends it once more.
    running = begun(project, server, 8)
    running.signal(signal.SIGHUP)
    time.sleep(0.3)
    running.signal(signal.SIGHUP)
    done = running.wait()
    assert (done.code, "stopped; every reply" in done.err) == (130, True)
    assert project.outcomes == {"ok": server.count}

    now_takes(server, 20.0)
    count = server.count
    running = project.start()
    assert until(lambda: server.count >= count + 8)
    running.signal(signal.SIGINT)
    time.sleep(0.3)
    running.signal(signal.SIGINT)
    ended = time.monotonic()
    assert running.wait().code == 130
    assert time.monotonic() - ended < 2
    assert project.ends()
    assert project.outcomes == {"ok": count, "sent": 8}

    now_takes(server, "instant")
    assert project.run().code == 0
    assert server.repeated == project.paid_twice == 0
    assert project.manifest["queries"]["total"] == server.count


def kill_often(project: Project, server: FakeServer, kills: int, concurrency: int) -> None:
    """Start the run and kill it at a random moment, repeatedly; then let it end."""
    draw = random.Random(kills)
    for number in range(kills):
        running = project.start()
        if number % 4:  # before the first call, or at any moment after it
            count = server.count
            until(lambda child=running.child, count=count: server.count > count or child.poll() is not None)
            time.sleep(draw.random() * 1.2)
        else:
            time.sleep(draw.random() * 6)
        running.kill()
        assert running.wait().code == -signal.SIGKILL, "it ended before it was killed; let the server be slower"
        assert project.ends(), project.processes()
        assert server.repeated <= (number + 1) * concurrency
    now_takes(server, "instant")
    done = project.run()
    assert done.code == 0, done.err
    assert project.paid_twice == 0
    # Answered by the server and lost on the way: at most the calls open at a kill.
    assert server.repeated <= kills * concurrency
    assert server.answered - project.outcomes["ok"] <= kills * concurrency
    counts = project.manifest["counts"]
    assert counts["planned"] == counts["accepted"] + counts["rejected"] + counts["failed"]


@pytest.mark.slow
@scene
def test_a_run_that_is_killed_four_times_pays_nothing_twice_and_makes_the_same_file(project: Project) -> None:
    with slow(0.4) as server:
        project.configure(server, budget={"samples": SAMPLES}, teacher={"concurrency": 4})
        kill_often(project, server, kills=4, concurrency=4)
    assert project.training_bytes == undisturbed(project.folder.parent.parent)


@pytest.mark.slow
def test_a_run_that_is_killed_twenty_times_pays_nothing_twice_and_makes_the_same_file(tmp_path):
    calm, killed = (Project(tmp_path / name, seeds=300) for name in ("calm", "killed"))
    shares = {"answer_augmentation": 0.4, "question_rephrase": 0.3, "new_question": 0.3}
    for project, latency in ((calm, 0.0), (killed, 0.5)):
        with FakeServer(MathReplies(wrong=0.2, doubt=0.2), latency=latency) as server:
            project.configure(server, strategy=shares, budget={"samples": 250}, teacher={"concurrency": 6})
            if project is calm:
                assert project.run().code == 0
            else:
                kill_often(project, server, kills=22, concurrency=6)
    assert killed.training_bytes == calm.training_bytes


@scene
def test_a_kill_of_the_process_that_calls_ends_the_run_with_an_error_and_keeps_what_was_paid_for(project: Project) -> None:
    assert killed_by_the_kernel(project, "the calls").get("sent", 0) <= 8


@scene
def test_a_kill_of_the_process_that_runs_the_pipeline_ends_the_run_with_an_error_and_keeps_what_was_paid_for(project: Project) -> None:
    assert killed_by_the_kernel(project, "the pipeline").get("sent", 0) <= 8


@scene
def test_a_kill_of_the_process_of_the_queues_ends_the_run_with_an_error_and_loses_no_call(project: Project) -> None:
    assert killed_by_the_kernel(project, "the queues").get("sent", 0) == 0


@scene
def test_a_kill_of_the_process_that_hands_on_what_has_ended_ends_the_run_with_an_error_and_loses_no_call(project: Project) -> None:
    assert killed_by_the_kernel(project, "the rows").get("sent", 0) == 0


@scene
def test_a_kill_of_the_process_that_checks_ends_the_run_with_an_error_and_loses_no_call(project: Project) -> None:
    assert killed_by_the_kernel(project, "the checks").get("sent", 0) == 0


def killed_by_the_kernel(project: Project, victim: str) -> dict[str, int]:
    """Return the outcomes of the calls of a run that lost one of its processes."""
    with slow() as server:
        project.configure(server, budget={"samples": 10_000}, teacher={"concurrency": 8})
        running = begun(project, server, 8)
        # Only now are both steps certainly running: a worker that dies before it has its step is simply replaced.
        samples = project.out / "samples.jsonl.tmp"
        assert until(lambda: samples.exists() and samples.stat().st_size)
        # They start in this order: the one that runs the pipeline, the calls, then distilabel's queues and steps.
        names = "the pipeline", "the calls", "the queues", "the rows", "the checks"
        victims = dict(zip(names, of_the_pipeline(project), strict=True))
        os.kill(victims[victim], signal.SIGKILL)
        done = running.wait()
    assert done.code == 1
    lost = "the process that runs the pipeline" if victim == "the pipeline" else "a process of the pipeline"
    assert f"{lost} ended unexpectedly (exit code -9)" in done.err
    assert "Traceback" not in done.err
    assert project.ends()
    assert list(project.temporary.iterdir()) == []
    assert project.outcomes["ok"] >= 8
    return project.outcomes


def of_the_pipeline(project: Project) -> list[int]:
    """Return the process that runs the pipeline and those that it forked, in the order of their start."""
    found = [pid for pid, command in project.processes() if "pipelines.driver" in command]
    # Process ids wrap around at a maximum; the kernel's ticks at their start do not.
    return sorted(found, key=lambda pid: (int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]), pid))


@scene
def test_the_process_that_waits_for_a_job_ends_with_a_command_that_has_none_for_it(project: Project) -> None:
    with asked_and_silent(project) as running:
        running.kill()
        assert running.wait().code == -signal.SIGKILL
        assert project.ends()
    with asked_and_silent(project) as running:
        running.signal(signal.SIGINT)
        done = running.wait()
        assert done.code == 130
        assert "Traceback" not in done.err
        assert project.ends()
    project.configure("http://127.0.0.1:9/v1")
    done = project.run()
    assert done.code == 3
    assert "cannot be reached" in done.err
    assert project.ends()
    assert list(project.temporary.iterdir()) == []


@scene
def test_a_kill_of_the_process_that_waits_for_a_job_ends_the_run_with_an_error(project: Project) -> None:
    with asked_and_silent(project, timeout=3) as running:
        [waiting] = [pid for pid, command in project.processes() if "pipelines.driver" in command]
        os.kill(waiting, signal.SIGKILL)
        done = running.wait()
    assert done.code == 1
    assert "the process that runs the pipeline ended unexpectedly (exit code -9)" in done.err
    assert "Traceback" not in done.err
    assert project.ends()
    with FakeServer(MathReplies()) as server:
        project.configure(server)
        assert project.run().code == 0


@contextmanager
def asked_and_silent(project: Project, timeout: float = 60) -> Iterator[Running]:
    """Yield a run whose teacher accepts the first connection, which comes before any job, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        project.configure(f"http://127.0.0.1:{silent.getsockname()[1]}/v1", teacher={"timeout": timeout})
        running = project.start()
        connection, _ = silent.accept()
        with connection:
            assert any("pipelines.driver" in command for _, command in project.processes())
            yield running


@scene
def test_a_run_all_of_whose_processes_are_asked_to_end_at_once_ends_as_an_interrupted_one_and_loses_no_call(project: Project) -> None:
    # A service manager, a batch system, or Ctrl-C in a program that owns the run's session signals all of them.
    with slow(1.0) as server:
        project.configure(server, budget={"samples": 10_000}, teacher={"concurrency": 8})
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            running = begun(project, server, 8)
            assert until(lambda: len(project.processes()) >= 6)
            for process, _ in sorted(project.processes(), reverse=True):
                os.kill(process, number)
            done = running.wait()
            assert done.code == 130
            assert done.err.count("stopped; every reply that was paid for is kept") == 1
            assert "ended unexpectedly" not in done.err
            assert "Traceback" not in done.err + (project.out / "run.log").read_text()
            assert project.ends()
            assert project.outcomes == {"ok": server.count}
    with asked_and_silent(project) as running:
        for process, _ in sorted(project.processes(), reverse=True):
            os.kill(process, signal.SIGINT)
        done = running.wait()
        assert done.code == 130
        assert "Traceback" not in done.err
        assert project.ends()


@scene
def test_a_run_without_standard_streams_or_with_another_encoding_of_them_makes_its_file(project: Project) -> None:
    command = f"exec {sys.executable} -m axolotl_synthetic generate config.yml"
    environment = {**os.environ, "OPENAI_API_KEY": KEY, "TMPDIR": str(project.temporary)}
    with FakeServer() as server:
        project.configure(server)
        for shell, encoding in ((f"{command} <&- >&- 2>&-", "utf-8"), (f"{command} 2>&-", "utf-8"), (command, "utf-16")):
            done = subprocess.run(
                ["sh", "-c", shell], cwd=project.folder, env={**environment, "PYTHONIOENCODING": encoding}, capture_output=True, check=False
            )
            assert done.returncode == 0, done.stderr
            assert project.manifest["counts"]["accepted"] == 20
            shutil.rmtree(project.out)


KEY_READ_LATE = f"""
import os, yaml
from pathlib import Path
from axolotl_synthetic.pipelines.process import waiting
with waiting() as process:
    from axolotl_synthetic import run
    from axolotl_synthetic.config import load_settings
    os.environ["OPENAI_API_KEY"] = "{KEY}"
    run.generate(load_settings(yaml.safe_load(Path("config.yml").read_text())["synthetic"]), process=process)
"""


@scene
def test_a_key_that_is_read_after_the_process_of_the_pipeline_was_started_reaches_it(project: Project) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    with FakeServer(api_key=KEY) as server:
        project.configure(server)
        done = subprocess.run(
            [sys.executable, "-c", KEY_READ_LATE],
            cwd=project.folder,
            env={**environment, "TMPDIR": str(project.temporary)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert project.manifest["counts"]["accepted"] == 20


@pytest.mark.slow
@scene
def test_a_run_whose_temporary_folder_is_removed_early_or_late_ends_and_keeps_what_was_paid_for(project: Project) -> None:
    with slow() as server:
        project.configure(server, budget={"samples": 10_000}, teacher={"concurrency": 8})
        for moment in (0.0, 5.0):
            running = begun(project, server, 8)
            time.sleep(moment)
            for path in project.temporary.iterdir():
                shutil.rmtree(path, ignore_errors=True)
            done = running.wait()
            assert done.code == 1
            assert "this temporary folder was removed while the run was at work; run the same command again" in done.err
            assert "Traceback" not in done.err
            assert project.ends()
            assert project.outcomes == {"ok": server.answered}


# A user's own task

ENDS_ITS_PROCESS = """
import multiprocessing
from axolotl_synthetic.tasks.math import Math

class Ends(Math):
    asked = 0

    def {method}(self, *arguments):
        # In distilabel's processes alone: what breaks in the command itself is told of before there is a call.
        if multiprocessing.current_process().name != "MainProcess":
            Ends.asked += 1
            if Ends.asked == 12:
                {statement}
        return super().{method}(*arguments)
"""


@pytest.mark.slow
@scene
def test_a_task_that_ends_its_process_loses_a_candidate_and_no_call(project: Project) -> None:
    with slow() as server:
        for method, statement in (
            ("answer_messages", "raise SystemExit(3)"),
            ("answer_messages", "raise KeyboardInterrupt"),
            ("prompt", "raise SystemExit"),
            ("final_answer", "raise SystemExit"),
        ):
            (project.folder / "ending.py").write_text(ENDS_ITS_PROCESS.format(method=method, statement=statement))
            shutil.rmtree(project.out, ignore_errors=True)
            before = server.answered
            project.configure(server, task="ending.Ends", teacher={"concurrency": 8})
            done = project.run()
            assert done.code == 0, done.err
            assert project.manifest["counts"]["accepted"] == 20
            # Candidates whose reply could not be read are failed, or rejected by the check that raised an error.
            assert [row["reason"] for row in project.samples if "SystemExit" in str(row["reason"]) or "Interrupt" in str(row["reason"])]
            assert project.outcomes == {"ok": server.answered - before}


@scene
def test_a_task_that_ends_its_process_without_a_word_ends_the_run_with_an_error_and_leaves_no_file(project: Project) -> None:
    with slow() as server:
        (project.folder / "ending.py").write_text(ENDS_ITS_PROCESS.format(method="final_answer", statement="__import__('os')._exit(0)"))
        project.configure(server, task="ending.Ends", budget={"samples": 1000}, teacher={"concurrency": 8})
        done = project.run()
    assert done.code == 1
    assert "a process of the pipeline ended unexpectedly (exit code 0)" in done.err
    assert project.ends()
    assert project.outcomes == {"ok": server.count}
    assert list(project.temporary.iterdir()) == []


@scene
def test_all_processes_interrupted_while_they_are_imported_say_so_in_one_message(project: Project) -> None:
    project.configure("http://127.0.0.1:9/v1")
    running = project.start()
    assert until(lambda: of_the_pipeline(project))
    for process, _ in sorted(project.processes(), reverse=True):
        os.kill(process, signal.SIGINT)
    done = running.wait()
    assert (done.code, done.err.count("stopped; "), "Traceback" in done.err) == (130, 1, False), done.err
    assert project.ends()


@scene
def test_a_second_wish_to_stop_ends_a_run_at_once_whose_ledger_another_program_holds(project: Project) -> None:
    with slow() as server:
        project.configure(server, budget={"samples": 10_000}, teacher={"concurrency": 8})
        running = begun(project, server, 8)
        with closing(sqlite3.connect(project.out / "ledger.sqlite", isolation_level=None, timeout=30)) as other:
            other.execute("BEGIN EXCLUSIVE")
            running.signal(signal.SIGINT)
            time.sleep(2)  # so that the command waits for the ledger
            running.signal(signal.SIGINT)
            asked = time.monotonic()
            assert running.wait().code == 130
            assert time.monotonic() - asked < 10
        assert project.ends()


# Disks


@scene
def test_a_full_disk_of_temporary_files_ends_the_run_with_a_remedy(project: Project) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(project.temporary)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        (project.temporary / "filling").write_bytes(b"x" * 61_000)
        with slow() as server:
            project.configure(server, teacher={"concurrency": 8})
            done = project.run()
    finally:
        subprocess.run(["umount", "-l", str(project.temporary)], check=False)
    assert done.code == 1
    assert "No space left on device; free some space for temporary files, or set TMPDIR to another folder" in done.err
    assert "Traceback" not in done.err
    assert project.outcomes == {"ok": server.count}


@contextmanager
def small_disk(project: Project) -> Iterator[Project]:
    """Yield the project with an output folder of two megabytes."""
    project.out.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(project.out)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield project
    finally:
        subprocess.run(["umount", "-l", str(project.out)], check=False)


def remount(project: Project, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(project.out)], check=True)


@scene
def test_a_full_disk_ends_the_run_with_a_remedy_and_the_next_run_goes_on(project: Project) -> None:
    with small_disk(project), FakeServer(lambda body: "So. " * 5000 + MathReplies()(body), latency=0.01) as server:
        project.configure(server, budget={"samples": 90}, teacher={"concurrency": 4, "generation": {"max_new_tokens": 9000}})
        done = project.run()
        assert done.code == 1
        assert "ledger.sqlite: " in done.err
        assert "free some space on that disk, then run the same command again: what was paid for is kept" in done.err
        assert "Traceback" not in done.err + done.out
        assert project.ends()
        kept, answered = project.outcomes["ok"], server.answered
        assert kept > 10
        # Replies that arrived when the disk was full could not be kept.
        assert answered - kept <= 4
        remount(project, "size=40m")
        done = project.run()
        assert done.code == 0, done.err
        assert project.manifest["counts"]["accepted"] == 90
        assert project.manifest["queries"]["reused"] == kept
        assert server.repeated <= 4


@scene
def test_a_disk_that_is_full_for_the_samples_alone_ends_the_run_with_a_remedy_and_the_next_run_goes_on(project: Project) -> None:
    project.out.mkdir()
    samples = project.out / "samples.jsonl.tmp"
    with FakeServer(MathReplies(), latency=0.1) as server:
        project.configure(server, teacher={"concurrency": 2})
        samples.symlink_to("/dev/full")
        done = project.run()
        assert done.code == 1
        assert (
            "out/samples.jsonl.tmp: No space left on device; free some space or make it writable, then run the same command again"
            in done.err
        )
        assert "Traceback" not in done.err
        assert project.ends()
        assert project.outcomes == {"ok": server.count}
        samples.unlink()
        done = project.run()
    assert done.code == 0, done.err
    assert project.manifest["counts"]["accepted"] == 20
    assert server.repeated == 0


@scene
def test_a_folder_on_a_read_only_disk_is_named_before_the_first_call(project: Project) -> None:
    with small_disk(project), slow() as server:
        remount(project, "ro")
        project.configure(server)
        done = project.run()
    assert done.code == 1
    assert "out: Read-only file system; make it writable, or choose another output_dir" in done.err
    assert server.count == 0


@scene
def test_the_status_of_a_run_on_a_read_only_disk_is_shown(project: Project) -> None:
    with small_disk(project), FakeServer() as server:
        project.configure(server)
        assert project.run().code == 0
        remount(project, "ro")
        done = project.run("status")
        as_json = project.run("status", "--json")
        again = project.run()
    assert done.code == as_json.code == 0, done.err
    assert "20 of 20 accepted" in done.out
    assert '"state": "complete"' in as_json.out
    assert (again.code, "Read-only file system; make it writable" in again.err) == (1, True)


@scene
def test_a_folder_that_cannot_be_made_is_named_before_the_first_call(project: Project) -> None:
    with slow() as server:
        project.configure(server, output_dir="/proc/synthetic")
        done = project.run()
    assert done.code == 1
    assert "/proc/synthetic: " in done.err
    assert "make it writable, or choose another output_dir" in done.err
    assert server.count == 0


@scene
def test_a_user_without_a_name_and_a_home_makes_the_run(project: Project) -> None:
    unknown = ["unshare", "--user", "--map-user=54321", "--map-group=54321"]
    if subprocess.run([*unknown, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to be another user")
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "USER", "LOGNAME")}
    environment |= {"OPENAI_API_KEY": KEY, "TMPDIR": str(project.temporary)}
    with FakeServer() as server:
        project.configure(server)
        for command, said in (("preview", "final_answer: passed"), ("generate", "20 of 20 accepted"), ("status", "20 of 20 accepted")):
            run = [*unknown, sys.executable, "-m", "axolotl_synthetic", command, "config.yml"]
            done = subprocess.run(run, cwd=project.folder, env=environment, capture_output=True, text=True, timeout=300, check=False)
            assert (done.returncode, said in done.stdout) == (0, True), done.stderr
            assert "Traceback" not in done.stderr
    assert not (project.folder / "~").exists()


@scene
def test_a_temporary_folder_with_too_long_a_path_is_named_before_the_first_call(project: Project) -> None:
    project.temporary = project.folder / ("t" * 100)
    project.temporary.mkdir()
    with slow() as server:
        project.configure(server)
        done = project.run()
    assert done.code == 1
    assert "set TMPDIR to a shorter one" in done.err
    assert "Traceback" not in done.err
    assert server.count == 0


@scene
def test_a_ledger_that_was_cut_short_is_named_with_a_remedy(project: Project) -> None:
    with FakeServer() as server:
        project.configure(server)
        assert project.run().code == 0
        ledger = project.out / "ledger.sqlite"
        ledger.write_bytes(ledger.read_bytes()[: ledger.stat().st_size // 2 + 100])
        done = project.run()
    assert done.code == 1
    assert "ledger.sqlite: database disk image is malformed; the file is damaged: move it away and recover it" in done.err
    assert "Traceback" not in done.err


MANY_RUNS = """
import gc, os, yaml
from pathlib import Path
from axolotl_synthetic import run
from axolotl_synthetic.config import load_settings
block = yaml.safe_load(Path("config.yml").read_text())["synthetic"]
for numbers in ([0], [1, 2]):
    for number in numbers:
        run.generate(load_settings({**block, "output_dir": f"out-{number}"}))
    gc.collect()
    print(len(os.listdir("/proc/self/fd")))
"""


@scene
def test_many_runs_in_one_process_as_a_study_makes_them_leave_no_file_open(project: Project) -> None:
    with FakeServer() as server:
        project.configure(server)
        environment = {**os.environ, "OPENAI_API_KEY": KEY, "TMPDIR": str(project.temporary)}
        done = subprocess.run(
            [sys.executable, "-c", MANY_RUNS], cwd=project.folder, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    first, third = map(int, done.stdout.split())
    assert first == third
