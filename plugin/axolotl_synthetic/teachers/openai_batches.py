"""OpenAI's batches: a file of calls is uploaded, a batch is created from it, and its results are two files. Azure and Groq work alike.

With an Azure deployment (`…/openai/deployments/NAME`), the paths of files and batches are beside `deployments`. A call's `model` is the
deployment's name and its `url` is `/chat/completions`. Azure may process a file before a batch can be created from it.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import aiohttp
import orjson

from axolotl_synthetic.config import OpenAIModel
from axolotl_synthetic.errors import RetryableCall, ServiceError
from axolotl_synthetic.records import Reply
from axolotl_synthetic.teachers.batches import (
    BatchClient,
    Ended,
    NotThere,
    Result,
    Sent,
    Stand,
    Unreachable,
    count,
    text,
    without_wait,
)
from axolotl_synthetic.teachers.parameters import Parameters

# https://platform.openai.com/docs/guides/batch: 50,000 requests and 200 MB in a file, less a margin.
MOST_CALLS, MOST_BYTES = 50_000, 190_000_000
ENDPOINT, DEPLOYMENTS_ENDPOINT = "/v1/chat/completions", "/chat/completions"
DEPLOYMENTS = "/deployments/"
# Name of our token in a batch's metadata.
TOKEN = "axolotl_synthetic"
PAGE = 100
# Seconds by which the clocks may differ: a day, to be safe.
SKEW = 86_400
# Seconds between two looks at a file that the provider is processing.
FILE_SECONDS = 1.0
_PROCESSING = ("pending", "running", "uploading", "notrunning", "not_running", "queued")
_ENDED: Mapping[str, Ended] = {"completed": "completed", "expired": "expired", "cancelled": "cancelled", "canceled": "cancelled"}
# Errors of calls that the provider never began.
_UNTOUCHED = {"batch_expired": "batch_expired", "batch_cancelled": "batch_cancelled", "batch_canceled": "batch_cancelled"}
_FULL = ("token_limit_exceeded", "enqueued", "queue_full", "quota_exceeded")


class OpenAIBatches(BatchClient):
    """Client of OpenAI's batches; see `batches.Batches`."""

    def __init__(self, settings: OpenAIModel) -> None:
        super().__init__(settings)
        self.most_calls = self._batch.requests or MOST_CALLS
        self.most_bytes = int((self._batch.megabytes or 0) * 1e6) or MOST_BYTES
        self._root, _, deployment = settings.url.partition(DEPLOYMENTS)
        self._model = deployment.partition("/")[0] or settings.model
        self._endpoint = self._batch.endpoint or (DEPLOYMENTS_ENDPOINT if deployment else ENDPOINT)

    def line(self, custom_id: str, sent: Sent) -> bytes:
        return orjson.dumps({"custom_id": custom_id, "method": "POST", "url": self._endpoint, "body": self._body(sent, self._parameters)})

    async def upload(self, token: str, lines: Sequence[bytes]) -> str:
        form = aiohttp.FormData()
        form.add_field("purpose", "batch")
        content = b"\n".join(lines) + b"\n"
        form.add_field("file", io.BytesIO(content), filename=f"axolotl-synthetic-{token}.jsonl", content_type="application/jsonl")
        try:
            file = await self._request("POST", self._at("/files"), form=form, size=len(content))
        except NotThere as error:
            raise self._no_batches(error) from error
        if not (id := self._id(file.get("id"))):
            raise Unreachable("an upload without an id", done=False)
        while text(file.get("status")).lower() in _PROCESSING:
            await asyncio.sleep(FILE_SECONDS)
            file = await self._request("GET", self._at(f"/files/{id}"))
        if text(file.get("status")).lower() in ("error", "failed"):
            said = self._redacted(file.get("status_details") or "no reason given")
            raise ServiceError(
                f"{self._settings.url} cannot use the uploaded calls ({said}); see whether this model takes batches, or remove `batch`"
            )
        return id

    async def create(self, token: str, file: str | None, lines: Sequence[bytes]) -> Stand:
        body: dict[str, Any] = {"input_file_id": file, "endpoint": self._endpoint, "completion_window": self._batch.window}
        try:
            return self._stand(await self._request("POST", self._at("/batches"), body=body | {"metadata": {TOKEN: token}}))
        except ServiceError as error:
            if "metadata" not in str(error):
                raise
            # Without metadata, `find` recognises the batch by its file.
            return self._stand(await self._request("POST", self._at("/batches"), body=body))
        except NotThere as error:
            raise self._no_batches(error) from error

    async def find(self, token: str, file: str | None, calls: int, since: float, known: set[str]) -> Stand | None:
        if file is None:
            return None  # without a file there can be no batch
        after = ""
        while True:
            query = {"limit": PAGE} | ({"after": after} if after else {})
            try:
                page = await self._request("GET", self._at("/batches", query))
            except NotThere as error:
                raise self._no_batches(error) from error
            listed = [one for one in page.get("data") or () if isinstance(one, dict)]
            for one in listed:
                metadata = one.get("metadata")
                if one.get("input_file_id") == file or (isinstance(metadata, dict) and metadata.get(TOKEN) == token):
                    return self._stand(one)
            after = text(page.get("last_id")) or (text(listed[-1].get("id")) if listed else "")
            old = listed and all(isinstance(one.get("created_at"), int) and one["created_at"] < since - SKEW for one in listed)
            if not page.get("has_more") or not after or old:
                return None

    async def forbid(self, file: str) -> bool:
        try:
            await self._request("DELETE", self._at(f"/files/{file}"))
        except NotThere:
            return True
        except ServiceError:  # the server deletes no files
            return False
        return True

    async def look(self, id: str) -> Stand:
        return self._stand(await self._request("GET", self._at(f"/batches/{id}")))

    async def results(self, stand: Stand) -> AsyncIterator[Result]:
        for file in stand.results:
            async for data in self._lines(self._at(f"/files/{file}/content")):
                yield Result(text(data.get("custom_id")), data)

    def read(self, result: Result, sent: Sent, spelling: str) -> Reply:
        response, error = result.data.get("response"), result.data.get("error")
        response = response if isinstance(response, dict) else {}
        status, body = response.get("status_code"), response.get("body")
        if error and not body:
            code = text(error.get("code")) if isinstance(error, dict) else ""
            said = self._redacted(error.get("message") or error if isinstance(error, dict) else error)
            untouched = _UNTOUCHED.get(code)
            # Any other error also means that no reply was generated.
            raise without_wait(RetryableCall(untouched or "batch_error", said, cost="none" if untouched else "query"))
        body_sent = self._body(sent, self._spelled(spelling))
        if isinstance(status, int) and status != 200:
            raise self._refused_row(status, body, body_sent)
        return self._whole(orjson.dumps(body), sent, body_sent)

    def _body(self, sent: Sent, parameters: Parameters) -> dict[str, Any]:
        seed = None if sent.generation.seed is None else sent.generation.seed + sent.sample
        return parameters.body(self._model, sent.messages, sent.generation, seed)

    def _stand(self, data: Mapping[str, Any]) -> Stand:
        if not (id := self._id(data.get("id"))):
            raise Unreachable("a batch without an id")
        told, counts = self._redacted(text(data.get("status")).lower(), 40), data.get("request_counts")
        total, done, failed = count(counts, "total"), count(counts, "completed"), count(counts, "failed")
        ended, said = _ENDED.get(told, ""), ""
        if told == "failed":
            errors = data.get("errors")
            listed = errors.get("data") if isinstance(errors, dict) else errors
            problems = [one for one in listed or () if isinstance(one, dict)] if isinstance(listed, list | tuple) else []
            said = self._redacted("; ".join(_problem(one) for one in problems[:3]) or "no reason given")
            codes = " ".join(f"{one.get('code')} {one.get('message')}" for one in problems).lower()
            ended = "full" if any(word in codes for word in _FULL) else "refused"
        files = tuple(self._id(data.get(name)) for name in ("output_file_id", "error_file_id"))
        return Stand(id, told, ended, total, done, failed, said, tuple(file for file in files if file))

    def _no_batches(self, error: NotThere) -> ServiceError:
        return ServiceError(
            f"{self._settings.url} has no batches ({error}); remove `batch`, or correct `base_url`, or name the protocol (`batch:"
            " anthropic`)"
        )


def _problem(error: Mapping[str, Any]) -> str:
    line = "" if error.get("line") is None else f" (line {error['line']})"
    return f"{error.get('code') or 'error'}: {error.get('message')}{line}"
