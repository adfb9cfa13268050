"""`review serve`: a real server with one command; only its owner can read its secrets, and its data is kept between starts."""

import fcntl
import json
import multiprocessing.pool
import os
import socket
import stat
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from axolotl_synthetic.cli import synthetic
from axolotl_synthetic.errors import ServiceError, StorageError
from axolotl_synthetic.review import serve as serving

from argilla_here import ArgillaHere, free_port, serve
from projects import until


def test_once_installed_it_is_ready_in_under_15_seconds(argilla):
    if argilla.seconds[0] >= 15:  # the machine may have been busy at that moment
        serve(argilla.data, "--stop")
        argilla.start()
    assert min(argilla.seconds) < 15
    assert argilla.call("GET", "/version") == {"version": serving.VERSION}


def test_it_says_where_the_page_is_who_it_is_for_and_how_to_use_a_full_server(argilla):
    said = argilla.said[0].stdout
    for expected in (argilla.url, "one person or a small team", "review.api_url", "--stop", "review push CONFIG"):
        assert expected in said


def test_password_and_key_are_random_shown_once_and_kept_for_their_owner_alone(argilla):
    known = argilla.credentials
    assert known["password"] in argilla.said[0].stdout
    assert known["api_key"] in argilla.said[0].stdout
    assert len(set(known.values())) == 4
    assert len(known["password"]) >= 16
    assert stat.S_IMODE((argilla.home / "credentials.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(argilla.home.stat().st_mode) == 0o700
    again = serve(argilla.data, "--port", "1")
    assert again.returncode == 0
    assert "runs already" in again.stdout
    assert known["password"] not in again.stdout + again.stderr
    assert known["api_key"] not in again.stdout + again.stderr
    assert str(argilla.home / "credentials.json") in again.stdout


def test_neither_the_process_list_nor_the_log_shows_a_secret(argilla):
    pid = json.loads((argilla.home / "server.json").read_text())["pid"]
    with open(f"/proc/{pid}/cmdline") as line, open(f"/proc/{pid}/environ") as environment:
        seen = line.read() + environment.read() + (argilla.home / "server.log").read_text()
    assert not [name for name, secret in argilla.credentials.items() if name != "username" and secret in seen]


def test_nobody_reaches_it_from_elsewhere(argilla):
    # Every address of this machine but the one that it listens on.
    for address in {"127.0.0.2", *(entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET))} - {
        "127.0.0.1"
    }:
        with socket.socket() as probe:
            probe.settimeout(2)
            assert probe.connect_ex((address, argilla.port)) != 0, address


def test_its_redis_has_no_port(argilla):
    listening = [line.split() for line in open("/proc/net/tcp").readlines()[1:]]
    inodes = {os.readlink(entry.path) for entry in os.scandir(f"/proc/{redis_of(argilla)}/fd") if os.path.islink(entry.path)}
    assert not [line for line in listening if line[3] == "0A" and f"socket:[{line[9]}]" in inodes]


def runs(pid: int) -> bool:
    """Return whether there is such a process; one that has ended may be listed until its exit code is read."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def redis_of(argilla: ArgillaHere) -> int:
    pid = json.loads((argilla.home / "server.json").read_text())["pid"]
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        (redis,) = children.read().split()
    return int(redis)


def test_a_port_that_is_taken_is_named_with_what_to_do(tmp_path, argilla):
    done = serve(tmp_path, "--port", str(argilla.port))
    assert done.returncode == 3
    assert f"port {argilla.port} of 127.0.0.1 cannot be had (Address already in use)" in done.stderr
    assert f"--port {argilla.port + 1}" in done.stderr


def test_a_server_that_does_not_come_up_shows_the_end_of_its_log(tmp_path, argilla, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(serving, "SERVER", tmp_path)
    (tmp_path / "main.py").write_text("raise SystemExit('no room on this machine')")
    with pytest.raises(ServiceError, match=r"did not start; the end of .*server\.log:\nno room on this machine"):
        serving.start(free_port())


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_without_a_package_index_the_reason_is_shown_and_nothing_half_installed_stays(tmp_path, monkeypatch, installer):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("PIP_NO_INDEX", "UV_OFFLINE"):
        monkeypatch.setenv(name, "1")
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    if installer == "uv":
        without_pip(monkeypatch, path=str(Path(sys.executable).parent))
    result = CliRunner().invoke(synthetic, ["review", "serve"])
    assert result.exit_code == 3
    assert "installing the Argilla server failed" in result.stderr
    assert "argilla-server" in result.stderr
    assert not serving.is_installed()


def without_pip(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    monkeypatch.setenv("PATH", path)


def test_without_pip_and_uv_it_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    without_pip(monkeypatch, path="")
    result = CliRunner().invoke(synthetic, ["review", "serve"])
    assert result.exit_code == 3
    assert "needs pip or uv, and neither is here: `python -m ensurepip`" in result.stderr
    assert not serving.is_installed()


@pytest.mark.parametrize("damaged", ["{", "[]", "{}"])
@pytest.mark.parametrize("name", ["credentials.json", "server.json"])
def test_what_it_keeps_and_somebody_damaged_is_named_with_what_to_do(argilla, name, damaged):
    path = argilla.home / name
    before = path.read_bytes()
    try:
        path.write_text(damaged)
        with pytest.raises(StorageError, match=rf"{name}: cannot be read .* start"):
            serving.running()
    finally:
        path.write_bytes(before)


def test_looking_whether_a_server_runs_is_never_taken_for_one_that_runs(tmp_path):
    # The server ended without removing its file; two processes check at the same time.
    (tmp_path / "server.json").write_text('{"pid": 1, "port": 1}')
    with open(tmp_path / "server.lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert not serving._is_running(tmp_path)
        fcntl.flock(other, fcntl.LOCK_EX)
        assert serving._is_running(tmp_path)


def test_stop_ends_it_with_its_redis_and_the_next_start_has_its_data_even_when_two_start_it_and_with_new_secrets(tmp_path, argilla):
    person, redis, former = argilla.person("kept"), redis_of(argilla), argilla.credentials
    done = serve(argilla.data, "--stop")
    assert (done.returncode, done.stdout.strip()) == (0, "the server has ended; its data is kept")
    assert not argilla.answers()
    assert until(lambda: not runs(redis))
    for data in (argilla.data, tmp_path):
        assert serve(data, "--stop").stdout.strip() == "no server was running"
    (argilla.home / "credentials.json").unlink()
    starting = [multiprocessing.pool.ThreadPool(1).apply_async(serve, (argilla.data, "--port", str(argilla.port))) for _ in range(2)]
    said = sorted((one.get().stdout for one in starting), key=lambda text: "runs already" in text)
    assert ["runs already" in one for one in said] == [False, True]
    assert argilla.call("GET", "/me", key=person.key)["username"] == person.name
    # The old key and password are invalid, and the new ones are those that were shown.
    assert argilla.key != former["api_key"]
    assert argilla.key in said[0] and argilla.credentials["password"] in said[0]
    assert argilla.call("GET", "/me")["username"] == "argilla"
    for credentials, status in ((former, 401), (argilla.credentials, 201)):
        form = {"username": "argilla", "password": credentials["password"]}
        assert httpx.post(f"{argilla.url}/api/v1/token", data=form, trust_env=False).status_code == status


def test_the_key_is_found_for_this_server_alone(argilla):
    assert serving.key_for(argilla.url) == serving.key_for(f"http://localhost:{argilla.port}") == argilla.key
    assert serving.key_for(f"http://127.0.0.1:{argilla.port + 1}") is None
    assert serving.key_for(f"http://argilla.example:{argilla.port}") is None
