"""Find queries in a reply's text. `sql/` decides whether they are queries, and runs them."""

from __future__ import annotations

import re
from collections.abc import Iterator

# The query is at a reply's end; of a runaway reply only this many last characters are read.
LONGEST_READ = 20_000
# A reply with more candidate positions than this is unclear; the rest are not tried.
MOST_PLACES = 6
_BLOCK = re.compile(r"```[ \t]*([\w+-]*)[^\n]*\n(.*?)```", re.DOTALL)
_SQLITE = ("sql", "sqlite", "sqlite3")
_BEGINS = re.compile(r"^[ \t>*-]*(?:(?:sql|query|answer)[ \t]*:)?[ \t`*]*((?:SELECT|WITH)\b)", re.IGNORECASE | re.MULTILINE)
_WITHIN = re.compile(r"\b(?:SELECT|WITH)\b", re.IGNORECASE)
_ENDS = re.compile(r";|\n[ \t]*\n|```")
_WRAPPING = " \t\r\n`*.'\""


def fenced(query: str) -> str:
    """Return a query as the student is to write it."""
    return f"```sql\n{query}\n```"


def marked_queries(text: str) -> Iterator[str]:
    """Yield the texts that a reply marks as its query, the likeliest first.

    That is its last block of SQL, whatever it holds. In a reply without blocks, it is the last paragraph with a line that begins with
    SELECT or WITH.
    """
    tail = text[-LONGEST_READ:]
    blocks = list(_BLOCK.finditer(tail))
    # A block in another dialect (```postgresql) is skipped: its query may run here but mean something else.
    sql = [block[2] for block in blocks if block[1].lower() in _SQLITE]
    sql = sql or [block[2] for block in blocks if not block[1] and _WITHIN.search(block[2])]
    if sql:
        yield sql[-1]
    elif not blocks:
        starts = [match.start(1) for match in _BEGINS.finditer(tail)]
        paragraph = max((tail.rfind("\n\n", 0, start) for start in starts), default=0)
        # The first start is the whole query and the others its parts, unless the first is prose (`With this, …`).
        for start in [start for start in starts if start > paragraph][:MOST_PLACES]:
            yield _to_its_end(tail, start)


def unmarked_queries(text: str) -> Iterator[str]:
    """Yield queries within a line, as in "The query is SELECT 1.", the last first; for a lenient reader."""
    tail = text[-LONGEST_READ:]
    starts = [match.start() for match in _WITHIN.finditer(tail)]
    for start in reversed(starts[-MOST_PLACES:]):
        found = _to_its_end(tail, start)
        line = found.split("\n", 1)[0]
        yield from (found, line.strip(_WRAPPING), re.split(r"[`.](?=\s|$)", line, maxsplit=1)[0])


def _to_its_end(text: str, start: int) -> str:
    end = _ENDS.search(text, start)
    return text[start : end.start() if end else len(text)].rstrip("`* \t\r\n")
