"""Faults of a model's server, and the calls that they affect. fake_server.py says how each looks."""

from __future__ import annotations

import random
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any

KINDS = {
    "http_NNN": "that status, with an error in OpenAI's JSON; 429 and 503 may carry `retry_after`",
    "unknown_model": "404 with the code model_not_found",
    "context_length": "400 with the code context_length_exceeded",
    "refused": "400 with the code content_filter",
    "timeout": "never answers",
    "reset_before_headers": "the connection is reset instead of an answer",
    "reset_after_headers": "… after the headers, before the body",
    "half_body": "half of the body, then the connection is closed",
    "invalid_json": "200 with a body that is not JSON",
    "html": "200 with a page, as proxies send it",
    "no_choices": "200 without choices",
    "empty": "200 with an empty content",
    "null": "200 with a null content",
    "length": "200 with half of the text and finish_reason length",
    "content_filter": "200 with no text and finish_reason content_filter",
    "wrong_encoding": "200 with latin-1 bytes that are labelled as UTF-8",
    "huge": "200 with a text of `megabytes`",
    "go_away": "all connections are reset and new ones refused, for `away` seconds",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and its conditions: it occurs where all given conditions hold.

    Attributes:
        kind: one of `KINDS`.
        calls: numbers of the calls, in the order of their arrival, from 0.
        share: of all calls; drawn from the server's seed, the request and how often it was asked, so a retry may succeed.
        sticky: the share is of all requests: a request that failed once always fails.
        attempts: only this many first attempts of the same request.
        seconds: only this long after the server's start.
        when: only requests of this kind; gets the parsed body.
        retry_after: seconds in a `Retry-After` header; `as_date` writes it as an HTTP date.
        away: seconds, of `go_away`.
        megabytes: of `huge`.
    """

    kind: str
    calls: Container[int] | None = None
    share: float | None = None
    sticky: bool = False
    attempts: int | None = None
    seconds: float | None = None
    when: Callable[[dict[str, Any]], bool] | None = None
    retry_after: float | None = None
    as_date: bool = False
    away: float = 1.0
    megabytes: float = 50

    def __post_init__(self) -> None:
        if self.kind not in KINDS and not (self.kind.startswith("http_") and self.kind[5:].isdigit()):
            raise ValueError(f"{self.kind!r} is no fault; the faults are {', '.join(KINDS)}")

    @property
    def status(self) -> int:
        """Return the HTTP status of this fault."""
        if self.kind.startswith("http_"):
            return int(self.kind[5:])
        return {"unknown_model": 404, "context_length": 400, "refused": 400}.get(self.kind, 200)


def choose(faults: Sequence[Fault], body: dict[str, Any], *, number: int, attempt: int, key: int, age: float, seed: int) -> Fault | None:
    """Return the first fault that affects this call, None if it is served normally.

    Args:
        number, attempt: index of this call among all, and among the equal ones; from 0.
        key: a number that depends only on the request's content.
        age: seconds since the server's start.
    """
    for place, fault in enumerate(faults):
        if fault.calls is not None and number not in fault.calls:
            continue
        if fault.attempts is not None and attempt >= fault.attempts:
            continue
        if fault.seconds is not None and age >= fault.seconds:
            continue
        if fault.when is not None and not fault.when(body):
            continue
        if fault.share is not None:
            draw = random.Random(f"{seed}/{place}/{key}/{0 if fault.sticky else attempt}").random()
            if draw >= fault.share:
                continue
        return fault
    return None


def parse(text: str) -> Fault:
    """Parse a fault from the command line: `http_429:share=0.1,retry_after=1`, `go_away:calls=100-100,away=60`."""
    kind, _, options = text.partition(":")
    values: dict[str, Any] = {}
    for option in filter(None, options.split(",")):
        name, _, value = option.partition("=")
        if name == "calls":
            first, _, last = value.partition("-")
            values[name] = range(int(first), int(last or first) + 1)
        elif name in ("sticky", "as_date"):
            values[name] = value.lower() in ("", "1", "true", "yes")
        elif name == "attempts":
            values[name] = int(value)
        else:
            values[name] = float(value)
    return Fault(kind, **values)
