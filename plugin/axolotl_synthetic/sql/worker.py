"""The process that queries run in: reads one JSON request per line and answers each. Started by `sandbox.py` only.

The kernel limits its memory, its processor time (through `judging.py`) and forbids it to write files. It ends at the end of its input, and
so with its parent. `sandbox.py` sends the requests, and `judging.py` does the work.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from axolotl_synthetic.sql.judging import (
    GRACE_SECONDS,
    READING_SECONDS,
    GoldFailed,
    Judgement,
    Judging,
    Limits,
    bounded,
    bounded_as_a_whole,
)
from axolotl_synthetic.sql.queries import NotAQuery, normal_form
from axolotl_synthetic.sql.schema import BadSchema, schema_of_file

# Limits all that SQLite holds, above all a query's intermediate results.
HEAP_BYTES = 256 * 2**20
PARENT_LOOKED_FOR_SECONDS = 0.5
# Limits Python, sqlglot, the caches and the above.
MEMORY_BYTES = 1536 * 2**20
OPEN_FILES = 32


def main() -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries' prints must not mix with replies
    _limit_this_process()
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    judging = Judging()
    print("ready", file=replies, flush=True)
    for line in sys.stdin:
        try:
            reply = _answer(judging, json.loads(line))
        except MemoryError:
            return  # this process is no longer reliable
        except Exception as error:  # the boundary: a bug in our code must not count as the query's
            reply = {"broken": ascii(f"{type(error).__name__}: {error}"[:200])}
        print(json.dumps(reply), file=replies, flush=True)


def _limit_this_process() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute(f"PRAGMA hard_heap_limit = {HEAP_BYTES}")
    connection.close()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    # Nothing here needs to write files, so the kernel refuses every byte.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, even during a query, while the end of the input would not be noticed."""
    while os.getppid() == parent:
        time.sleep(PARENT_LOOKED_FOR_SECONDS)
    os._exit(0)


def _answer(judging: Judging, asked: Mapping[str, Any]) -> dict[str, Any]:
    limits = Limits(asked["seconds"], asked["rows"], asked["result_bytes"])
    # Each of the two queries of a comparison has its own seconds.
    whole = limits.seconds + (limits.seconds + GRACE_SECONDS) * (asked["op"] == "compare")
    try:
        with bounded_as_a_whole(whole):
            return _judged(judging, asked, limits)
    except (NotAQuery, BadSchema) as error:
        return {"problem": str(error)}
    except GoldFailed as error:
        return {"gold": str(error)}


def _judged(judging: Judging, asked: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    match asked["op"]:
        case "normal_form":
            with bounded(READING_SECONDS):
                return {"query": normal_form(asked["query"])}
        case "schema":
            with bounded(limits.seconds):
                return {"schema": schema_of_file(Path(asked["file"]))}
        case "compiles":
            return _told(judging.compiles(asked["schema"], asked["query"], limits))
        case "runs":
            return _told(judging.runs(asked["schema"], asked["file"], asked["query"], limits))
        case "compare":
            place = asked["schema"], asked["file"]
            return _told(judging.compare(*place, asked["gold"], asked["query"], limits, generated=asked["generated"]))
        case unknown:
            raise ValueError(f"no such request: {unknown}")


def _told(judgement: Judgement) -> dict[str, Any]:
    return {"stands": judgement.stands, "why": judgement.why}


if __name__ == "__main__":
    main()
