"""Find the database that a question is about, and add its schema to the question.

Models read the schema, and it distinguishes two databases of one name. `sql/` reads it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import regex

from axolotl_synthetic.records import Question
from axolotl_synthetic.sql import BadDatabase, schema_of

# Seed files may come from the Hub, and must not reach files outside of the databases' folder.
_PLAIN_NAME = regex.compile(r"[\p{L}\p{N}_][\p{L}\p{M}\p{N}_ .+-]*")

# In characters of a path in a message.
LONGEST_SHOWN = 120


class NoDatabase(Exception):
    """A row names no valid database; the message says why, with the remedy."""


class MissingDatabase(Exception):
    """The database that a row names cannot be used; the message says why. The folder is wrong rather than the row."""


def with_database(question: Question, databases: str) -> Question:
    """Return the question with its database's schema and file.

    Args:
        question: names its database.
        databases: the config's `seeds.databases`, in which `{database}` is replaced by that name.

    Raises:
        NoDatabase: if it names none.
        MissingDatabase: if there is no such file, or no tables can be read from it.
    """
    name = question.database
    if name is None:
        raise NoDatabase("no database; fill it in or point seeds.fields.database at its column")
    if not _PLAIN_NAME.fullmatch(name):
        raise NoDatabase(f"database {_shown(name)} is no name of a file; use letters, digits, space, _ . + and -")
    where = databases.replace("{database}", name)
    try:
        path = Path(where).expanduser()
        there = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # a name that is too long, a NUL, an unknown user
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise MissingDatabase(f"there can be no database {_shown(where)}: {why}; correct its name or seeds.databases") from error
    if not there:
        raise MissingDatabase(f"there is no database {path}; put it there or correct seeds.databases")
    try:
        schema = schema_of(str(path.resolve()))
    except BadDatabase as error:
        raise MissingDatabase(f"the database {path} cannot be used: {error}") from error
    # A `.sql` file gives only tables; their rows are generated.
    return replace(question, context=schema, database_file=None if path.suffix.lower() == ".sql" else str(path.resolve()))


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…")
