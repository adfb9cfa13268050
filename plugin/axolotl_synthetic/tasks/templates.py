"""Turn prompt files into chats. The tasks define what the prompts say and when they are used.

A file in `prompts/<task>/` is a chat of Jinja2 templates: a line `[system]`, `[user]` or `[assistant]` opens a turn. Turns are split before
values are filled in, so a seed that contains such a line, or Jinja2, stays text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Sequence
from functools import cache, lru_cache
from pathlib import Path

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from axolotl_synthetic.records import Message, Question

FOLDER = Path(__file__).parent / "prompts"
_TURN = re.compile(r"^\[(system|user|assistant)\]\n", re.MULTILINE)


def chat(task: str, name: str, turns: Sequence[Message] = (), own: Path | None = None, /, **values: Hashable) -> tuple[Message, ...]:
    """Return the chat of `prompts/<task>/<name>.md`, filled in.

    Args:
        task, name: which file.
        own: a folder of the user's; its file of that name replaces ours.
        turns: further turns, put before the file's last turn if that is the user's, else after it.
        values: values for the templates; a missing one is a bug in our code.
    """
    filled = [
        {"role": role, "content": template if isinstance(template, str) else _rendered(template, **values)}
        for role, template in _templates(task, name, own)
    ]
    at = len(filled) - 1 if filled[-1]["role"] == "user" else len(filled)
    return (*filled[:at], *turns, *filled[at:])


def chat_by_pattern(task: str, name: str, patterns: Sequence[str], own: Path | None = None, /, **values: Hashable) -> tuple[Message, ...]:
    """Return the chat of a file, filled in, in which each pattern in turn has already answered the last turn.

    Weak models continue a pattern that they seem to have begun themselves, but only discuss one that they are shown.
    """
    *before, asked = chat(task, name, (), own, **values)
    answered = [turn for pattern in patterns for turn in (asked, {"role": "assistant", "content": pattern})]
    return (*before, *answered, asked)


def behind_turns(question: Question, asked: Sequence[Message]) -> tuple[Message, ...]:
    """Return a prompt after a question's earlier turns, with all system messages merged, because many servers refuse two."""
    both = (*question.chat[:-1], *asked)
    systems = [turn["content"] for turn in both if turn["role"] == "system"]
    head: list[Message] = [{"role": "system", "content": "\n\n".join(systems)}] if systems else []
    return (*head, *(turn for turn in both if turn["role"] != "system"))


# Cached, because a seed's question is asked many times.
@lru_cache(maxsize=4_096)
def _rendered(template: Template, **values: Hashable) -> str:
    return template.render(values).strip()


def names(task: str) -> list[str]:
    """Return the names of a task's prompts."""
    return sorted(file.stem for file in (FOLDER / task).glob("*.md"))


def find(task: str, name: str, own: Path | None) -> Path:
    """Return the file of a prompt, the user's if it exists."""
    file = None if own is None else own / f"{name}.md"
    return file if file is not None and file.is_file() else FOLDER / task / f"{name}.md"


def problem(file: Path, known: Collection[str]) -> str | None:
    """Return why a user's file is not a valid prompt, with the remedy; None when it is one.

    Args:
        file: the file.
        known: names that its templates may use.
    """
    try:
        text = file.read_text(encoding="utf-8")
        first, *parts = _TURN.split(text)
        used = set().union(*(find_undeclared_variables(_ENVIRONMENT.parse(part)) for part in parts[1::2]))
    except (OSError, UnicodeDecodeError) as error:
        return f"cannot be read: {error}"
    except TemplateError as error:
        return f"is no Jinja2 template: {error}; correct it"
    if not parts or first.strip():
        return "must begin with a line `[system]` or `[user]`, which opens the first turn; write one above its text"
    if parts[-2] != "user":
        return "must end with a turn of the `[user]`, which is what is asked; add one"
    if unknown := sorted(used.difference(known)):
        return f"names {', '.join(f'`{name}`' for name in unknown)}; there are {', '.join(f'`{name}`' for name in sorted(known))}"
    return None


# Prompts may come with a stranger's recipe, so the sandbox lets them fill in texts and nothing else.
_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)


@cache
def _templates(task: str, name: str, own: Path | None) -> tuple[tuple[str, Template | str], ...]:
    """Return each turn's role and template, or its plain text if it uses no value."""

    def prepared(text: str) -> Template | str:
        template = _ENVIRONMENT.from_string(text)
        return template if find_undeclared_variables(_ENVIRONMENT.parse(text)) else template.render().strip()

    _, *parts = _TURN.split(find(task, name, own).read_text(encoding="utf-8"))
    return tuple((role, prepared(text)) for role, text in zip(parts[::2], parts[1::2], strict=True))
