"""Any distilabel LLM class as a teacher.

Asynchronous classes get one request per call; the others (such as `TransformersLLM`) get waiting requests as one batch, in a thread.
distilabel says little about how a call failed. What the exception tells is used, and any other failure is retried. distilabel's own
retries are switched off, because no budget would count those calls.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from distilabel.models.llms.base import LLM, AsyncLLM

from axolotl_synthetic.config import DistilabelModel, Generation
from axolotl_synthetic.errors import CallFailed, ConfigError, RefusedCall, RetryableCall, ServiceError
from axolotl_synthetic.records import Message, Reply
from axolotl_synthetic.teachers.redaction import Redactor, secrets_in, secrets_of_the_environment
from axolotl_synthetic.teachers.replies import usable, without_keys
from axolotl_synthetic.teachers.usage import read_usage


def open_teacher(settings: DistilabelModel) -> DistilabelTeacher:
    """Create and load the LLM.

    Raises:
        ConfigError: if there is no such class, or it does not take these arguments.
        ServiceError: if it cannot load: a missing package, key or model.
    """
    redacted = Redactor([*secrets_in(settings.kwargs), *secrets_of_the_environment()])
    llm_class = _class(settings.llm)
    arguments = dict(settings.kwargs)
    if settings.model is not None and "model" in llm_class.model_fields:
        arguments.setdefault("model", settings.model)
    if "max_retries" in llm_class.model_fields:
        arguments["max_retries"] = 0
    if "timeout" in llm_class.model_fields:
        arguments.setdefault("timeout", max(1, int(settings.timeout)))
    try:
        llm = llm_class(**arguments)
    except (ValueError, TypeError) as error:  # pydantic's ValidationError is a ValueError
        raise ConfigError(f"synthetic.teacher.kwargs: {settings.llm} cannot be made with them: {redacted(error)}") from error
    try:
        llm.load()
    except ImportError as error:
        raise ServiceError(f"{settings.llm} needs a package that is not installed: {redacted(error)}; install it") from error
    except Exception as error:
        raise ServiceError(f"{settings.llm} cannot be loaded: {redacted(error)}; correct `kwargs`, or the key's variable") from error
    return DistilabelTeacher(settings, llm, redacted)


def _class(name: str) -> type[LLM]:
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module or "distilabel.models"), attribute)
    except (ImportError, AttributeError, ValueError, SystemExit) as error:
        raise ConfigError(
            f"synthetic.teacher.llm: {name!r} is neither a class of distilabel.models nor an importable dotted path"
            f" ({type(error).__name__}: {error})"
        ) from error
    if not (inspect.isclass(found) and issubclass(found, LLM)):
        raise ConfigError(f"synthetic.teacher.llm: {name!r} is no subclass of distilabel's LLM")
    return found


class DistilabelTeacher:
    """Teacher that asks a distilabel LLM; see `teachers.Teacher`."""

    def __init__(self, settings: DistilabelModel, llm: LLM, redacted: Redactor) -> None:
        self._settings = settings
        self._redacted = redacted
        self._llm = llm
        call = llm.agenerate if isinstance(llm, AsyncLLM) else llm.generate
        self._accepts = set(inspect.signature(call).parameters)
        given = {**settings.generation.further, **({} if settings.generation.top_p is None else {"top_p": None})}
        if refused := sorted(given.keys() - self._accepts):
            raise ConfigError(
                f"synthetic.teacher.generation: {settings.llm} takes no {', '.join(f'`{name}`' for name in refused)}; remove it, or write"
                " what the class takes into `kwargs`"
            )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="distilabel-llm")
        self._waiting: list[tuple[list[Message], Generation, asyncio.Future[Reply]]] = []
        self._batches: asyncio.Task[None] | None = None

    async def complete(self, messages: Sequence[Message], generation: Generation, sample: int) -> Reply:
        chat: list[Message] = [dict(message) for message in messages]
        if not isinstance(self._llm, AsyncLLM):
            return await self._in_a_batch(chat, generation)
        began = time.monotonic()
        try:
            call = self._llm.agenerate(input=chat, num_generations=1, **self._arguments(generation))
            output = await asyncio.wait_for(call, self._settings.timeout)
        except Exception as error:
            raise _failure(error, self._settings, self._redacted) from error
        return read_output(output, generation.max_new_tokens, time.monotonic() - began, self._redacted)

    async def close(self) -> None:
        if self._batches is not None:
            self._batches.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._llm.unload()

    def _arguments(self, generation: Generation) -> dict[str, Any]:
        """Return the sampling parameters that this class accepts."""
        wanted = {**generation.model_dump(exclude_none=True), "do_sample": generation.temperature != 0}
        if generation.temperature == 0 and "do_sample" in self._accepts:
            del wanted["temperature"]  # transformers refuses 0; `do_sample` alone makes it greedy
        return {name: value for name, value in wanted.items() if name in self._accepts}

    async def _in_a_batch(self, chat: list[Message], generation: Generation) -> Reply:
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append((chat, generation, future))
        if self._batches is None or self._batches.done():
            self._batches = asyncio.create_task(self._run_batches())
        return await future

    async def _run_batches(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            await asyncio.sleep(0)  # let requests of this moment join the batch
            # A batch has one set of sampling parameters; other requests wait for the next.
            generation = self._waiting[0][1]
            batch = [one for one in self._waiting if one[1] == generation][: self._settings.concurrency]
            self._waiting = [one for one in self._waiting if one not in batch]
            began = time.monotonic()
            try:
                outputs = await loop.run_in_executor(self._thread, self._generate, [chat for chat, _, _ in batch], generation)
            except Exception as error:
                for _, _, future in batch:
                    if not future.done():
                        future.set_exception(_failure(error, self._settings, self._redacted))
                continue
            seconds = time.monotonic() - began
            for (_, _, future), output in zip(batch, outputs, strict=True):
                if future.done():
                    continue
                try:
                    future.set_result(read_output(output, generation.max_new_tokens, seconds, self._redacted))
                except CallFailed as error:
                    future.set_exception(error)

    def _generate(self, chats: list[list[Message]], generation: Generation) -> list[dict[str, Any]]:
        outputs: list[dict[str, Any]] = self._llm.generate(inputs=chats, num_generations=1, **self._arguments(generation))
        return outputs


def read_output(output: Any, most_tokens: float, seconds: float = 0.0, redacted: Redactor | None = None) -> Reply:
    """Return the first reply in distilabel's output for one input; only its length can show that it was cut off.

    Args:
        output: `generations` and `statistics`, or None.
        most_tokens: the call's limit in completion tokens.
        seconds: duration of the call.
        redacted: finds keys, which no reply may hold; None where no key is known.

    Raises:
        RetryableCall, RefusedCall: see `replies.usable` and `replies.without_keys`.
    """
    given = output or {}
    text = next(iter(given.get("generations") or []), None)
    statistics = given.get("statistics") or {}
    counts = {name: next(iter(statistics.get(name) or []), None) for name in ("input_tokens", "output_tokens")}
    prompt, completion, *_ = read_usage(counts)
    cut_off = completion is not None and completion >= most_tokens
    reply = Reply(text if isinstance(text, str) else "", "length" if cut_off else "stop", prompt, completion, seconds)
    return usable(reply if redacted is None else without_keys(reply, redacted))


def _failure(error: Exception, settings: DistilabelModel, redacted: Redactor) -> Exception:
    status = getattr(error, "status_code", None)
    if status in (401, 403):
        return ServiceError(f"{settings.llm}: the server refuses the key (HTTP {status}); set the variable that the class reads")
    if status == 404:
        return ServiceError(f"{settings.llm}: the server does not know the model or the address (HTTP 404); correct `kwargs`")
    if isinstance(status, int) and 400 <= status < 500 and status not in (408, 409, 425, 429):
        return RefusedCall(f"http_{status}", redacted(error), cost="query")
    if isinstance(status, int):
        return RetryableCall(f"http_{status}", redacted(error), slow_down=status in (429, 503))
    if isinstance(error, TimeoutError):
        return RetryableCall("timeout", f"no reply within {settings.timeout:g} s")
    return RetryableCall(type(error).__name__, redacted(error))
