"""The prompts' files as chats. What stands in them, and when they are asked, is for the tasks.

A file in `prompts/<task>/` is a chat of Jinja2 templates: a line `[system]`, `[user]` or `[assistant]` opens a turn. Turns are
told apart before anything is filled in, so that a seed which holds such a line, or Jinja2, stays text.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from functools import cache, lru_cache
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template
from jinja2.meta import find_undeclared_variables

from axolotl_synthetic.records import Message

FOLDER = Path(__file__).parent / "prompts"
_TURN = re.compile(r"^\[(system|user|assistant)\]\n", re.MULTILINE)


def chat(task: str, name: str, turns: Sequence[Message] = (), **values: Hashable) -> tuple[Message, ...]:
    """The chat of `prompts/<task>/<name>.md`, filled in.

    Args:
        task, name: which file.
        turns: further turns, put before the file's last one where that is the user's, else behind it.
        values: what the templates name; one that is missing is an error of ours.
    """
    filled = [
        {"role": role, "content": template if isinstance(template, str) else _rendered(template, **values)}
        for role, template in _templates(task, name)
    ]
    at = len(filled) - 1 if filled[-1]["role"] == "user" else len(filled)
    return (*filled[:at], *turns, *filled[at:])


def chat_by_pattern(task: str, name: str, patterns: Sequence[str], **values: object) -> tuple[Message, ...]:
    """The chat of a file, filled in, whose last turn was answered with each pattern before, one after the other.

    Weak models go on with a pattern that they seem to have begun themselves, where they talk about one that they are shown.
    """
    *before, asked = chat(task, name, (), **values)
    answered = [turn for pattern in patterns for turn in (asked, {"role": "assistant", "content": pattern})]
    return (*before, *answered, asked)


# A seed's question is asked again and again.
@lru_cache(maxsize=4_096)
def _rendered(template: Template, **values: Hashable) -> str:
    return template.render(values).strip()


@cache
def _templates(task: str, name: str) -> tuple[tuple[str, Template | str], ...]:
    """Each turn's role and template; its text where it names no value."""
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)

    def prepared(text: str) -> Template | str:
        template = environment.from_string(text)
        return template if find_undeclared_variables(environment.parse(text)) else template.render().strip()

    _, *parts = _TURN.split((FOLDER / task / f"{name}.md").read_text(encoding="utf-8"))
    return tuple((role, prepared(text)) for role, text in zip(parts[::2], parts[1::2], strict=True))
