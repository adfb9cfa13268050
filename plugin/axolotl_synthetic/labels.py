"""Labels of a closed set: finds those that a text names. It does no I/O; the task defines texts with labels and how to ask for one.

Case, spaces, `_` and `-` do not distinguish labels, so a model may write `Account access` for `account_access`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

# Separates a text's labels in a file's cell and in `Seed.answer`; no label contains it.
BETWEEN = "\n"
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+", re.MULTILINE)
_SEPARATOR = re.compile(r"\s*(?:[,;/|&+]|and\b)?\s*")
_BLANK = re.compile(r"[\s_-]+")


def folded(label: str) -> str:
    """Return a label with case, spaces, `_` and `-` normalised."""
    return _BLANK.sub(" ", label.casefold()).strip() or label.casefold().strip()


def spellings(labels: Iterable[str]) -> tuple[str, ...]:
    """Return a set of labels in alphabetical order, each in its most frequent spelling."""
    counts = Counter(labels)
    found: dict[str, str] = {}
    for label in sorted(counts, key=lambda one: (-counts[one], one)):
        found.setdefault(folded(label), label)
    return tuple(sorted(found.values(), key=folded))


def named(text: str, labels: Sequence[str]) -> tuple[str, ...] | None:
    """Return the labels that a text consists of, in the order of their set; None where it contains anything else, or nothing."""
    rest = folded(_BULLET.sub("", text.strip().strip("*`\"'“”")).replace(BETWEEN, ","))
    # Try the longest first, so that `card lost` is not read as `card`.
    keys = sorted(((folded(label), label) for label in labels), key=lambda one: -len(one[0]))
    found = set()
    while rest.strip(" .,;*`\"'"):
        rest = rest.lstrip(" *`\"'")
        match = next((pair for pair in keys if rest.startswith(pair[0]) and not rest[len(pair[0]) :][:1].isalnum()), None)
        if match is None:
            return None
        found.add(match[1])
        rest = rest[len(match[0]) :].lstrip(" *`\"'.")
        if rest and (separator := _SEPARATOR.match(rest)) is not None and separator[0].strip():
            rest = rest[separator.end() :]
        elif rest:
            return None
    return tuple(label for label in labels if label in found) or None


def mentioned(text: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels that occur in a text as whole words, in the order of their set."""
    rest, found = folded(text), set()
    for label in sorted(labels, key=lambda one: -len(folded(one))):
        key = re.compile(rf"(?<!\w){re.escape(folded(label))}(?!\w)")
        if key.search(rest):
            found.add(label)
            rest = key.sub("\0", rest)
    return tuple(label for label in labels if label in found)


def written(labels: Iterable[str]) -> str:
    """Return labels as a student must write them."""
    return ", ".join(labels)
