"""LLMs of distilabel with replies scripted by purpose; importable, so that a saved pipeline finds them."""

from __future__ import annotations

from typing import Any

from distilabel.models.llms.base import LLM, AsyncLLM
from pydantic import PrivateAttr

from fake_replies import purpose_of

BREAKS = "<raise>"


class ScriptedLLM(LLM):
    """A synchronous LLM.

    Attributes:
        says: replies by purpose: one for every call, or a list to use in order. None is no reply; `BREAKS` raises.
        output_tokens: the count for each reply; 0: it counts none.
        marked: it raises an error on a chat with this text.
    """

    says: dict[str, Any]
    output_tokens: int = 0
    marked: str = BREAKS
    _asked: list[list[list[dict[str, str]]]] = PrivateAttr(default_factory=list)
    _place: dict[str, int] = PrivateAttr(default_factory=dict)

    @property
    def model_name(self) -> str:
        return "scripted"

    def generate(self, inputs: list[Any], num_generations: int = 1, max_new_tokens: int = 128) -> list[Any]:
        self._asked.append(inputs)
        return [self._reply(chat) for chat in inputs]

    def _reply(self, chat: list[dict[str, str]]) -> dict[str, Any]:
        if self.marked in chat[-1]["content"]:
            raise RuntimeError("the model broke on this")
        purpose = purpose_of({"messages": chat})
        said = self.says[purpose]
        if isinstance(said, list):
            place = self._place.get(purpose, 0)
            self._place[purpose] = place + 1
            said = said[place % len(said)]
        if said == BREAKS:
            raise RuntimeError("the model broke")
        counted = {"input_tokens": [7], "output_tokens": [self.output_tokens]} if self.output_tokens else {}
        return {"generations": [said], "statistics": counted}


class ScriptedAsyncLLM(AsyncLLM):
    """Scripted LLM that distilabel calls asynchronously."""

    says: dict[str, Any]
    output_tokens: int = 0
    marked: str = BREAKS
    _place: dict[str, int] = PrivateAttr(default_factory=dict)

    @property
    def model_name(self) -> str:
        return "scripted"

    async def agenerate(self, input: Any, num_generations: int = 1, max_new_tokens: int = 128) -> Any:
        return ScriptedLLM._reply(self, input)  # type: ignore[arg-type]
