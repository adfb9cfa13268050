"""A `vllm` with the command line of the real one and a `FakeServer` behind it, for tests of `provider: vllm`.

    records = install(tmp_path / "bin")
    ...  # a run with that folder in PATH
    started(records)

It takes `vllm serve MODEL …` and `python -m vllm.entrypoints.openai.api_server --model MODEL …`, starts a worker process in a new session
as vLLM starts its engine, and records its start. FAKE_VLLM selects the fault: `dies`, `ends` (after some calls), `hangs` (never ready),
`stubborn` (ignores SIGTERM).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LAST_WORDS = "ValueError: the KV cache needs 4.00 GiB, and there are 1.37 GiB; lower `max_model_len`"


def install(folder: Path) -> Path:
    """Write a `vllm` and a `python` that has it into a folder; return the path of the records."""
    folder.mkdir()
    records = folder / "records"
    records.mkdir()
    run = f'export FAKE_VLLM_RECORDS="{records}"\nexec "{sys.executable}" "{Path(__file__).absolute()}"'
    scripts = {
        "vllm": f'#!/bin/sh\n{run} "$@"\n',
        # `-c` is the test whether the package is installed.
        "python": f'#!/bin/sh\nif [ "$1" = -c ]; then exit 0; fi\n{run} "$@"\n',
        "python-without": "#!/bin/sh\nexit 1\n",
    }
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return records


def started(records: Path) -> list[dict[str, Any]]:
    """Return how each server was started, in the order of their GPUs."""
    found = [json.loads(path.read_text()) for path in records.glob("*.json")]
    return sorted(found, key=lambda one: (one["gpus"] or "", one["port"]))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    if arguments[0] == "serve":
        parser.add_argument("command")
        parser.add_argument("model")
    else:
        parser.add_argument("-m", dest="module", choices=["vllm.entrypoints.openai.api_server"])
        parser.add_argument("--model")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--tensor-parallel-size", type=int, default=1)
    parser.add_argument("--uvicorn-log-level")
    parser.add_argument("--max-model-len", type=int)
    parser.add_argument("--reasoning-parser")
    parser.add_argument("--load-seconds", type=float, default=0.0)
    return parser.parse_args(arguments)


def main() -> None:
    options, wrong = _options(sys.argv[1:]), os.environ.get("FAKE_VLLM", "")
    print(f"INFO loading {options.model}", flush=True)
    if wrong == "dies":
        print(LAST_WORDS, file=sys.stderr, flush=True)
        sys.exit(1)
    if wrong == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    worker = subprocess.Popen(["sleep", "600"], start_new_session=True)
    record = {
        **{"arguments": sys.argv[1:], "model": options.model, "host": options.host, "port": options.port, "process": os.getpid()},
        **{"gpus": os.environ.get("CUDA_VISIBLE_DEVICES"), "parallel": options.tensor_parallel_size, "worker": worker.pid},
        "environment": sorted(os.environ),
    }
    path = Path(os.environ["FAKE_VLLM_RECORDS"]) / f"{os.getpid()}.json"
    path.with_suffix(".new").write_text(json.dumps(record))
    if wrong == "hangs":
        path.with_suffix(".new").rename(path)
        time.sleep(600)
    time.sleep(options.load_seconds)
    sys.path.insert(0, str(Path(__file__).parent))
    from fake_server import FakeServer

    key = os.environ.get("VLLM_API_KEY")
    host = options.host
    server = FakeServer(models=[options.model], latency=0.02, port=options.port, host=host, keep_calls=False, api_key=key)
    path.with_suffix(".new").rename(path)

    async def serve() -> None:
        running = asyncio.create_task(server.run(lambda: print("INFO ready", flush=True)))
        while not running.done():
            await asyncio.sleep(0.05)
            # Replace the file atomically, since a test may read it at any time.
            path.with_suffix(".next").write_text(str(server.answered))
            path.with_suffix(".next").rename(path.with_suffix(".count"))
            if wrong == "ends" and server.answered >= 10:
                print("CRITICAL the engine died", flush=True)
                os._exit(9)

    asyncio.run(serve())


if __name__ == "__main__":
    main()
