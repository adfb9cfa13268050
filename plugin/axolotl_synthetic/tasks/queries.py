"""Finds queries in a reply's text. Whether one is a query, and what it gives, is for `sql/`."""

from __future__ import annotations

import re
from collections.abc import Iterator

# The query stands at a reply's end; a runaway reply is not read further back than this many characters.
LONGEST_READ = 20_000
# So many places are tried; a reply with more of them does not know what it wants.
MOST_PLACES = 6
_BLOCK = re.compile(r"```[ \t]*([\w+-]*)[^\n]*\n(.*?)```", re.DOTALL)
_SQLITE = ("sql", "sqlite", "sqlite3")
_BEGINS = re.compile(r"^[ \t>*-]*(?:(?:sql|query|answer)[ \t]*:)?[ \t`*]*((?:SELECT|WITH)\b)", re.IGNORECASE | re.MULTILINE)
_WITHIN = re.compile(r"\b(?:SELECT|WITH)\b", re.IGNORECASE)
_ENDS = re.compile(r";|\n[ \t]*\n|```")
_WRAPPING = " \t\r\n`*.'\""


def fenced(query: str) -> str:
    """A query as the student is to write it."""
    return f"```sql\n{query}\n```"


def marked_queries(text: str) -> Iterator[str]:
    """What a reply marks as its query, the likeliest first: its last block of SQL, whatever that holds; in a reply without blocks the
    last paragraph of which a line begins with SELECT or WITH."""
    tail = text[-LONGEST_READ:]
    blocks = list(_BLOCK.finditer(tail))
    # A block in another dialect (```postgresql) is not read: its query may run here and mean something else.
    sql = [block[2] for block in blocks if block[1].lower() in _SQLITE]
    sql = sql or [block[2] for block in blocks if not block[1] and _WITHIN.search(block[2])]
    if sql:
        yield sql[-1]
    elif not blocks:
        starts = [match.start(1) for match in _BEGINS.finditer(tail)]
        paragraph = max((tail.rfind("\n\n", 0, start) for start in starts), default=0)
        # The first is the whole query, the others its parts: unless the first is prose (`With this, …`).
        for start in [start for start in starts if start > paragraph][:MOST_PLACES]:
            yield _to_its_end(tail, start)


def unmarked_queries(text: str) -> Iterator[str]:
    """What a lenient reader tries besides: queries within a line, as in "The query is SELECT 1.", the last first."""
    tail = text[-LONGEST_READ:]
    starts = [match.start() for match in _WITHIN.finditer(tail)]
    for start in reversed(starts[-MOST_PLACES:]):
        found = _to_its_end(tail, start)
        line = found.split("\n", 1)[0]
        yield from (found, line.strip(_WRAPPING), re.split(r"[`.](?=\s|$)", line, maxsplit=1)[0])


def _to_its_end(text: str, start: int) -> str:
    end = _ENDS.search(text, start)
    return text[start : end.start() if end else len(text)].rstrip("`* \t\r\n")
