"""Read the rows of a seeds' file of any format, each with its place. `__init__.py` interprets them.

An unreadable row is yielded as such and reading continues, because one bad line must not cost the user the rest. Heavy libraries are
imported only where needed, so that a jsonl file is read fast.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from axolotl_synthetic.errors import SeedsError
from axolotl_synthetic.seeds.files import File, find_files, suffix_of
from axolotl_synthetic.seeds.headers import DELIMITERS, divided, explain
from axolotl_synthetic.wording import number_of

FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
BATCH_ROWS = 1024
# Enough of a csv file to show its delimiter.
SAMPLED_CHARACTERS = 65_536
# Line above the header in which Excel names the delimiter.
_SEP = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `place` is `path:line`, or `path:row N` if the format has no lines; `values` are the file's columns."""

    place: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BadRow:
    """An unreadable row: `what` is the problem with its remedy, and `lines` the number of lines skipped with it."""

    place: str
    what: str
    lines: int = 1


def _ignore(_: str) -> None:
    pass


def read_rows(
    path: str,
    name: str | None = None,
    split: str = "train",
    *,
    note: Callable[[str], None] = _ignore,
    wanted: Mapping[str, str] | None = None,
    required: Collection[str] = (),
) -> Iterator[Row | BadRow]:
    """Yield all rows of a file, a folder or a Hub dataset, one at a time.

    Args:
        path: path of a file or folder, or a Hub dataset's name.
        name, split: of a dataset; a file has neither.
        note: called with what the user should know about how a file was read.
        wanted: the columns that will be read, by the task's names for them, to detect a csv header that names none of them; None if any
            column will do.
        required: the names without which a row is useless.

    Raises:
        SeedsError: if there is nothing readable at `path`.
    """
    folder = Path(path).expanduser()
    try:
        if files := find_files(path):
            for file in files:
                if file.suffix not in FORMATS:
                    what = file.suffix or "no suffix"
                    raise SeedsError(f"synthetic.seeds.path: {file.path} ends in {what}; save it as one of {', '.join(FORMATS)}")
                if file.suffix in (".csv", ".tsv"):
                    yield from _csv_rows(file, file.path, note, wanted or {}, required)
                    continue
                readers = {".json": _json_rows, ".parquet": _parquet_rows}
                yield from readers.get(file.suffix, _jsonl_rows)(file, file.path)
        elif not folder.is_dir() and ("://" in path or suffix_of(path) in FORMATS or path.startswith((".", "/", "~"))):
            where = "" if "://" in path else f" in {Path.cwd()}; paths are relative to the working directory"
            raise SeedsError(f"synthetic.seeds.path: there is no file {path}{where}")
        else:
            yield from _dataset_rows(path, name, split, wanted or {})
    # The errors of gzip and zstd for a damaged file, and of fsspec for an unreachable one, share no base class.
    except (EOFError, zlib.error) as error:
        raise SeedsError(f"synthetic.seeds.path: {path} is damaged: {error}; compress it anew") from error
    except OSError as error:
        raise SeedsError(
            f"synthetic.seeds.path: {path} cannot be read: {error.strerror or error}; check the file and its rights"
        ) from error


def _decoded(raw: bytes, place: str) -> str | BadRow:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return BadRow(place, f"not UTF-8 (byte {error.start + 1} of the line); save the file as UTF-8")


class _Twice(str):
    """A key that an object has twice, in place of the object, because it is unknown which value was meant."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Twice:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made or isinstance(value, _Twice):
            return value if isinstance(value, _Twice) else _Twice(key)
        made[key] = value
    return made


def _twice_in(value: object) -> _Twice | None:
    """Return a repeated key of an object inside lists; `_object` itself passes on one inside objects."""
    if isinstance(value, list):
        return next((found for item in value if (found := _twice_in(item)) is not None), None)
    return value if isinstance(value, _Twice) else None


def _object_row(value: object, place: str) -> Row | BadRow:
    twice = next(
        (found for item in (value.values() if isinstance(value, dict) else [value]) if (found := _twice_in(item)) is not None), None
    )
    if twice is not None:
        return BadRow(place, f"the key {str(twice)!r} is there twice in one object; keep one of them")
    if isinstance(value, dict):
        return Row(place, value)
    return BadRow(place, f'a {type(value).__name__}, not an object; write {{"question": …}}')


def _jsonl_rows(file: File, path: str) -> Iterator[Row | BadRow]:
    with file.open() as lines:
        for number, raw in enumerate(lines, start=1):
            place = f"{path}:{number}"
            text = _decoded(raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw, place)
            if isinstance(text, BadRow):
                yield text
            elif text.strip():
                try:
                    yield _object_row(json.loads(text, object_pairs_hook=_object), place)
                except (ValueError, RecursionError) as error:
                    yield BadRow(place, _explain_line(text.strip(), error))


def _explain_line(text: str, error: Exception) -> str:
    """Return why a line is not an object, with the remedy."""
    if text in ("[", "]", "],") or (text.startswith("{") and text.endswith(("},", "}]"))) or text.startswith("[{"):
        return (
            "a line of a JSON array (it has a bracket around, or a comma behind the object); remove it so that each line is one {…}, or"
            " save the whole array as a .json file"
        )
    return f"invalid JSON ({_json_problem(error)}); write one object on the line"


def _json_problem(error: Exception) -> str:
    return f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else "too deep or too long a number"


def _json_rows(file: File, path: str) -> Iterator[Row | BadRow]:
    try:
        content = json.loads(file.read().decode("utf-8-sig"), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise SeedsError(f"synthetic.seeds.path: {path} is not UTF-8 (byte {error.start + 1}); save it as UTF-8") from error
    except (ValueError, RecursionError) as error:
        # One object per line is often saved as .json.
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
            yield from _jsonl_rows(file, path)
            return
        where = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise SeedsError(f"synthetic.seeds.path: {path}{where}: invalid JSON ({_json_problem(error)}); write a list of objects") from error
    if isinstance(content, _Twice):
        raise SeedsError(f"synthetic.seeds.path: {path}: the key {str(content)!r} is there twice in one object; keep one of them")
    if isinstance(content, dict):
        content = content.get("data", [content])
    if not isinstance(content, list):
        raise SeedsError(f'synthetic.seeds.path: {path} holds no list of objects; write [{{…}}, …] or {{"data": [{{…}}, …]}}')
    for number, value in enumerate(content, start=1):
        yield _object_row(value, f"{path}:row {number}")


def _csv_rows(
    file: File, path: str, note: Callable[[str], None], wanted: Mapping[str, str], required: Collection[str]
) -> Iterator[Row | BadRow]:
    # A byte that is not UTF-8 becomes a surrogate, so that it spoils only its own row.
    def opened() -> IO[str]:
        return io.TextIOWrapper(file.open(), encoding="utf-8-sig", errors="surrogateescape", newline="")

    # Opened twice, because a stream that is decompressed while it is read cannot seek back.
    with opened() as lines:
        sample = lines.read(SAMPLED_CHARACTERS)
    with opened() as lines:
        above = 0
        if named := _SEP.match(sample):
            lines.readline()
            above, sample = 1, sample[named.end() :]
        delimiter = named[1] if named else _delimiter(sample)
        if delimiter != ",":
            note(f"{path}: read with the {DELIMITERS.get(delimiter, repr(delimiter))} as its delimiter")
        # Skip a space after the delimiter, or quotes after it would become part of the cell.
        reader = csv.reader(lines, strict=True, delimiter=delimiter, skipinitialspace=True)
        header: list[str] | None = None
        while True:
            first = reader.line_num + above + 1
            place = f"{path}:{first}"
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                # An unclosed quote swallows all lines up to the next quote.
                skipped = max(1, reader.line_num + above + 1 - first)
                through = f" in lines {first} to {first + skipped - 1}" if skipped > 1 else ""
                yield BadRow(place, f"no valid csv ({error}{through}); close each quoted cell, and double the quotes within it", skipped)
                continue
            if not any(cells):
                continue
            spoilt = any("\udc80" <= letter <= "\udcff" for cell in cells for letter in cell)
            if header is None:
                header = [cell.strip() for cell in cells]
                if spoilt or "\0" in "".join(header):
                    raise SeedsError(f"synthetic.seeds.path: {place}: the header is not UTF-8; save the file as UTF-8")
                if (wrong := explain(sample, delimiter, wanted, required)) is not None:
                    raise SeedsError(f"synthetic.seeds.path: {path}:{wrong[0] + above}: {wrong[1]}")
                if len(set(header)) < len(header):
                    raise SeedsError(f"synthetic.seeds.path: {place}: two columns have the same name; rename one")
            elif spoilt:
                yield BadRow(place, "not UTF-8; save the file as UTF-8")
            elif len(cells) != len(header):
                yield BadRow(place, _uneven(cells, len(header), delimiter))
            else:
                yield Row(place, dict(zip(header, cells, strict=True)))


def _delimiter(sample: str) -> str:
    """Return the delimiter by which most of the first rows have as many cells as the header; a comma if no header has two.

    `csv.Sniffer` counts characters instead: it reads `"Is it ""3;4"";or 5?",1` as two cells divided by a semicolon.
    """
    found, most = ",", 0.0
    for delimiter in DELIMITERS:
        rows = [cells for _, cells in divided(sample, delimiter)]
        if not rows or len(rows[0]) < 2:
            continue
        # A sample that is not the whole file ends within its last row, so skip that row.
        others = [len(row) for row in (rows[1:] if len(sample) < SAMPLED_CHARACTERS else rows[1:-1])]
        share = others.count(len(rows[0])) / len(others) if others else 1.0
        if share > most:
            found, most = delimiter, share
    return found


def _uneven(cells: list[str], columns: int, delimiter: str) -> str:
    """Return why a row's number of cells differs from the number of columns, with the remedy."""
    for other in DELIMITERS if columns > 1 else ():
        if other != delimiter and any(len(row) == columns for _, row in divided(delimiter.join(cells), other)):
            return f"divided by a {DELIMITERS[other]}, and the header by {_by(delimiter)}; divide all lines by the same"
    # With too few cells it is half of a row, whose other half could pass for a question of its own.
    holds = _by(delimiter) if len(cells) > columns else "a line break"
    return f"{number_of(len(cells), 'cell')} under {number_of(columns, 'column')}; put a cell that holds {holds} in quotes"


def _by(delimiter: str) -> str:
    return f"a {DELIMITERS.get(delimiter, repr(delimiter))}"


def _parquet_rows(file: File, path: str) -> Iterator[Row | BadRow]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with file.open() as opened:
            for batch in pyarrow.parquet.ParquetFile(opened).iter_batches(batch_size=BATCH_ROWS):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(f"{path}:row {number}", values)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise SeedsError(f"synthetic.seeds.path: {path} is no readable parquet file after row {number}: {error}; write it anew") from error


def _names_of_classes(rows: Any, column: str | None) -> Callable[[Any], Any] | None:
    """Return a function from label numbers, which `datasets` stores, to names; None if the column holds no class labels."""
    import datasets

    feature = None if column is None else rows.features.get(column)
    several = isinstance(feature, datasets.Sequence | datasets.List)
    kind: Any = getattr(feature, "feature", None) if several else feature
    if not isinstance(kind, datasets.ClassLabel):
        return None

    def named(value: Any) -> Any:
        # -1 marks an unknown label, as in the test split of many data sets.
        found = [kind.int2str(one) for one in (value if several else [value]) if one is not None and one >= 0]
        return found if several else next(iter(found), None)

    return named


def _dataset_rows(path: str, name: str | None, split: str, wanted: Mapping[str, str]) -> Iterator[Row | BadRow]:
    try:
        import datasets

        folder = Path(path).expanduser()
        saved = any((folder / file).is_file() for file in ("dataset_dict.json", "state.json"))
        rows = datasets.load_from_disk(str(folder)) if saved else datasets.load_dataset(path, name, split=split)
        if isinstance(rows, datasets.DatasetDict):
            if split not in rows:
                raise SeedsError(
                    f"synthetic.seeds.split: {path} has no split {split}; it has {', '.join(rows)}: write one of them as seeds.split"
                )
            rows = rows[split]
        names = _names_of_classes(rows, wanted.get("label"))
        for number in range(len(rows)):
            row = rows[number]
            yield Row(f"{path}:row {number + 1}", row if names is None else {**row, wanted["label"]: names(row[wanted["label"]])})
    except SeedsError:
        raise
    # It raises errors of its readers, of the Hub's client and of the network; all mean the same to the user.
    except Exception as error:
        offline = " (HF_HUB_OFFLINE is set: only what is in the cache can be read)" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SeedsError(
            f"synthetic.seeds.path: {path} (name {name}, split {split}) cannot be loaded as a dataset: {first}{offline}; "
            f"check path, name and split, or give a file ({', '.join(FORMATS)})"
        ) from error
