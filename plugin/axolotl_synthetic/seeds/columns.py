"""Recognise columns of a seeds' file that a task may mean: its names in another spelling, or common synonyms.

No data is read by such a guess. It only writes the `fields:` line that a message suggests. The line names every recognised column, because
a column left out would be lost silently.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Iterable, Mapping

import regex

# Names of the parts of a question in data sets on the Hub, the likeliest first.
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "question": (
        *("questions", "questiontext", "instruction", "instructions", "prompt", "problem", "problems", "problemstatement"),
        *("query", "q", "input", "inputs", "userprompt", "user"),
    ),
    "answer": (
        *(
            "answers",
            "answertext",
            "answerkey",
            "finalanswer",
            "correctanswer",
            "goldanswer",
            "gold",
            "groundtruth",
            "solution",
            "solutions",
        ),
        *("completion", "response", "responses", "output", "outputs", "target", "reply", "a", "sql", "query", "assistant"),
    ),
    "messages": ("conversations", "conversation", "chat", "dialog", "dialogue", "turns"),
    "text": (*("texts", "sentence", "content", "message", "ticket", "utterance", "body", "document", "review", "comment", "question"),),
    "label": (
        *("labels", "category", "categories", "intent", "class", "classes", "topic", "sentiment", "tag", "tags", "answer", "target"),
    ),
    "choices": ("choice", "options", "option"),
    "labels": ("label", "letters"),
    "context": ("input", "contexts", "passage", "document", "background"),
    "database": ("dbid", "db", "databaseid", "databasename"),
}
# A column's name has a few words; a longer text is a row or a title.
LONGEST_NAME, MOST_WORDS = 40, 4
_SENTENCE = regex.compile(r"[.?!:;,。？！؟।]\s*$|^\s*(?:#|//)|[\n\t,;|]|\d{3}|\d\s*[-+*/=×÷<>]|[=×÷<>]\s*\d")


def loosely(name: str) -> str:
    """Return a name without case, spaces, quotes, punctuation and invisible characters."""
    return str(regex.sub(r"[^\p{L}\p{M}\p{N}]+", "", unicodedata.normalize("NFKC", name).casefold()))


def looks_like_data(name: str) -> bool:
    """Say whether a text seems to be data or a title rather than a column's name."""
    text = name.strip()
    return (
        len(text) > LONGEST_NAME
        or len(text.split()) > MOST_WORDS
        or not any(letter.isalpha() for letter in text)
        or _SENTENCE.search(text) is not None
    )


def same_word(name: str, wanted: str, columns: Iterable[str]) -> list[str]:
    """Return the columns that equal a task's name, or the config's name for it, except for spelling."""
    keys = {loosely(wanted), loosely(name)}
    return [column for column in columns if loosely(column) in keys]


def recognised(
    names: Iterable[str], fields: Mapping[str, str], columns: Collection[str], reached: Collection[str] | None = None
) -> dict[str, str]:
    """Return the certain or likely column for each of a task's names.

    Args:
        names: the task's, required ones first.
        fields: the config's `seeds.fields`, whose columns are used if the file has them.
        columns: the file's columns. If two could match one name, neither is used.
        reached: the names whose column the file has, perhaps nested; None for the names whose column is in `columns`.
    """
    names = tuple(names)
    used = {name: fields.get(name, name) for name in names}
    found = {name: column for name, column in used.items() if (column in columns if reached is None else name in reached)}
    for close in (same_word, _synonyms):
        for name in names:
            free = [column for column in columns if column not in found.values()]
            # Spider's `query` is the answer where there is a database; elsewhere it is the question.
            if ("database" in names) is not (name == "answer"):
                free = [column for column in free if loosely(column) != "query"]
            if name not in found and len(fitting := close(name, used[name], free)) == 1:
                found[name] = fitting[0]
    return {name: found[name] for name in names if name in found}


def _synonyms(name: str, _wanted: str, columns: Collection[str]) -> list[str]:
    for synonym in SYNONYMS.get(name, ()):
        if fitting := [column for column in columns if loosely(column) == synonym]:
            return fitting
    return []


def fields_line(found: Mapping[str, str]) -> str:
    """Return the YAML that maps a task's names to columns, with invisible characters escaped."""
    return f"fields: {{{', '.join(f'{name}: {_quoted(column)}' for name, column in found.items())}}}"


def _quoted(text: str) -> str:
    letters = json.dumps(text, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08X}" for letter in letters)
