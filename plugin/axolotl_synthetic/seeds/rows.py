"""Rows of the seeds' file, whatever its format, each with the place it has there. What a row means is for the package.

A row that cannot be read is yielded as such and reading goes on: one bad line must not cost the user the rest. Heavy
libraries are imported where they are needed, so that a jsonl file is read at once.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axolotl_synthetic.errors import SeedsError

FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".parquet")
BATCH_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Row:
    """`place` is `path:line`, or `path:row N` where a format has no lines; `values` are the columns as the file has them."""

    place: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be read: what is wrong with it, and the remedy."""

    place: str
    what: str


def read_rows(path: str, name: str | None = None, split: str = "train") -> Iterator[Row | BadRow]:
    """All rows of a file, a folder or a Hub dataset, one at a time.

    Raises:
        SeedsError: if there is nothing at `path` that can be read.
    """
    file = Path(path).expanduser()
    suffix = file.suffix.lower()
    try:
        if file.is_file():
            if suffix not in FORMATS:
                raise SeedsError(f"synthetic.seeds.path: {path} ends in {suffix or 'no suffix'}; save it as one of {', '.join(FORMATS)}")
            readers = {".json": _json_rows, ".csv": _csv_rows, ".parquet": _parquet_rows}
            yield from readers.get(suffix, _jsonl_rows)(file, path)
        elif not file.is_dir() and (suffix in FORMATS or path.startswith((".", "/", "~"))):
            raise SeedsError(f"synthetic.seeds.path: there is no file {path} in {Path.cwd()}; paths are relative to the working directory")
        else:
            yield from _dataset_rows(path, name, split)
    except OSError as error:
        raise SeedsError(
            f"synthetic.seeds.path: {path} cannot be read: {error.strerror or error}; check the file and its rights"
        ) from error


def _decoded(raw: bytes, place: str) -> str | BadRow:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return BadRow(place, f"not UTF-8 (byte {error.start + 1} of the line); save the file as UTF-8")


def _object_row(value: object, place: str) -> Row | BadRow:
    if isinstance(value, dict):
        return Row(place, value)
    return BadRow(place, f'a {type(value).__name__}, not an object; write {{"question": …}}')


def _jsonl_rows(file: Path, path: str) -> Iterator[Row | BadRow]:
    with file.open("rb") as lines:
        for number, raw in enumerate(lines, start=1):
            place = f"{path}:{number}"
            text = _decoded(raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw, place)
            if isinstance(text, BadRow):
                yield text
            elif text.strip():
                try:
                    yield _object_row(json.loads(text), place)
                except (ValueError, RecursionError) as error:
                    yield BadRow(place, f"invalid JSON ({_json_problem(error)}); write one object on the line")


def _json_problem(error: Exception) -> str:
    return f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else "too deep or too long a number"


def _json_rows(file: Path, path: str) -> Iterator[Row | BadRow]:
    try:
        content = json.loads(file.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SeedsError(f"synthetic.seeds.path: {path} is not UTF-8 (byte {error.start + 1}); save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        # One object a line is often saved as .json.
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
            yield from _jsonl_rows(file, path)
            return
        where = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise SeedsError(f"synthetic.seeds.path: {path}{where}: invalid JSON ({_json_problem(error)}); write a list of objects") from error
    if isinstance(content, dict):
        content = content.get("data", [content])
    if not isinstance(content, list):
        raise SeedsError(f'synthetic.seeds.path: {path} holds no list of objects; write [{{…}}, …] or {{"data": [{{…}}, …]}}')
    for number, value in enumerate(content, start=1):
        yield _object_row(value, f"{path}:row {number}")


def _csv_rows(file: Path, path: str) -> Iterator[Row | BadRow]:
    # A byte that is not UTF-8 is carried along as a surrogate, so that it spoils its own row only.
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        header: list[str] | None = None
        while True:
            place = f"{path}:{reader.line_num + 1}"
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield BadRow(place, f"no valid csv ({error}); double the quotes within a quoted cell")
                continue
            if not any(cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                if len(set(header)) < len(header):
                    raise SeedsError(f"synthetic.seeds.path: {place}: two columns have the same name; rename one")
            elif any("\udc80" <= letter <= "\udcff" for cell in cells for letter in cell):
                yield BadRow(place, "not UTF-8; save the file as UTF-8")
            elif len(cells) > len(header):
                yield BadRow(place, f"{len(cells)} cells under {len(header)} columns; put a cell that holds a comma in quotes")
            else:
                yield Row(place, dict(zip(header, cells, strict=False)))


def _parquet_rows(file: Path, path: str) -> Iterator[Row | BadRow]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=BATCH_ROWS):
            for values in batch.to_pylist():
                number += 1
                yield Row(f"{path}:row {number}", values)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise SeedsError(f"synthetic.seeds.path: {path} is no readable parquet file after row {number}: {error}; write it anew") from error


def _dataset_rows(path: str, name: str | None, split: str) -> Iterator[Row | BadRow]:
    try:
        import datasets

        rows = datasets.load_dataset(path, name, split=split)
        for number in range(len(rows)):
            yield Row(f"{path}:row {number + 1}", rows[number])
    # It raises what its readers, the Hub's client and the network raise; each of them means the same to the user.
    except Exception as error:
        offline = " (HF_HUB_OFFLINE is set: only what is in the cache can be read)" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SeedsError(
            f"synthetic.seeds.path: {path} (name {name}, split {split}) cannot be loaded as a dataset: {first}{offline}; "
            f"check path, name and split, or give a file ({', '.join(FORMATS)})"
        ) from error
