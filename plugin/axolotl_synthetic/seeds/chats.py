"""Read chats in a seeds' file by the settings and rules of Axolotl's `datasets:` with `type: chat_template`.

`field_messages`, `message_property_mappings`, `roles` and `field_system` mean the same as there
(axolotl/prompt_strategies/chat_template.py). By default, OpenAI's `messages` (role, content) and ShareGPT's `conversations` (from, value)
are both understood. The assistant's last turn is the seed's answer, the user's turn before it the question, and earlier turns are its
context.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Axolotl's own roles, with OpenAI's newer name for a system message.
ROLES: Mapping[str, str] = {
    **{"human": "user", "user": "user", "assistant": "assistant", "gpt": "assistant", "system": "system", "developer": "system"},
    "tool": "tool",
}
# Keys of a message's role and content in the two common forms.
FORMS = ({"role": "role", "content": "content"}, {"role": "from", "content": "value"})
COLUMNS = ("messages", "conversations")
SPEAKERS = ("system", "user", "assistant")


class NoChat(Exception):
    """A row holds no usable chat; the message says why, with the remedy."""


@dataclass(frozen=True)
class Words:
    """A file's format of chats, by the names of Axolotl's `datasets:`; None means the default."""

    messages: str | None = None
    properties: Mapping[str, str] | None = None
    roles: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True)
class Chat:
    """A chat: the turns before the user's last one, that turn, and the assistant's answer to it, None if it has none."""

    turns: tuple[tuple[str, str], ...]
    question: str
    answer: str | None


def read_chat(messages: Any, system: str | None, words: Words) -> Chat:
    """Return the chat in a row.

    Args:
        messages: the row's turns, as a list of objects or as JSON.
        system: the system message, if the row has it in a column of its own.
        words: the file's format of chats.

    Raises:
        NoChat: if the row holds no chat that can be continued.
    """
    read = (_turn(place, message, words) for place, message in enumerate(_listed(messages), start=1))
    turns = [turn for turn in read if turn is not None]
    if system and (not turns or turns[0][0] != "system"):
        turns.insert(0, ("system", system))
    for place, (role, _) in enumerate(turns):
        if role == "system" and place:
            raise NoChat("a system message stands behind other turns; put it first")
        if place and role == turns[place - 1][0]:
            raise NoChat(f"two turns of the {role} follow one another ({_short(turns[place][1])!r} is the second); join them")
    answer = turns.pop()[1] if turns and turns[-1][0] == "assistant" else None
    if not turns or turns[-1][0] != "user":
        raise NoChat("no turn of the user's stands before the end; a chat needs one to be answered")
    return Chat(tuple(turns[:-1]), turns[-1][1], answer)


def _listed(messages: Any) -> Sequence[Any]:
    if isinstance(messages, str):
        try:
            messages = json.loads(messages)
        except (ValueError, RecursionError):
            raise NoChat('messages is a text and no list in JSON; write it as [{"role": "user", "content": "…"}, …]') from None
    if not isinstance(messages, list | tuple) or not messages:
        what = "empty" if isinstance(messages, list | tuple) else type(messages).__name__
        raise NoChat(f'messages is {what}, not a list of turns; write it as [{{"role": "user", "content": "…"}}, …]')
    return messages


def _turn(place: int, message: Any, words: Words) -> tuple[str, str] | None:
    """Return a turn's role and text; None for an empty system message."""
    if not isinstance(message, Mapping):
        raise NoChat(f'turn {place} is {type(message).__name__}, not an object; write {{"role": "user", "content": "…"}}')
    if message.get("tool_calls") or message.get("function_call"):
        raise NoChat(f"turn {place} calls a tool; chats with tools cannot be gone on from: leave them out")
    keys = words.properties or next((form for form in FORMS if form["role"] in message), FORMS[0])
    said, text = message.get(keys.get("role", "role")), _text(message.get(keys.get("content", "content")))
    if said is None:
        raise NoChat(
            f"turn {place} has no {keys.get('role', 'role')!r}; its keys are {', '.join(map(str, message))}: name those of role and content"
            " in `message_property_mappings: {role: …, content: …}`"
        )
    known = ROLES if words.roles is None else {source: target for target, sources in words.roles.items() for source in sources}
    role = known.get(str(said), str(said))
    if role not in SPEAKERS:
        remedy = f"name it in `roles`, under user, assistant or system, as {{user: [{said}]}}"
        if role == "tool":
            remedy = "chats with tools cannot be gone on from: leave them out"
        raise NoChat(f"turn {place} is of the role {said!r}; {remedy}")
    if text:
        return role, text
    if role == "system":
        return None
    raise NoChat(f"turn {place} ({role}) says nothing; fill it in, or leave the chat out")


def _text(content: Any) -> str:
    """Return a message's text; a list of parts is joined, as in Axolotl."""
    if isinstance(content, list | tuple):
        parts = [part if isinstance(part, Mapping) else {"text": part} for part in content]
        if any(part.get("type", "text") != "text" for part in parts):
            raise NoChat("a turn holds something else than text, such as an image; leave the chat out")
        content = "".join(str(part.get("text") or part.get("content") or part.get("value") or "") for part in parts)
    if content is not None and not isinstance(content, str):
        raise NoChat(f"the content of a turn is {type(content).__name__}, not text; write it as text")
    try:
        (content or "").encode()
    except UnicodeEncodeError:
        raise NoChat("a turn holds half a character (a lone surrogate); write the file anew as UTF-8") from None
    return (content or "").strip()


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
