"""Write the files of a data set on the Hub: Parquet for each configuration, the card, and provenance. Never the ledger or logs.

The same run gives the same bytes, so a repeated push finds its earlier files on the Hub.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from axolotl_synthetic import dataset
from axolotl_synthetic.errors import StorageError
from axolotl_synthetic.files import write_text
from axolotl_synthetic.wording import number_of

ALL = "all"
# Each configuration's source in the manifest, and what it holds.
CONFIGURATIONS: Mapping[str, tuple[str, str]] = {
    "default": ("train", "chats to train on"),
    "preferences": ("preferences", "an accepted and a rejected answer to the same question each"),
    "kto": ("kto", "single answers, right and wrong"),
    ALL: ("samples", "every candidate, the rejected ones with their reasons"),
}
CARD, PROVENANCE, FIGURES = "README.md", "provenance.json", "figures"
# Files sent completely are not sent again, so an interrupted push loses at most one file of this size.
ROWS_PER_FILE = 100_000
ROWS_AT_ONCE = 5_000
# Columns of samples that are useful only in the output folder.
OF_THE_FOLDER = frozenset({"requests"})


@dataclass(frozen=True)
class File:
    """One file: its local path, its path on the Hub, and its number of rows, 0 if it has none."""

    path: Path
    name: str
    rows: int = 0


def write(folder: Path, out: Path, manifest: Mapping[str, Any], provenance: Mapping[str, Any]) -> list[File]:
    """Write the files of a finished run.

    Args:
        folder: target folder.
        out: the run's output folder.
        manifest: the run's.
        provenance: information on the run besides the manifest.
    """
    made: list[File] = []
    rows: dict[str, int] = {}
    for name, (kind, _) in CONFIGURATIONS.items():
        described = manifest["files"].get(kind)
        if described is not None and described["rows"]:
            tables = _tables(out / Path(described["path"]).name, folder, name)
            rows[name] = sum(file.rows for file in tables)
            made += tables
    made += [File(path, f"{FIGURES}/{path.name}") for path in sorted((out / FIGURES).glob("*.png"))]
    text = json.dumps({**provenance, "manifest": manifest}, indent=2, ensure_ascii=False) + "\n"
    for name, content in ((PROVENANCE, text), (CARD, _card(out / dataset.CARD, rows))):
        write_text(folder / name, content)
        made.append(File(folder / name, name))
    return made


def _tables(source: Path, folder: Path, name: str) -> list[File]:
    """Write the rows of one JSONL file as Parquet."""
    schema, number = _schema(source)
    files = max(1, -(-number // ROWS_PER_FILE))
    (folder / name).mkdir(parents=True, exist_ok=True)
    made = []
    rows = _rows(source)
    for place in range(files):
        path = folder / name / f"train-{place:05d}-of-{files:05d}.parquet"
        count = min(ROWS_PER_FILE, number - place * ROWS_PER_FILE)
        try:
            with pq.ParquetWriter(path, schema, compression="zstd") as writer:
                left = count
                while left:
                    batch = list(islice(rows, min(left, ROWS_AT_ONCE)))
                    writer.write_table(pa.Table.from_pylist(batch, schema))
                    left -= len(batch)
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror or error}; free some space, then run the same command again") from error
        made.append(File(path, f"{name}/{path.name}", count))
    return made


def _rows(source: Path) -> Iterator[dict[str, Any]]:
    for row in dataset.read_rows(source):
        shown = {key: value for key, value in row.items() if key not in OF_THE_FOLDER}
        if shown.get("decision") is not None:
            # Deciders are named persons, and the text before the decision is in review.jsonl; publish neither.
            shown["decision"] = shown["decision"]["what"]
        yield shown


def _schema(source: Path) -> tuple[pa.Schema, int]:
    """Return a schema that fits all rows, and the number of rows."""
    schema, number, rows = pa.schema([]), 0, _rows(source)
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        schema = pa.unify_schemas([schema, pa.Table.from_pylist(_with_all_keys(batch)).schema], promote_options="permissive")
        number += len(batch)
    return pa.schema([pa.field(one.name, _without_null(one.type)) for one in schema]), number


def _with_all_keys(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows that all have the same keys, because pyarrow takes its columns from the first row."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return [{key: row.get(key) for key in keys} for row in rows]


def _without_null(kind: pa.DataType) -> pa.DataType:
    """Return the type with text in place of null, for columns that never had a value."""
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_without_null(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(one.name, _without_null(one.type)) for one in kind])
    return kind


def _card(source: Path, rows: Mapping[str, int]) -> str:
    """Return the run's card with the Hub's configurations added; other content stays."""
    text = source.read_text(encoding="utf-8") if source.exists() else ""
    front, body = _divided(text)
    front["configs"] = [{"config_name": name, "data_files": f"{name}/*.parquet", **_is_default(name)} for name in rows]
    table = "\n".join(f"| `{name}` | {number:,} | {CONFIGURATIONS[name][1]} |" for name, number in rows.items())
    body = body.replace("`samples.jsonl` holds", f"The configuration `{ALL}` holds")
    section = f"\n## Configurations\n\n| name | rows | what |\n| --- | --- | --- |\n{table}\n\n`{PROVENANCE}` says how they were made.\n"
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n{body.rstrip()}\n{section}"


def _is_default(name: str) -> dict[str, bool]:
    return {"default": True} if name == "default" else {}


def front_matter(path: Path) -> dict[str, Any]:
    """Return the front matter of a card; empty if there is no card."""
    try:
        return _divided(path.read_text(encoding="utf-8"))[0]
    except (OSError, UnicodeDecodeError):
        return {}


def _divided(text: str) -> tuple[dict[str, Any], str]:
    """Return a card's front matter, and the rest."""
    parts = text.split("---\n", 2)
    if len(parts) == 3 and not parts[0].strip():
        try:
            front = yaml.safe_load(parts[1])
        except yaml.YAMLError:
            front = None
        if isinstance(front, dict):
            return front, parts[2]
    return {}, text


def holding(files: Iterable[File], secrets: Iterable[str]) -> str:
    """Return the name of a file that contains a secret, empty if none does.

    Replies that contain a key are refused on arrival; this is the last check before others can read the data.
    """
    wanted = [secret.encode() for secret in secrets]
    for file in files:
        texts: Iterable[bytes] = [file.path.read_bytes()]
        if file.path.suffix == ".parquet":
            batches = pq.ParquetFile(file.path).iter_batches(batch_size=ROWS_AT_ONCE)
            texts = (json.dumps(batch.to_pylist(), ensure_ascii=False).encode(errors="replace") for batch in batches)
        if any(secret in text for text in texts for secret in wanted):
            return file.name
    return ""


def in_words(file: File) -> str:
    """Return a line on a file: its path on the Hub, its size, its rows."""
    size = file.path.stat().st_size
    shown = f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"
    return f"{file.name}  {shown}" + (f", {number_of(file.rows, 'row')}" if file.rows else "")
