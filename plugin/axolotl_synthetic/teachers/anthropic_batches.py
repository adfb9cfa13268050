"""Anthropic's message batches: the calls, in Anthropic's own format, are the body of the request that creates the batch.

A batch has no metadata. One whose id never arrived is found by its creation time, its number of calls and, once it has ended, the ids of
its calls, which begin with our token. https://docs.claude.com/en/api/creating-message-batches
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from axolotl_synthetic.config import OpenAIModel
from axolotl_synthetic.errors import RetryableCall, ServiceError
from axolotl_synthetic.records import Reply
from axolotl_synthetic.teachers import network
from axolotl_synthetic.teachers.batches import BatchClient, Ended, NotThere, Result, Sent, Stand, Unreachable, count, text, without_wait
from axolotl_synthetic.teachers.openai import anthropic_headers

# https://docs.claude.com/en/docs/build-with-claude/batch-processing: 100,000 requests or 256 MB, less a margin.
MOST_CALLS, MOST_BYTES = 100_000, 240_000_000
PAGE = 100
# Seconds by which our clock and the provider's may differ.
SKEW = 900
# HTTP statuses of named errors. https://docs.claude.com/en/api/errors
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_COUNTS = ("processing", "succeeded", "errored", "canceled", "expired")


class AnthropicBatches(BatchClient):
    """Client of Anthropic's batches; see `batches.Batches`."""

    def __init__(self, settings: OpenAIModel) -> None:
        super().__init__(settings)
        self.most_calls = self._batch.requests or MOST_CALLS
        self.most_bytes = int((self._batch.megabytes or 0) * 1e6) or MOST_BYTES
        self._secret_headers = anthropic_headers(self._secret_headers)
        base = settings.url
        self._root = f"{base if base.endswith('/v1') else f'{base}/v1'}/messages/batches"

    def line(self, custom_id: str, sent: Sent) -> bytes:
        return orjson.dumps({"custom_id": custom_id, "params": self._body(sent)})

    async def upload(self, token: str, lines: Sequence[bytes]) -> None:
        return None

    async def create(self, token: str, file: str | None, lines: Sequence[bytes]) -> Stand:
        body = orjson.Fragment(b'{"requests":[' + b",".join(lines) + b"]}")
        try:
            return self._stand(await self._request("POST", self._at(), body=body))
        except NotThere as error:
            raise self._no_batches(error) from error

    async def find(self, token: str, file: str | None, calls: int, since: float, known: set[str]) -> Stand | None:
        after, open = "", 0
        while True:
            query = {"limit": PAGE} | ({"after_id": after} if after else {})
            try:
                page = await self._request("GET", self._at(query=query))
            except NotThere as error:
                raise self._no_batches(error) from error
            listed = [one for one in page.get("data") or () if isinstance(one, dict)]
            for one in listed:
                made = _time(one.get("created_at"))
                stand = self._stand(one)
                if stand.id in known or stand.total != calls or (made is not None and made < since - SKEW):
                    continue
                if not stand.ended:
                    open += 1
                elif await self._is_ours(stand, token):
                    return stand
            after = text(page.get("last_id")) or (text(listed[-1].get("id")) if listed else "")
            times = [_time(one.get("created_at")) for one in listed]
            if not page.get("has_more") or not after or all(made is not None and made < since - SKEW for made in times):
                break
        if open:
            raise Unreachable(f"{open} batches of as many calls have not ended, and one of them may be ours")
        return None

    async def _is_ours(self, stand: Stand, token: str) -> bool:
        async for result in self.results(stand):
            return result.custom_id.startswith(f"{token}-")
        return False

    async def forbid(self, file: str) -> bool:
        return False

    async def look(self, id: str) -> Stand:
        return self._stand(await self._request("GET", self._at(f"/{id}")))

    async def results(self, stand: Stand) -> AsyncIterator[Result]:
        told = stand.results[0] if stand.results else ""
        url = told if told and network.same_server(self._root, told) else self._at(f"/{stand.id}/results")
        async for data in self._lines(url):
            yield Result(text(data.get("custom_id")), data)

    def read(self, result: Result, sent: Sent, spelling: str) -> Reply:
        data = result.data.get("result")
        data = data if isinstance(data, dict) else {}
        kind = text(data.get("type"))
        if kind in ("expired", "canceled", "cancelled"):
            reason = "batch_expired" if kind == "expired" else "batch_cancelled"
            raise without_wait(RetryableCall(reason, "the batch ended before this call was begun", cost="none"))
        body_sent = self._body(sent)
        if kind != "succeeded":
            inner = _inner(_inner(data))
            raise self._refused_row(_STATUSES.get(text(inner.get("type")), 500), {"error": dict(inner)}, body_sent)
        return self._whole(orjson.dumps(_as_completion(data.get("message"))), sent, body_sent)

    def _body(self, sent: Sent) -> dict[str, Any]:
        """Return a call in Anthropic's own format: the system text apart, and `stop_sequences`."""
        generation = sent.generation
        system = [message["content"] for message in sent.messages if message["role"] == "system"]
        body: dict[str, Any] = {
            "model": self._settings.model,
            "max_tokens": generation.max_new_tokens,
            "messages": [message for message in sent.messages if message["role"] != "system"],
        }
        if system:
            body["system"] = "\n\n".join(system)
        if generation.temperature is not None:
            body["temperature"] = generation.temperature
        if generation.top_p is not None:
            body["top_p"] = generation.top_p
        if generation.stop:
            body["stop_sequences"] = generation.stop
        return body | generation.extra_body

    def _stand(self, data: Mapping[str, Any]) -> Stand:
        if not (id := self._id(data.get("id"))):
            raise Unreachable("a batch without an id")
        told, counts = self._redacted(text(data.get("processing_status")).lower(), 40), data.get("request_counts")
        failed = count(counts, "errored", "canceled", "expired")
        url = text(data.get("results_url"))
        ended: Ended = "completed" if told == "ended" else ""
        return Stand(id, told, ended, count(counts, *_COUNTS), count(counts, "succeeded"), failed, "", (url,) if url else ())

    def _no_batches(self, error: NotThere) -> ServiceError:
        return ServiceError(f"{self._settings.url} has no message batches ({error}); correct `base_url`, or remove `batch`")


def _inner(error: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the error inside an object, or the object itself if there is none."""
    inner = error.get("error")
    return inner if isinstance(inner, dict) else error


def _as_completion(message: object) -> dict[str, Any]:
    """Return a message as a completion, since the reader of completions knows Anthropic's content parts, stop reasons and usage."""
    if not isinstance(message, dict):
        return {}
    choice = {"message": {"role": "assistant", "content": message.get("content")}, "finish_reason": message.get("stop_reason")}
    return {"choices": [choice], "usage": message.get("usage")}


def _time(value: object) -> float | None:
    """Return an RFC 3339 time as Unix time; None for another value."""
    try:
        return datetime.fromisoformat(text(value)).timestamp()
    except ValueError:
        return None
