"""HTTP of the fake server: one connection, and the form of replies, refusals and faults on the wire."""

from __future__ import annotations

import asyncio
import email.utils
import http.client
import json
import socket
import struct
import time
from typing import TYPE_CHECKING, Any, cast

from fake_faults import Fault

if TYPE_CHECKING:
    from fake_server import Call, FakeServer

Headers = dict[str, str]
JSON = "application/json"
CODES = {401: "invalid_api_key", 403: "permission_denied", 404: "not_found", 429: "rate_limit_exceeded"}


class Connection(asyncio.Protocol):
    """One keep-alive connection. Its requests are served one after another."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.busy = False
        self.last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self.server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self.server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        while not self.busy and self._take():
            pass

    def _take(self) -> bool:
        """Serve one request, if a whole one has arrived."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self.buffer[:end].decode("latin-1")
        request, *lines = head.split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        total = end + 4 + int(fields.get("content-length", 0))
        if len(self.buffer) < total:
            return False
        body, self.buffer = self.buffer[end + 4 : total], self.buffer[total:]
        self.busy = True
        self.last = fields.get("connection", "").lower() == "close"
        method, path, _ = request.split(" ", 2)
        address = path.partition("?")[0]
        refused = self.server.admit(path, fields) if self.server.admit is not None else None
        if refused is not None:
            self.send(*refused)
        elif method == "POST" and address.endswith(("/chat/completions", "/messages")):
            authorization = fields.get("authorization", fields.get("x-api-key"))
            key = None if authorization is None else authorization.removeprefix("Bearer ")
            self.server.arrived(self, body, fields, key, path)
        elif method == "POST" and address.endswith(":generateContent"):
            model = address.rpartition("/")[2].partition(":")[0]
            self.server.arrived(self, json.dumps(_as_chat(model, json.loads(body))).encode(), fields, fields.get("x-goog-api-key"), path)
        elif method == "GET" and address.endswith("/models"):
            names = self.server.models or ("fake-model",)
            self.send(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in names]})
        elif path == "/health":
            self.send(200, b"")
        elif path == "/stats":
            self.send(200, self.server.stats())
        elif path == "/reset":
            self.server.reset()
            self.send(200, {})
        else:
            self.send(*refusal(404, f"no such address: {method} {path}", "not_found"))
        return True

    def send(self, status: int, body: Any, headers: Headers | None = None, *, keep: float = 1.0) -> bool:
        """Send a response.

        Args:
            body: bytes, or a value that becomes JSON.
            keep: the share of the body that is sent; below 1, it is the connection's last reply.

        Returns:
            False if the client had disconnected.
        """
        if self.transport is None or self.transport.is_closing():
            return False
        if not isinstance(body, bytes):
            body = json.dumps(body, ensure_ascii=False).encode(errors="surrogatepass")
        if status == 200 and headers is None:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        else:
            extra = "".join(f"{name}: {value}\r\n" for name, value in ({"Content-Type": JSON} | (headers or {})).items())
            reason = http.client.responses.get(status, "Unknown")
            head = f"HTTP/1.1 {status} {reason}\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode()
        self.transport.write(head + (body if keep == 1.0 else body[: int(len(body) * keep)]))
        if self.last:
            self.transport.close()
        self.busy = keep != 1.0
        if self.buffer:
            self.data_received(b"")
        return True

    def reset(self) -> None:
        """End the connection by RST, like a server that crashed."""
        if self.transport is None:
            return
        raw = self.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def _as_chat(model: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return a request of Gemini's own API with the fields of an OpenAI-compatible one."""
    system = [{"role": "system", "parts": body["system_instruction"]["parts"]}] if "system_instruction" in body else []
    turns = [
        {"role": turn["role"].replace("model", "assistant"), "content": "".join(part["text"] for part in turn["parts"])}
        for turn in (*system, *body["contents"])
    ]
    how = body.get("generationConfig", {})
    return body | {"model": model, "messages": turns, "max_tokens": how.get("max_output_tokens"), "temperature": how.get("temperature")}


def refusal(status: int, message: str, code: str | None) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def success(call: Call, text: str | None, finish_reason: str = "stop") -> tuple[int, dict[str, Any]]:
    """Return a completion. Four characters are a token, and `max_tokens` cuts it off as it would a model's reply."""
    prompt = sum(len(str(message.get("content"))) for message in call.body["messages"]) // 4 + 1
    longest = call.body.get("max_tokens") or call.body.get("max_completion_tokens")
    completion = len(text or "") // 4 + 1
    if longest and completion > longest:
        text, completion, finish_reason = (text or "")[: longest * 4], longest, "length"
    return 200, {
        "id": f"chatcmpl-{call.number}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": call.body.get("model"),
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    }


def message(content: Any = None, finish_reason: Any = "stop", usage: Any = None, **fields: Any) -> tuple[int, dict[str, Any]]:
    """Return a response whose message has this content and these fields, for a `FakeServer`'s `reply`."""
    said = {"role": "assistant", "content": content, **fields}
    return 200, {"choices": [{"index": 0, "message": said, "finish_reason": finish_reason}], "usage": usage}


def counted(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    """Return a `usage`; `total_tokens` is their sum unless it is given."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}


def misbehave(server: FakeServer, connection: Connection, call: Call, fault: Fault, text: str) -> None:
    """Let `fault` strike the call that would have been answered with `text`."""
    kind = fault.kind
    if kind == "timeout":
        return
    if kind == "go_away":
        server.go_away(fault.away)
    elif kind == "reset_before_headers":
        connection.reset()
    elif kind == "reset_after_headers":
        connection.send(*success(call, text), keep=0)
        # An immediate reset would overtake the headers.
        asyncio.get_running_loop().call_later(0.02, connection.reset)
    elif kind == "half_body":
        connection.send(*success(call, text), keep=0.5)
        if connection.transport is not None:
            connection.transport.close()
    elif fault.status != 200:
        connection.send(*_error(fault, call), _retry_after(fault))
    elif kind == "html":
        connection.send(200, b"<html><body>Sign in to the guest network</body></html>", {"Content-Type": "text/html"})
    elif kind == "wrong_encoding":
        body = json.dumps(success(call, f"café, naïve: {text}")[1], ensure_ascii=False).encode("latin-1", errors="replace")
        connection.send(200, body, {"Content-Type": f"{JSON}; charset=utf-8"})
    else:
        connection.send(200, _content(fault, call, text))


def _content(fault: Fault, call: Call, text: str) -> Any:
    """Return the body of a fault that is a reply of status 200."""
    if fault.kind == "invalid_json":
        return b'{"id": "chatcmpl-0", "choices": [{"message": '
    if fault.kind == "no_choices":
        return success(call, text)[1] | {"choices": []}
    if fault.kind == "huge":
        # Build it from bytes: JSON of this size would block every other connection.
        before, after = json.dumps(success(call, "@")[1]).encode().split(b"@")
        return before + b"x" * int(fault.megabytes * 1024 * 1024) + after
    said, finish_reason = {
        "empty": ("", "stop"),
        "null": (None, "stop"),
        "content_filter": (None, "content_filter"),
        "length": (text[: len(text) // 2], "length"),
    }[fault.kind]
    return success(call, said, finish_reason)[1]


def _error(fault: Fault, call: Call) -> tuple[int, dict[str, Any]]:
    model = call.body.get("model")
    if fault.kind == "unknown_model":
        return refusal(404, f"The model `{model}` does not exist or you do not have access to it.", "model_not_found")
    if fault.kind == "context_length":
        return refusal(400, "This model's maximum context length is exceeded; reduce the messages.", "context_length_exceeded")
    if fault.kind == "refused":
        return refusal(400, "The request was rejected as a result of our safety system.", "content_filter")
    return refusal(fault.status, f"injected {fault.status}", CODES.get(fault.status, "server_error" if fault.status >= 500 else None))


def _retry_after(fault: Fault) -> Headers:
    if fault.retry_after is None:
        return {}
    if fault.as_date:
        return {"Retry-After": email.utils.formatdate(time.time() + fault.retry_after, usegmt=True)}
    return {"Retry-After": f"{fault.retry_after:g}"}
