"""A server with OpenAI's batches and Anthropic's message batches, which fail like the real ones. It counts what it bills.

    with FakeBatches() as server:
        project.configure(server.base_url, teacher={"batch": {"poll": 0.05}})

Its model's replies are those of `FakeServer`. Files, batches and their results are kept in memory; a batch ends after a given number of
looks. Calls outside batches are answered too, at `/chat/completions`, and counted in `direct`.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from aiohttp import web

from fake_replies import MathReplies, request_key

Reply = Callable[[dict[str, Any]], Any]
"""The model's reply: a text; a dict, which is the message's whole completion; or (status, body of an error)."""


@dataclass
class Made:
    """The server's state of one batch."""

    id: str
    protocol: str
    requests: list[dict[str, Any]]
    file: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    status: str = "in_progress"
    looks: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    created: float = field(default_factory=time.time)


class FakeBatches:
    """The server and a record of its requests.

    Args:
        reply: the model's reply to a request's body in OpenAI's form.
        looks: a batch ends after this many looks, in a list or alone; None: never.
        fate: end of a batch, by its number from 0: `completed`, `expired`, `cancelled`, `failed`; by default all complete.
        share: the calls of an expired or cancelled batch that are done: those whose index is below this share of the batch.
        errors: of a failed batch.
        before, after: called with the name of each step (`upload`, `create`, `look`, `list`, `delete`, `results`) before and after it;
            each may return a response that replaces the server's.
        edit: changes the result lines of a batch, in their order.
        most_queued: calls that may be in open batches; a batch above that fails with the provider's words.
        refuse_create: likewise, but the creation gets HTTP 429.
        prefix: the path before all others.
        check: checks a request's headers and query; a response refuses the request.
    """

    def __init__(
        self,
        reply: Reply | None = None,
        *,
        looks: int | None = 1,
        fate: Callable[[int], str] = lambda number: "completed",
        share: float = 0.5,
        errors: tuple[dict[str, Any], ...] = (),
        before: Callable[[str], web.Response | None] = lambda step: None,
        after: Callable[[str], web.Response | None] = lambda step: None,
        edit: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda lines: lines,
        most_queued: int | None = None,
        refuse_create: bool = False,
        prefix: str = "/v1",
        check: Callable[[web.Request], web.Response | None] = lambda request: None,
        pending_files: int = 0,
    ) -> None:
        self.reply = reply or (lambda body: MathReplies()(body, request_key(body)))
        self.looks = looks
        self.fate = fate
        self.share = share
        self.errors = errors
        self.before = before
        self.after = after
        self.edit = edit
        self.most_queued = most_queued
        self.refuse_create = refuse_create
        self.check = check
        self.prefix = prefix
        self.pending_files = pending_files
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Made] = {}
        self.billed: Counter[int] = Counter()
        self.direct = 0
        self.steps: Counter[str] = Counter()
        self.seen: list[web.Request] = []
        self._answered: dict[str, Any] = {}
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}{self.prefix}"

    @property
    def billed_twice(self) -> int:
        """Return the number of calls that were done more than once."""
        return sum(number - 1 for number in self.billed.values())

    def finish(self) -> None:
        """End every batch at the next look."""
        self.looks = 0

    # The server itself

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="fake-batches", daemon=True)
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the server did not start within 10 s")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port)
        await site.start()
        self._port = runner.addresses[0][1]
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._over.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()  # read before a refusal too
        self.seen.append(request)
        if (refused := self.check(request)) is not None:
            return refused
        path = request.path.removeprefix(self.prefix)
        kind, _, rest = path.strip("/").partition("/")
        if path == request.path and self.prefix:
            return _error(404, f"no such address: {request.path}", "not_found")
        if path.endswith("/chat/completions"):
            self.direct += 1
            said = self._said(json.loads(body))
            return web.json_response(said[1], status=said[0])
        if kind == "models":
            return web.json_response({"object": "list", "data": [{"id": "fake-model"}]})
        step, do = self._route(request, kind, rest, body)
        if do is None:
            return _error(404, f"no such address: {request.method} {request.path}", "not_found")
        self.steps[step] += 1
        if (instead := await asyncio.to_thread(self.before, step)) is not None:
            return instead
        response = await do()
        return await asyncio.to_thread(self.after, step) or response

    def _route(self, request: web.Request, kind: str, rest: str, body: bytes) -> tuple[str, Any]:
        method = request.method
        if kind == "files":
            if method == "POST":
                return "upload", lambda: self._upload(request, body)
            if method == "DELETE":
                return "delete", lambda: self._delete(rest)
            if rest.endswith("/content"):
                return "results", lambda: self._content(rest.removesuffix("/content"))
            return "file", lambda: self._file(rest)
        if kind == "batches":
            if method == "POST":
                return "create", lambda: self._create(json.loads(body))
            return ("look", lambda: self._look(rest)) if rest else ("list", lambda: self._list(request))
        if kind == "messages" and rest.startswith("batches"):
            id = rest.removeprefix("batches").strip("/")
            if method == "POST":
                return "create", lambda: self._create_messages(json.loads(body))
            if id.endswith("/results"):
                return "results", lambda: self._results(id.removesuffix("/results"))
            return ("look", lambda: self._look(id)) if id else ("list", lambda: self._list(request))
        return "", None

    # Files

    async def _upload(self, request: web.Request, body: bytes) -> web.Response:
        # Parse what `web.Request.post` would, since the body was already read.
        boundary = request.headers["Content-Type"].partition("boundary=")[2].strip('"').encode()
        parts = {}
        for part in body.split(b"--" + boundary)[1:-1]:
            head, _, content = part.strip(b"\r\n").partition(b"\r\n\r\n")
            parts[head.partition(b'name="')[2].partition(b'"')[0]] = content
        if parts[b"purpose"] != b"batch":
            return _error(400, "purpose must be batch", "invalid_value")
        id = f"file-{len(self.files):04d}"
        self.files[id] = parts[b"file"]
        status = "pending" if self.pending_files else "processed"
        return web.json_response({"id": id, "object": "file", "purpose": "batch", "bytes": len(parts[b"file"]), "status": status})

    async def _file(self, id: str) -> web.Response:
        if id not in self.files:
            return _error(404, f"No such File object: {id}", "not_found")
        self.pending_files = max(0, self.pending_files - 1)
        return web.json_response({"id": id, "object": "file", "status": "pending" if self.pending_files else "processed"})

    async def _delete(self, id: str) -> web.Response:
        if self.files.pop(id, None) is None:
            return _error(404, f"No such File object: {id}", "not_found")
        return web.json_response({"id": id, "deleted": True})

    async def _content(self, id: str) -> web.Response:
        if id not in self.files:
            return _error(404, f"No such File object: {id}", "not_found")
        return web.Response(body=self.files[id])

    # Batches

    async def _create(self, body: dict[str, Any]) -> web.Response:
        assert body["completion_window"] == "24h", body
        file = body["input_file_id"]
        if file not in self.files:
            return _error(400, f"No such File object: {file}", "invalid_request_error")
        requests = [json.loads(line) for line in self.files[file].splitlines()]
        assert all(one["method"] == "POST" and one["url"] == body["endpoint"] for one in requests), requests[0]
        made = self._make("openai", requests, "batch", file=file, metadata=body.get("metadata") or {})
        if isinstance(made, web.Response):
            return made
        return web.json_response(self._shown(made))

    async def _create_messages(self, body: dict[str, Any]) -> web.Response:
        made = self._make("anthropic", body["requests"], "msgbatch")
        return made if isinstance(made, web.Response) else web.json_response(self._shown(made))

    def _make(self, protocol: str, requests: list[dict[str, Any]], prefix: str, **more: Any) -> Made | web.Response:
        names = [one["custom_id"] for one in requests]
        assert len(set(names)) == len(names) > 0 and all(len(name) <= 64 for name in names)
        number = len(self.batches)
        queued = sum(len(one.requests) for one in self.batches.values() if one.status == "in_progress") + len(requests)
        made = Made(f"{prefix}_{number:04d}", protocol, requests, **more)
        made.fate = self.fate(number)  # type: ignore[attr-defined]
        if self.most_queued is not None and queued > self.most_queued:
            said = f"Enqueued token limit reached for fake-model in organization org-1. Limit: {self.most_queued} enqueued tokens."
            if self.refuse_create:
                return _error(429, said, "token_limit_exceeded")
            made.fate = "failed"  # type: ignore[attr-defined]
            made.errors = [{"code": "token_limit_exceeded", "message": said, "param": None, "line": None}]
        elif made.fate == "failed":  # type: ignore[attr-defined]
            made.errors = list(self.errors)
        self.batches[made.id] = made
        return made

    async def _look(self, id: str) -> web.Response:
        made = self.batches.get(id)
        if made is None:
            return _error(404, f"No batch found with id {id}", "not_found")
        self._work(made)
        return web.json_response(self._shown(made))

    def _work(self, made: Made) -> None:
        made.looks += 1
        if made.status == "in_progress" and self.looks is not None and made.looks >= self.looks:
            self._end(made)

    async def _list(self, request: web.Request) -> web.Response:
        batches = sorted(self.batches.values(), key=lambda one: one.id, reverse=True)
        after = request.query.get("after") or request.query.get("after_id")
        ids = [one.id for one in batches]
        start = ids.index(after) + 1 if after else 0
        page = batches[start : start + 2]  # small, so that there are several
        for made in page:
            self._work(made)
        more = start + 2 < len(batches)
        return web.json_response(
            {"object": "list", "data": [self._shown(one) for one in page], "has_more": more, "last_id": page[-1].id if page else None}
        )

    async def _results(self, id: str) -> web.Response:
        return web.Response(body=_lines(self.batches[id].lines))

    def _end(self, made: Made) -> None:
        """Answer the calls of a batch, or as many as its fate allows, and bill them."""
        fate: str = made.fate  # type: ignore[attr-defined]
        made.status = fate
        if fate == "failed":
            return
        most = len(made.requests) if fate == "completed" else int(len(made.requests) * self.share)
        lines = [self._done(made, one) if at < most else self._undone(made, one, fate) for at, one in enumerate(made.requests)]
        lines = self.edit(lines)
        if made.protocol == "anthropic":
            made.lines = lines
            return
        made.lines = [line for line in lines if line.get("error") is None and line["response"]["status_code"] == 200]
        made.failures = [line for line in lines if line not in made.lines]
        for name, some in (("output", made.lines), ("error", made.failures)):
            if some:
                self.files[f"{name}-{made.id}"] = _lines(some)

    def _done(self, made: Made, one: dict[str, Any]) -> dict[str, Any]:
        body = one["body"] if made.protocol == "openai" else as_chat(one["params"])
        status, said = self._said(body)
        if status == 200:
            self.billed[request_key(body)] += 1
        name = one["custom_id"]
        if made.protocol == "openai":
            return {
                "id": f"r-{name}",
                "custom_id": name,
                "response": {"status_code": status, "request_id": "r", "body": said},
                "error": None,
            }
        if status != 200:
            kind = {400: "invalid_request_error", 429: "rate_limit_error"}.get(status, "api_error")
            error = {"type": "error", "error": {"type": kind, "message": said["error"]["message"]}, "request_id": "r"}
            return {"custom_id": name, "result": {"type": "errored", "error": error}}
        return {"custom_id": name, "result": {"type": "succeeded", "message": as_message(said)}}

    def _undone(self, made: Made, one: dict[str, Any], fate: str) -> dict[str, Any]:
        name = one["custom_id"]
        if made.protocol == "anthropic":
            return {"custom_id": name, "result": {"type": "canceled" if fate == "cancelled" else fate}}
        error = {"code": f"batch_{fate}", "message": "This request could not be executed before the completion window expired."}
        return {"id": f"r-{name}", "custom_id": name, "response": None, "error": error}

    def _said(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        said = self.reply(body)
        if isinstance(said, tuple):
            return said
        if isinstance(said, dict):
            return 200, said
        prompt = sum(len(str(message["content"])) for message in body["messages"]) // 4 + 1
        usage = {"prompt_tokens": prompt, "completion_tokens": len(said) // 4 + 1}
        choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        return 200, {"object": "chat.completion", "choices": [choice], "usage": usage | {"total_tokens": sum(usage.values())}}

    def _shown(self, made: Made) -> dict[str, Any]:
        if made.protocol == "openai":
            ended = made.status != "in_progress" and made.status != "failed"
            return {
                "id": made.id,
                "object": "batch",
                "status": made.status,
                "errors": {"object": "list", "data": made.errors} if made.status == "failed" else None,
                "input_file_id": made.file,
                "output_file_id": f"output-{made.id}" if ended and made.lines else None,
                "error_file_id": f"error-{made.id}" if ended and made.failures else None,
                "created_at": int(made.created),
                "request_counts": {"total": len(made.requests), "completed": len(made.lines), "failed": len(made.failures)},
                "metadata": made.metadata,
            }
        ended = made.status != "in_progress"
        kinds = Counter(line["result"]["type"] for line in made.lines)
        counts = {name: kinds[name] for name in ("succeeded", "errored", "canceled", "expired")}
        return {
            "id": made.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts | {"processing": 0 if ended else len(made.requests)},
            "created_at": datetime.fromtimestamp(made.created, UTC).isoformat().replace("+00:00", "Z"),
            "results_url": f"{self.base_url}/messages/batches/{made.id}/results" if ended else None,
        }


def as_chat(params: dict[str, Any]) -> dict[str, Any]:
    """Convert a request from Anthropic's form to OpenAI's, so that the model's reply is the same."""
    system = [{"role": "system", "content": params["system"]}] if "system" in params else []
    assert all(message["role"] in ("user", "assistant") for message in params["messages"])
    assert params["max_tokens"] > 0
    return {"model": params["model"], "messages": [*system, *params["messages"]]}


def as_message(completion: dict[str, Any]) -> dict[str, Any]:
    """Convert a completion from OpenAI's form to a message in Anthropic's."""
    choice, usage = completion["choices"][0], completion["usage"]
    content = choice["message"]["content"]
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    reason = {"stop": "end_turn", "length": "max_tokens"}.get(choice["finish_reason"], choice["finish_reason"])
    usage = {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}
    return {"id": "msg_1", "type": "message", "role": "assistant", "content": parts, "stop_reason": reason, "usage": usage}


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


def _error(status: int, message: str, code: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "invalid_request_error", "code": code, "param": None}}, status=status)
