"""Columns of a seeds' file that seem to hold what a task names: the same word in another spelling, or a common synonym.

Nothing is read by such a guess. It only writes the `fields:` line that a message advises, which names every column that was recognised:
one that were left out would be lost without a word.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Iterable, Mapping

import regex

# What data sets on the Hub call the parts of a question, the likeliest first.
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
# A name of a column is a few words. A longer one is a row, or a title.
LONGEST_NAME, MOST_WORDS = 40, 4
_SENTENCE = regex.compile(r"[.?!:;,。？！؟।]\s*$|^\s*(?:#|//)|[\n\t,;|]|\d{3}|\d\s*[-+*/=×÷<>]|[=×÷<>]\s*\d")


def loosely(name: str) -> str:
    """Return a name without case, spaces, quotes, punctuation and what does not show."""
    return str(regex.sub(r"[^\p{L}\p{M}\p{N}]+", "", unicodedata.normalize("NFKC", name).casefold()))


def looks_like_data(name: str) -> bool:
    """Return whether a text seems to be a row's or a title, and no name of a column."""
    text = name.strip()
    return (
        len(text) > LONGEST_NAME
        or len(text.split()) > MOST_WORDS
        or not any(letter.isalpha() for letter in text)
        or _SENTENCE.search(text) is not None
    )


def same_word(name: str, wanted: str, columns: Iterable[str]) -> list[str]:
    """Return the columns that are a task's name, or what the config calls it, but for the spelling."""
    keys = {loosely(wanted), loosely(name)}
    return [column for column in columns if loosely(column) in keys]


def recognised(
    names: Iterable[str], fields: Mapping[str, str], columns: Collection[str], reached: Collection[str] | None = None
) -> dict[str, str]:
    """Return a column for each of a task's names for which one is certain or likely.

    Args:
        names: the task's, required ones first.
        fields: the config's `seeds.fields`, whose columns stay where the file has them.
        columns: the file's. Of two that could be the same name neither is taken.
        reached: the names whose column the file has, if need be within another one; None: those whose column it names.
    """
    names = tuple(names)
    used = {name: fields.get(name, name) for name in names}
    found = {name: column for name, column in used.items() if (column in columns if reached is None else name in reached)}
    for close in (same_word, _synonyms):
        for name in names:
            free = [column for column in columns if column not in found.values()]
            # Spider's `query` is the answer where there is a database, and elsewhere what is asked.
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
    """Return the YAML that maps a task's names to columns, with what does not show in them as its code."""
    return f"fields: {{{', '.join(f'{name}: {_quoted(column)}' for name, column in found.items())}}}"


def _quoted(text: str) -> str:
    letters = json.dumps(text, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08X}" for letter in letters)
