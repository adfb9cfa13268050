"""Sources of seeds: compressed files, patterns of several, addresses; and the errors of unreadable ones."""

import bz2
import gzip
import http.server
import json
import lzma
import threading
from functools import partial

import fsspec
import pytest
import zstandard

from axolotl_synthetic.errors import SeedsError
from axolotl_synthetic.seeds.rows import BadRow, read_rows

ROWS = [{"question": f"How much is {n} + 1?", "answer": str(n + 1)} for n in range(3)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
CSV = b"question,answer\n" + b"".join(f"How much is {n} + 1?,{n + 1}\n".encode() for n in range(3))
COMPRESSED = {".gz": gzip.compress, ".zst": zstandard.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def values(path):
    return [dict(row.values) for row in read_rows(str(path))]


@pytest.mark.parametrize("suffix", COMPRESSED)
@pytest.mark.parametrize(("name", "content"), [("seeds.jsonl", LINES), ("seeds.csv", CSV), ("seeds.JSON", json.dumps(ROWS).encode())])
def test_a_compressed_file_is_read_as_what_it_holds(tmp_path, suffix, name, content):
    file = tmp_path / f"{name}{suffix}"
    file.write_bytes(COMPRESSED[suffix](content))
    assert values(file) == ROWS


def test_a_bad_line_in_a_compressed_file_is_named_by_its_number(tmp_path):
    file = tmp_path / "seeds.jsonl.gz"
    file.write_bytes(gzip.compress(LINES + b"{oops\n"))
    *good, bad = read_rows(str(file))
    assert len(good) == 3
    assert isinstance(bad, BadRow)
    assert bad.place == f"{file}:4"


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_a_damaged_file_is_said_to_be_so(tmp_path, suffix):
    file = tmp_path / f"seeds.jsonl{suffix}"
    file.write_bytes(COMPRESSED[suffix](LINES * 50)[:-20])
    with pytest.raises(SeedsError, match=r"synthetic\.seeds\.path: .* (is damaged|cannot be read): "):
        values(file)


def test_an_uncompressed_file_with_the_ending_of_a_compressed_one_is_said_to_be_damaged(tmp_path):
    (tmp_path / "seeds.jsonl.gz").write_bytes(LINES)
    with pytest.raises(SeedsError, match="Not a gzipped file"):
        values(tmp_path / "seeds.jsonl.gz")


def test_a_pattern_reads_its_files_in_the_order_of_their_names(tmp_path):
    for number, row in reversed(list(enumerate(ROWS))):
        (tmp_path / f"part-{number}.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "notes.txt").write_text("no seeds")
    rows = list(read_rows(str(tmp_path / "part-*.jsonl")))
    assert [dict(row.values) for row in rows] == ROWS
    assert [row.place for row in rows] == [f"{tmp_path}/part-{number}.jsonl:1" for number in range(3)]


def test_a_pattern_that_also_finds_what_is_none_of_the_formats_names_that_file(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(LINES)
    (tmp_path / "b.txt").write_text("no seeds")
    with pytest.raises(SeedsError, match=r"b\.txt ends in \.txt; save it as one of \.jsonl"):
        values(tmp_path / "*")


def test_a_pattern_that_finds_nothing_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SeedsError, match=r"there is no file seeds/\*\.jsonl in "):
        values("seeds/*.jsonl")


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    (tmp_path / "seeds[1].jsonl").write_bytes(LINES)
    assert values(tmp_path / "seeds[1].jsonl") == ROWS


@pytest.fixture
def remote():
    """Yield a file system in memory that fsspec accesses like a cloud's."""
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/bucket", recursive=True)


def test_an_address_of_a_file_system_is_read_by_fsspec_and_keeps_its_name(remote):
    remote.pipe("/bucket/seeds.jsonl.gz", gzip.compress(LINES))
    rows = list(read_rows("memory://bucket/seeds.jsonl.gz"))
    assert [dict(row.values) for row in rows] == ROWS
    assert rows[2].place == "memory:///bucket/seeds.jsonl.gz:3"


def test_a_pattern_on_a_file_system_reads_them_in_order(remote):
    for number, row in enumerate(ROWS):
        remote.pipe(f"/bucket/part-{number}.jsonl", json.dumps(row).encode())
    assert values("memory://bucket/part-*.jsonl") == ROWS


def test_a_file_that_is_not_there_on_a_file_system_is_named(remote):
    remote.pipe("/bucket/other.jsonl", LINES)
    with pytest.raises(SeedsError, match=r"there is no file memory://bucket/seeds\.jsonl\Z"):
        values("memory://bucket/seeds.jsonl")


def test_a_web_server_is_read_from(tmp_path):
    (tmp_path / "seeds.csv").write_bytes(CSV)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            assert values(f"http://127.0.0.1:{server.server_port}/seeds.csv") == ROWS
        finally:
            server.shutdown()


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/seeds.jsonl", "nosuch://bucket/seeds.jsonl"])
def test_what_cannot_be_reached_says_so(address):
    with pytest.raises(SeedsError, match=r"cannot be reached: .*; check the address|there is no file"):
        values(address)
