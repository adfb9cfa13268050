"""A small database for the tests of text to SQL: singers, stadiums and their concerts."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

from axolotl_synthetic.records import Question
from axolotl_synthetic.sql import Database

SCHEMA = """CREATE TABLE singer (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  country TEXT,
  age INTEGER
);

CREATE TABLE stadium (
  id INTEGER PRIMARY KEY,
  name TEXT UNIQUE,
  capacity INTEGER
);

CREATE TABLE concert (
  id INTEGER PRIMARY KEY,
  singer_id INTEGER REFERENCES singer (id),
  stadium_id INTEGER NOT NULL REFERENCES stadium (id),
  year INTEGER
);"""
ROWS = {
    "singer": [(1, "Ada", "France", 20), (2, "Ben", "Peru", 31), (3, "Chen", "France", 31), (4, "Dina", None, 45)],
    "stadium": [(1, "North", 500), (2, "South", 900), (3, "East", 900)],
    "concert": [(1, 1, 1, 2014), (2, 1, 2, 2015), (3, 2, 2, 2015), (4, None, 2, 2016)],
}
# It has no own rows, only generated ones.
EMPTY = Database(SCHEMA)


def make_shop(path: Path) -> Database:
    """Write the database to a file."""
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    for table, rows in ROWS.items():
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    connection.commit()
    connection.close()
    return Database(SCHEMA, str(path))


def trap(file: Path, victim: Path) -> Path:
    """Write a database with a journal that makes SQLite delete another file on rollback.

    The journal holds no page, and names the file as the journal of several databases (sqlite.org/fileformat2.html, 3).
    """
    make_shop(file)
    page_size = 4096
    header = struct.pack(">8sIIIII", b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", 0, 7, file.stat().st_size // page_size, 512, page_size)
    name = str(victim).encode()
    record = struct.pack(">I", 0x40000000 // page_size + 1) + name + struct.pack(">II", len(name), sum(name)) + header[:8]
    Path(f"{file}-journal").write_bytes(header.ljust(512, b"\0") + record)
    return file


def asked(text: str, file: str | None = None) -> Question:
    """Return a question about the database."""
    return Question(text, context=SCHEMA, database="shop", database_file=file)
