"""Body of a call, and the meaning of a server's refusal of it.

A server's other name for the token limit and a model's lack of a system role are remembered for the run. Any other parameter that a
refusal names is a key of the config for the user to change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from axolotl_synthetic.config import Generation
from axolotl_synthetic.records import Message
from axolotl_synthetic.teachers.server_errors import ServersError

LIMIT, OTHER_LIMIT = "max_tokens", "max_completion_tokens"
_REFUSED = (400, 422)
# Some servers report a failed chat template as an internal error (llama.cpp, older vLLM).
_TEMPLATE_FAILED = (*_REFUSED, 500, 501)
# Refusals of several choices; llama.cpp says "Only one completion choice is allowed".
_SEVERAL = re.compile(r"\bchoices?\b|['\"`]n['\"`]|\bn (?:=|must|>)", re.IGNORECASE)
_REFUSING = re.compile(
    r"unsupported|(?:not|n't|n’t|only|un)\W+(?:\w+\W+){0,3}?(?:support|permit|allow|accept|enabl|availab|compatib|specif)|only\b.*\bsupported"
    r"|unknown|unrecogni[sz]ed|unexpected|deprecated|extra_forbidden|invalid|must |should |cannot|too (?:large|high|small|low)|at most"
    r"|at least|maximum|range",
    re.IGNORECASE | re.DOTALL,
)
_SYSTEM = re.compile(
    r"\b(?:system|developer)\W{1,3}(?:role|message|prompt|instruction)|\broles?\b[^.]{0,40}\bsystem\b|['\"]system['\"]"
    r"|roles must alternate",
    re.IGNORECASE,
)
# Refusals of one prompt, not of every call.
_TOO_LONG = re.compile(r"context|too long|(?:prompt|input)\W+(?:length|tokens)", re.IGNORECASE)
# Demands for a missing parameter: DashScope's "parameter.enable_thinking must be set to false for non-streaming calls".
_WANTED = re.compile(
    r"(?:parameter|property|argument|field)[\s.:'\"`]+(?P<must>[a-z_][\w-]*)['\"`]*\s+(?:must|should|is required|is missing)"
    r"|missing (?:\w+ )*?(?:parameter|property|argument|field)s?[\s:'\"`]+(?P<missing>[a-z_][\w-]*)",
    re.IGNORECASE,
)
# Location of an error in FastAPI's form (vLLM, SGLang, Mistral); the rest may echo the whole body.
_LOCATED = re.compile(r"['\"]loc['\"]:\s*[\[(]\s*['\"]body['\"],\s*['\"](\w+)")
# Parameters that are common English words: they count only where quoted or called a parameter.
_WORDS = {"stop", "seed", "user", "store", "tools", "provider", "models", "service", "thinking", "reasoning"}


class Parameters:
    """Parameters that one server takes, learnt from its replies and remembered for the run.

    Args:
        system_role: the value from the config.
    """

    def __init__(self, system_role: Literal["auto", "fold", "keep"]) -> None:
        self._system_role = system_role
        self._folds = system_role == "fold"
        self._limit = LIMIT
        self._accepted: set[str] = set()
        self._takes_several = True

    @property
    def spelling(self) -> dict[str, Any]:
        """Return what was learnt about sending: the limit's name, and whether the system text is folded in."""
        return {"limit": self._limit, "folds": self._folds}

    @spelling.setter
    def spelling(self, told: Mapping[str, Any]) -> None:
        self._limit, self._folds = str(told["limit"]), bool(told["folds"])

    def body(self, model: str, messages: Sequence[Message], generation: Generation, seed: int | None, number: int = 1) -> dict[str, Any]:
        """Return the body to send, asking for `number` replies unless the server has refused several before."""
        body: dict[str, Any] = {"model": model, "messages": fold(messages) if self._folds else messages}
        if generation.temperature is not None:
            body["temperature"] = generation.temperature
        body[self._limit] = generation.max_new_tokens
        for name in ("top_p", "stop", "reasoning_effort"):
            if (value := getattr(generation, name)) is not None:
                body[name] = value
        if seed is not None:
            body["seed"] = seed
        if number > 1 and self._takes_several:
            body["n"] = number
        return body | generation.extra_body

    def accept(self, body: Mapping[str, Any]) -> None:
        """Record that a call was answered: later refusals are then not due to these parameters."""
        self._accepted |= body.keys()
        if _has_system(body):
            self._accepted.add("system")

    def adapts(self, status: int, error: ServersError, body: Mapping[str, Any]) -> bool:
        """Return whether to repeat the call with changed parameters, which later calls use too."""
        said = error.message
        if LIMIT in body and LIMIT not in self._accepted and status in _REFUSED and OTHER_LIMIT in said and not _TOO_LONG.search(said):
            self._limit = OTHER_LIMIT
            return True
        if self._system_role == "auto" and self._refuses_system(status, said, body):
            self._folds = True
            return True
        if "n" in body and "n" not in self._accepted and self._may_refuse_several(status, error):
            self._takes_several = False
            return True
        return False

    def _may_refuse_several(self, status: int, error: ServersError) -> bool:
        """Return whether the server may refuse several replies.

        Servers say so in too many ways to list, so any plausible refusal counts; if it had another reason, the repeated call fails too.
        """
        if error.names & {"context_length_exceeded", "content_filter"} or _TOO_LONG.search(error.message):
            return False
        return status in _REFUSED or (status in _TEMPLATE_FAILED and _SEVERAL.search(error.message) is not None)

    def remedy(self, status: int, error: ServersError, body: Mapping[str, Any]) -> str | None:
        """Return what to change in the config; None where the refusal names nothing that every call sends."""
        if self._refuses_system(status, error.message, body):
            return "write `system_role: fold`"
        if status not in _REFUSED or _TOO_LONG.search(error.message) or error.names & {"context_length_exceeded", "content_filter"}:
            return None
        names = [name for name in body if name not in ("model", "messages") and name not in self._accepted]
        located = _LOCATED.search(error.message)
        parameter = located[1] if located else re.split(r"[.\[]", error.parameter)[0]
        name = next((one for one in names if one in (parameter, error.parameter.replace(".", "_"))), None)
        if name is None and located is None and _REFUSING.search(error.message):
            name = next((one for one in sorted(names, key=len, reverse=True) if _is_named(one, error.message)), None)
        if name in (LIMIT, OTHER_LIMIT):
            return "set `generation.max_new_tokens` to what it takes"
        if name in Generation.model_fields:
            return f"write `generation: {{{name}: null}}`, or a value that it takes"
        if name is not None:
            return f"correct or remove `{name}` in `generation.extra_body`"
        wanted = _WANTED.search(error.message)
        name = parameter if located else wanted and (wanted["must"] or wanted["missing"])
        if not name or name in body or self._accepted:
            return None
        if "-" in name or (wanted is not None and "query" in wanted[0].lower()):
            return f"write `query: {{{name}: …}}`"
        return f"write `generation: {{extra_body: {{{name}: …}}}}` with the value that it takes"

    def _refuses_system(self, status: int, said: str, body: Mapping[str, Any]) -> bool:
        if status not in _TEMPLATE_FAILED or "system" in self._accepted or not _has_system(body):
            return False
        found = _SYSTEM.search(said)
        return found is not None and bool("alternate" in found[0].lower() or _REFUSING.search(said) or " no system" in said.lower())


def fold(messages: Sequence[Message]) -> Sequence[Message]:
    """Return a chat without system turns; their text precedes that of the first user turn."""
    system = [message["content"] for message in messages if message["role"] == "system"]
    rest = [dict(message) for message in messages if message["role"] != "system"]
    if not system:
        return messages
    first = next((message for message in rest if message["role"] == "user"), None)
    if first is None:
        return [{"role": "user", "content": "\n\n".join(system)}, *rest]
    first["content"] = "\n\n".join([*system, first["content"]])
    return rest


def _has_system(body: Mapping[str, Any]) -> bool:
    return any(message["role"] == "system" for message in body["messages"])


def _is_named(name: str, said: str) -> bool:
    word = rf"(?<![\w-]){re.escape(name)}(?![\w-])"
    if name in _WORDS or len(name) < 4:
        word = (
            rf"['\"`]{re.escape(name)}['\"`]|(?:parameter|argument|property|field|name|supplied|model)s?[\s:]+{word}|{word}(?:=| parameter)"
        )
    return re.search(word, said) is not None
