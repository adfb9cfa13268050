"""Run of a batch's chains side by side, with one call of the LLM for all waiting requests; for the public steps, which get whole batches.

A run of `generate` uses the rolling window in `engine.py` instead. A chain is a strategy's or a check's coroutine. It is driven by hand
rather than by an event loop: distilabel's asynchronous LLMs run their own loop, and loops cannot be nested.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import types
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from typing import Any

from distilabel.models.llms.base import LLM, AsyncLLM
from pydantic import SecretStr

from axolotl_synthetic.errors import CallFailed, RefusedCall
from axolotl_synthetic.records import Candidate, Message, Reply, Request, Role
from axolotl_synthetic.teachers.distilabel import read_output
from axolotl_synthetic.teachers.redaction import Redactor, secrets_in, secrets_of_the_environment

Chain = Coroutine[Request, Reply, Candidate]
Answered = Reply | CallFailed
# Names of the limit of a reply's tokens in distilabel's classes.
LIMITS = ("max_new_tokens", "max_tokens")


@types.coroutine
def ask(request: Request) -> Generator[Request, Reply, Reply]:
    """Pass a request to `run_chains`; use this as the `ask` of a strategy or a check."""
    return (yield request)


def run_chains(chains: Sequence[Chain], answer: Callable[[Sequence[Request]], Sequence[Answered]]) -> list[Candidate | Exception]:
    """Run all chains to their ends, in rounds: each round answers the requests of all unfinished chains.

    Args:
        chains: not started yet.
        answer: makes the calls of one round; returns a reply or a failure for each.

    Returns:
        For each chain its candidate or its exception.
    """
    ended: dict[int, Candidate | Exception] = {}
    waiting: dict[int, Request] = {}

    def go_on(place: int, step: Callable[[Any], Request], value: Any) -> None:
        try:
            waiting[place] = step(value)
        except StopIteration as stop:
            ended[place] = stop.value
        except Exception as error:  # one row's failure must not affect others
            ended[place] = error

    for place, chain in enumerate(chains):
        go_on(place, chain.send, None)
    while waiting:
        asked = dict(waiting)
        waiting.clear()
        for place, reply in zip(asked, answer(list(asked.values())), strict=True):
            go_on(place, chains[place].throw if isinstance(reply, Exception) else chains[place].send, reply)
    return [ended[place] for place in range(len(chains))]


class Models:
    """LLMs of a step: the teacher and, if they are others, the augmenter and the student."""

    def __init__(self, llm: LLM, augmenter: LLM | None, student: LLM | None = None) -> None:
        teacher = _Model(llm)
        others: Mapping[Role, LLM | None] = {"augmenter": augmenter, "student": student}
        self._models: Mapping[Role, _Model] = {
            "teacher": teacher,
            **{role: teacher if other is None else _Model(other) for role, other in others.items()},
        }

    def answer(self, requests: Sequence[Request]) -> list[Answered]:
        """Answer the requests, with one batch for each LLM."""
        answered: list[Answered | None] = [None] * len(requests)
        for model in dict.fromkeys(self._models.values()):
            places = [place for place, request in enumerate(requests) if self._models[request.role] is model]
            for place, reply in zip(places, model.answer([requests[place].messages for place in places]), strict=True):
                answered[place] = reply
        return [reply for reply in answered if reply is not None]


class _Model:
    """One loaded LLM."""

    def __init__(self, llm: LLM) -> None:
        self._llm = llm
        key: Any = getattr(llm, "api_key", None)
        told = {"api_key": key.get_secret_value()} if isinstance(key, SecretStr) else {}
        self._redacted = Redactor([*secrets_in(told), *secrets_of_the_environment()])

    def answer(self, chats: Sequence[Sequence[Message]]) -> list[Answered]:
        if not chats:
            return []
        inputs = [[dict(message) for message in chat] for chat in chats]
        arguments = self._llm.get_generation_kwargs() or {}
        outputs = self._each(inputs, arguments) if isinstance(self._llm, AsyncLLM) else self._together(inputs, arguments)
        if any(isinstance(output, NotImplementedError) for output in outputs):  # MixtureOfAgentsLLM has no call for one input
            outputs = self._together(inputs, arguments)
        return [self._read(output, _most_tokens(self._llm, arguments)) for output in outputs]

    def _each(self, inputs: list[Any], arguments: Mapping[str, Any]) -> list[Any]:
        """Ask an asynchronous LLM as its `generate` does, except that a failed call affects only its own row."""

        async def gathered() -> list[Any]:
            return await asyncio.gather(*(self._llm.agenerate(input=one, **arguments) for one in inputs), return_exceptions=True)

        outputs: list[Any] = self._llm.event_loop.run_until_complete(gathered())
        return outputs

    def _together(self, inputs: list[Any], arguments: Mapping[str, Any]) -> list[Any]:
        """Ask any other LLM for the whole batch; if it raises, halve the batch until the failing rows are alone."""
        try:
            outputs = list(self._llm.generate_outputs(inputs=inputs, num_generations=1, **arguments))
            if len(outputs) != len(inputs):
                raise ValueError(f"{len(outputs)} outputs for {len(inputs)} inputs")
            return outputs
        except Exception as error:
            if len(inputs) == 1:
                return [error]
            half = len(inputs) // 2
            return self._together(inputs[:half], arguments) + self._together(inputs[half:], arguments)

    def _read(self, output: Any, most_tokens: float) -> Answered:
        if isinstance(output, BaseException):
            if not isinstance(output, Exception):
                raise output
            return RefusedCall(type(output).__name__, self._redacted(output))
        try:
            reply = read_output(output, most_tokens)
            reply.text.encode()
        except CallFailed as failed:
            return failed
        except UnicodeEncodeError:
            return RefusedCall("no_text", "the reply holds half of a surrogate pair, which no file can hold")
        except Exception as error:  # a class may return another shape than distilabel's own
            return RefusedCall("no_reply", f"{type(error).__name__}: {self._redacted(error)}")
        return reply


def _most_tokens(llm: LLM, arguments: Mapping[str, Any]) -> float:
    """Return the limit of a reply's tokens: the user's, else the class's default, else infinity (no reply counts as cut off)."""
    call = llm.agenerate if isinstance(llm, AsyncLLM) else llm.generate
    parameters = inspect.signature(call).parameters
    for name in LIMITS:
        limit = arguments.get(name, parameters[name].default if name in parameters else None)
        if isinstance(limit, int | float):
            return limit
    return math.inf
