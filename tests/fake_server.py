"""A server with OpenAI's /v1/chat/completions that misbehaves like the real ones. For tests, benchmarks and kill tests.

In a test, it runs in a thread of the test's own process:

    with FakeServer(faults=[Fault("http_429", retry_after=1, calls=range(3))]) as server:
        ...  # server.base_url, server.calls, server.count, server.peak

As a process, it prints its address and runs until it is ended:

    python tests/fake_server.py --latency lognormal --slots 64 --fault http_500:share=0.1

It is a bare asyncio protocol, because in the benchmarks it shares two cores with the measured client. fake_replies.py has the model's
replies, fake_faults.py the faults, and fake_wire.py their form on the wire. `GET /stats` and `POST /reset` are for the benchmarks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self, TextIO

import uvloop

from fake_faults import KINDS, Fault, choose, parse
from fake_replies import MathReplies, request_key
from fake_wire import Connection, misbehave, refusal, success

Reply = Callable[[dict[str, Any]], str | tuple[Any, ...]]
# Long-tailed, as hosted models are: median 0.4 s, sigma 0.8, capped at 8 s.
MEDIAN, SIGMA, LONGEST = 0.4, 0.8, 8.0


@dataclass(slots=True)
class Call:
    """One request for a completion, as it arrived: `path` includes its query, `fields` are its headers.

    `open` counts the requests being served or waiting, including this one.
    """

    number: int
    body: dict[str, Any]
    headers: tuple[str, ...]
    authorized: bool
    attempt: int
    open: int
    at: float
    path: str = ""
    fields: dict[str, str] = field(default_factory=dict, repr=False)
    fault: str | None = None
    answered: bool = False


class FakeServer:
    """The server and a record of its calls.

    Args:
        reply: the model's reply to a request's body, by default `MathReplies()`; or a response as `Connection.send` takes it (status,
            body, headers), such as `fake_wire.message` makes it.
        faults: see `Fault`; the first that matches a call decides.
        latency: `instant`, `lognormal`, or seconds. Drawn from `seed` by the call's number, so every client waits the same in total.
        slots: number of calls served at once, others wait; None is no limit.
        models: names that it knows; None is all.
        api_key: if given, a call without it gets a 401.
        admit: gets a request's path and headers, also for the list of models; returns a response to refuse it, None to serve it.
        context: longest prompt, in tokens; None is no limit.
        vary_repeats: an equal request gets another reply each time, as at a temperature above 0; else always the same.
        keep_calls: whether to record every call in `calls`.
        log: file for one line of JSON per answered call.
    """

    def __init__(
        self,
        reply: Reply | None = None,
        faults: Sequence[Fault] = (),
        *,
        latency: str | float = "instant",
        slots: int | None = 64,
        models: Sequence[str] | None = None,
        api_key: str | None = None,
        admit: Callable[[str, dict[str, str]], tuple[Any, ...] | None] | None = None,
        context: int | None = None,
        vary_repeats: bool = False,
        seed: int = 0,
        port: int = 0,
        host: str = "127.0.0.1",
        keep_calls: bool = True,
        log: TextIO | None = None,
    ) -> None:
        self.reply = reply or MathReplies()
        self.faults = tuple(faults)
        self.latency = latency
        self.slots = math.inf if slots is None else slots
        self.models = models
        self.api_key = api_key
        self.admit = admit
        self.context = context
        self.vary_repeats = vary_repeats
        self.seed = seed
        self.keep_calls = keep_calls
        self.log = log
        self.connections: set[Connection] = set()
        self.closing = threading.Event()
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        # This socket never listens: it only reserves the port while the server is away.
        self._host = host
        self._claim = _bound(port, host)
        self.port: int = self._claim.getsockname()[1]
        self.base_url = f"http://{host}:{self.port}/v1"
        self._listener: asyncio.AbstractServer | None = None
        self._thread: threading.Thread | None = None
        self._active = 0
        self.reset()

    def reset(self) -> None:
        """Clear the record, and draw the same latencies again."""
        self.calls: list[Call] = []
        self.count = self.answered = self.repeated = self.peak = self.open = 0
        self.struck: Counter[str] = Counter()
        self.latency_seconds = 0.0
        self.began = time.monotonic()
        self._latencies = self._draw()
        self._attempts: dict[int, int] = {}
        self._done: set[int] = set()

    def stats(self) -> dict[str, Any]:
        """Return the counts. `repeated`: calls that were answered although an equal one had been answered before."""
        names = ("count", "answered", "repeated", "open", "peak", "latency_seconds")
        return {name: getattr(self, name) for name in names} | {"faults": dict(self.struck)}

    # Path of a call: arrived → (refused) | waits for a slot → served after its latency → answered or struck by its fault

    def arrived(self, connection: Connection, raw: bytes, fields: dict[str, str], key: str | None, path: str) -> None:
        try:
            body = json.loads(raw)
            messages = body["messages"]
            messages[0]["role"]
        except (ValueError, TypeError, LookupError) as error:
            connection.send(*refusal(400, f"invalid request: {error!r}", "invalid_request"))
            return
        number, self.count = self.count, self.count + 1
        self.open += 1
        self.peak = max(self.peak, self.open)
        content = request_key(body)
        attempt = self._attempts.get(content, 0)
        self._attempts[content] = attempt + 1
        call = Call(number, body, tuple(fields), key is not None, attempt, self.open, time.monotonic() - self.began, path, fields)
        if self.keep_calls:
            self.calls.append(call)
        fault = self._refuse(body, messages, key)
        if fault is None and self.faults:
            fault = choose(self.faults, body, number=number, attempt=attempt, key=content, age=call.at, seed=self.seed)
        if fault is not None:
            call.fault = fault.kind
            self.struck[fault.kind] += 1
            if fault.status != 200 or fault.kind in ("timeout", "go_away"):
                self.open -= 1
                return misbehave(self, connection, call, fault, "")
        seconds = next(self._latencies)
        self.latency_seconds += seconds

        def serve() -> None:
            self._serve(connection, call, fault, content)

        if self._active >= self.slots:
            self._waiting.append((seconds, serve))
        else:
            self._start(seconds, serve)

    def _start(self, seconds: float, serve: Callable[[], None]) -> None:
        self._active += 1
        if seconds:
            asyncio.get_running_loop().call_later(seconds, serve)
        else:
            serve()

    def _serve(self, connection: Connection, call: Call, fault: Fault | None, content: int) -> None:
        self._active -= 1
        self.open -= 1
        if self._waiting and self._active < self.slots:
            # Do not call directly: a thousand instant calls in a row would be a thousand stack frames.
            asyncio.get_running_loop().call_soon(self._start, *self._waiting.popleft())
        body = call.body
        vary = self.vary_repeats and "seed" not in body
        if isinstance(self.reply, MathReplies):
            text = self.reply(body, content + call.attempt * 0x9E3779B97F4A7C15 if vary else content)
        else:
            text = self.reply(body | {"seed": call.attempt} if vary else body)
        if fault is not None:
            return misbehave(self, connection, call, fault, text)
        if not connection.send(*(text if isinstance(text, tuple) else success(call, text))):
            return
        call.answered = True
        self.answered += 1
        if content in self._done:
            self.repeated += 1
        self._done.add(content)
        if self.log is not None:
            self.log.write(json.dumps({"number": call.number, "attempt": call.attempt, "key": f"{content:016x}"}) + "\n")
            self.log.flush()

    def _refuse(self, body: dict[str, Any], messages: Any, key: str | None) -> Fault | None:
        if self.api_key is not None and key != self.api_key:
            return Fault("http_401")
        if self.models is not None and body.get("model") not in self.models:
            return Fault("unknown_model")
        if self.context is not None and sum(len(str(message)) for message in messages) // 4 > self.context:
            return Fault("context_length")
        return None

    def _draw(self) -> Iterator[float]:
        draw = random.Random(self.seed)
        while True:
            if self.latency == "lognormal":
                yield min(draw.lognormvariate(math.log(MEDIAN), SIGMA), LONGEST)
            else:
                yield 0.0 if self.latency == "instant" else float(self.latency)

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Connection(self), sock=_bound(self.port, self._host), backlog=4096)

    def go_away(self, seconds: float) -> None:
        """Reset every connection and refuse new ones, then return on the same port. Only from the server's own thread."""
        if self._listener is None:
            return
        self._listener.close()
        self._listener = None
        for connection in list(self.connections):
            connection.reset()
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, lambda: None if self.closing.is_set() else loop.create_task(self.listen()))

    async def run(self, ready: Callable[[], None]) -> None:
        await self.listen()
        ready()
        parent = os.getppid()
        while not self.closing.is_set() and (self._thread or os.getppid() == parent):
            await asyncio.sleep(0.02 if self._thread else 0.5)
        if self._listener is not None:
            self._listener.close()
        for connection in list(self.connections):
            connection.reset()
        await asyncio.sleep(0)
        self._claim.close()

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self.run(ready.set)), name="fake-server", daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the fake server did not start within 10 s")
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        assert self._thread is not None
        self._thread.join(10)


def _bound(port: int, host: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def main() -> None:
    faults = "\n".join(f"  {kind:<22}{text}" for kind, text in KINDS.items())
    parser = argparse.ArgumentParser(
        description="A fake OpenAI-compatible server. It prints its address, and ends when its parent does.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"faults, as in --fault http_429:share=0.1,retry_after=1 or --fault go_away:calls=100-100,away=60\n{faults}",
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", default="instant", help="instant, lognormal, or seconds")
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", type=parse, action="append", default=[])
    parser.add_argument("--wrong", type=float, default=0.0, help="share of wrong answers")
    parser.add_argument("--doubt", type=float, default=0.0, help="share of self-checks that end with a no")
    parser.add_argument("--vary-repeats", action="store_true", help="an equal request gets another reply each time")
    parser.add_argument("--log", type=argparse.FileType("a"), help="a file for one line of JSON for each answered call")
    options = parser.parse_args()
    server = FakeServer(
        MathReplies(options.wrong, options.doubt),
        options.fault,
        latency=options.latency,
        slots=options.slots,
        seed=options.seed,
        port=options.port,
        vary_repeats=options.vary_repeats,
        log=options.log,
        keep_calls=False,
    )
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.run(lambda: print(server.base_url, flush=True)))


if __name__ == "__main__":
    sys.exit(main())
