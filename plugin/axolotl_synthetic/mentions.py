"""Distinction of a meant marker from one that a text only mentions, in quotes or in code. For `thoughts.py` and `turns.py`."""

from __future__ import annotations

import re
from bisect import bisect_left

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_OPENS_A_FENCE = re.compile(r"\s*(?:```|~~~)[\w-]*\s*")
_LONGEST_LINE = 1_000
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»"}
_SAME_QUOTES = "\"'`"


class Mentions:
    """Markers of a text that are only mentioned: those in quotes, and those in code that is closed after them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._fences = [fence.start() for fence in _FENCE.finditer(text)]

    def is_quoted(self, start: int, end: int) -> bool:
        """Return whether quotes enclose the marker itself; thoughts may end, and answers begin, with a quote."""
        text = self._text
        if start == 0 or end == len(text) or _QUOTES.get(quote := text[start - 1]) != text[end]:
            return False
        if quote not in _SAME_QUOTES:
            return True
        line = text[max(0, start - _LONGEST_LINE) : start].rpartition("\n")[2]
        return len(re.findall(rf"(?<!\w){quote}|{quote}(?!\w)", line)) % 2 == 1

    def has_its_line(self, start: int, end: int) -> bool:
        """Return whether nothing else is on the marker's line."""
        before = self._text[max(0, start - _LONGEST_LINE) : start].rpartition("\n")[2]
        return not before.strip() and not self._text[end : end + _LONGEST_LINE].partition("\n")[0].strip()

    def speaks_of(self, at: int, start: int, end: int) -> bool:
        """Return whether the marker from `start` to `end` is only mentioned; the text outside of thoughts begins at `at`."""
        if self.is_quoted(start, end):
            return True
        text, fences = self._text, self._fences
        before = bisect_left(fences, start)
        first = bisect_left(fences, at)
        if (before - first) % 2 and (len(fences) - before) % 2:
            # A fence that opens the reply and begins with thoughts encloses the whole reply: that is no mention.
            return before - first > 1 or not _OPENS_A_FENCE.fullmatch(text, at, start)
        left = text[max(at, start - _LONGEST_LINE) : start].rpartition("\n")[2]
        right = text[end : end + _LONGEST_LINE].partition("\n")[0]
        return bool(left.count("`") % 2 and right.count("`") % 2)
