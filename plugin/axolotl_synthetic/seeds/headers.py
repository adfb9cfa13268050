"""Explain why the first line of a csv file names none of the wanted columns.

The causes are a title or a comment above the header, no header, another delimiter, and marks that are not quotes. This file decides nothing
about rows; `rows.py` reads them once their columns have names.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Mapping
from itertools import islice

from axolotl_synthetic.seeds.columns import looks_like_data, loosely, recognised

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
# Unusual delimiters, which are not tried; without this check the advice would treat a whole row as one cell.
UNKNOWN_DELIMITERS = "^~¦§\x01\x1e\x1f"
# Number of rows searched for a header below a title, or for the usual number of cells.
LOOKED_AT = 100
COMMENT = "a comment"
_LIKE_QUOTES = {"'": "'", "‘": "’", "“": "”", "„": "“", "«": "»", "`": "`", "”": "”"}

Lines = list[tuple[int, list[str]]]
"""Non-empty rows of a csv file: the line where each begins, from 1, and its cells."""


def divided(sample: str, delimiter: str) -> Lines:
    """Return the first rows of a text, split by a delimiter; a row that cannot be read ends them."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=True)
    found: Lines = []
    first = 1
    try:
        for row in islice(reader, LOOKED_AT):
            if any(row):
                found.append((first, [cell.strip() for cell in row]))
            first = reader.line_num + 1
    except csv.Error:  # a cell longer than the csv module's limit
        pass
    return found


def explain(sample: str, delimiter: str, wanted: Mapping[str, str], required: Collection[str]) -> tuple[int, str] | None:
    """Return the line and the problem of the header, with the remedy; None if it names a wanted column.

    Args:
        sample: the file's beginning.
        delimiter: the delimiter in use.
        wanted: the columns that the config reads, by the task's names for them.
        required: the names without which a row is useless.
    """
    lines = divided(sample, delimiter)
    if not lines:
        return None
    first, header = lines[0]
    if any(column in header for column in wanted.values()):
        return None
    if (unknown := _unknown_delimiter(sample, lines)) is not None:
        either = f", or write the line `sep={unknown}` above all others" if unknown.isprintable() else ""
        return first, f"the file seems to be divided by a character that is not known for it; save it with commas{either}"
    named = recognised(wanted, wanted, header)
    delimiters = [delimiter, *(other for other in DELIMITERS if other != delimiter)]
    for other in delimiters:
        if (place := _header_below(divided(sample, other), wanted, required, len(named))) is not None:
            above = f"line {first}" if place - first == 1 else f"lines {first} to {place - 1}"
            return first, f"{_shown(header)} looks like {_kind(header)}: the columns are named in line {place}; delete {above}"
    if any(name in required for name in named):
        return _like_quotes(first, header, lines[1:])
    usual = Counter(len(cells) for _, cells in lines[1:]).most_common(1)
    for other in delimiters[1:]:
        cells = divided(sample, other)[0][1]
        if usual and len(header) != usual[0][0] == len(cells) and any(name in required for name in recognised(wanted, wanted, cells)):
            return first, (
                f"the header is divided by a {DELIMITERS[other]}, and the rows by a {DELIMITERS[delimiter]}; divide all by a"
                f" {DELIMITERS[delimiter]}"
            )
    # A header has a name for each cell of the rows below it, and none of its names is a sentence, a number or empty.
    uneven = bool(usual) and len(header) != usual[0][0]
    if uneven or any(map(looks_like_data, header)):
        number = usual[0][0] if usual else len(header)
        names = [*wanted, *(f"column{at + 1}" for at in range(len(wanted), number))][:number]
        example = f"such as `{delimiter.join(names)}`"
        if uneven or _kind(header) == COMMENT:
            return first, f"{_shown(header)} looks like {_kind(header)}, not like the names of columns; write them in its place, {example}"
        return first, (
            f"{_shown(header)} looks like a row, not like the names of columns; write a line above it that names them, {example}"
            " (in its place, where it is a title)"
        )
    return None


def _unknown_delimiter(sample: str, lines: Lines) -> str | None:
    """Return an unusual character that occurs equally often on most lines, None if there is none."""
    text = [line for line in sample.splitlines()[: lines[-1][0]] if line.strip()]
    for character in UNKNOWN_DELIMITERS if len(text) > 1 else "":
        [(number, share)] = Counter(line.count(character) for line in text).most_common(1)
        if number and 3 * share >= 2 * len(text):
            return character
    return None


def _kind(header: list[str]) -> str:
    return COMMENT if header[0].startswith(("#", "//")) else "a title"


def _header_below(lines: Lines, wanted: Mapping[str, str], required: Collection[str], already: int) -> int | None:
    """Return the line of a lower row that names a required column, and more columns than the first line (`already`); else None."""
    for place, cells in lines[1:]:
        keys = {loosely(cell) for cell in cells}
        exact = any(column in cells or {loosely(column), loosely(name)} & keys for name, column in wanted.items() if name in required)
        number = len(recognised(wanted, wanted, cells))
        # Two synonyms side by side are no accident, while one in a row of data may be.
        if number > already and (exact or number > 1):
            return place
    return None


def _like_quotes(first: int, header: list[str], rows: Lines) -> tuple[int, str] | None:
    """Return the problem that cells are in marks which csv does not know as quotes, if rows below the header are, too."""
    mark = header[0][:1]
    if mark in _LIKE_QUOTES and any(cells[0].startswith(mark) and cells[-1].endswith(_LIKE_QUOTES[mark]) for _, cells in rows):
        return first, f'cells are in {mark}…{_LIKE_QUOTES[mark]}, which would become a part of them; write "…" around cells instead'
    return None


def _shown(cells: list[str]) -> str:
    text = ", ".join(cells)
    return repr(text if len(text) <= 60 else text[:59] + "…")
