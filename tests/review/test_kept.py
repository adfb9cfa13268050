"""Pushed records and answers are kept: read back as written, and only an answer's author can remove it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic import files
from axolotl_synthetic.errors import StorageError
from axolotl_synthetic.review import kept
from axolotl_synthetic.review.kept import Answer, Kept

ANN = Answer("ann", "u1", "2026-01-01T00:00:00Z", "accept")
BEA = Answer("bea", "u2", "2026-01-02T00:00:00Z", "edit", answer="It is 4.\n#### 4", quality=5)


def record(*answers, content="abc", **more):
    return Kept("synthetic/review", "d1", "s1", content, answers=answers, **more)


def book(*records):
    return {one.key: one for one in records}


def test_nothing_was_pushed_where_there_is_no_file(tmp_path):
    assert kept.read(tmp_path) == {}
    assert kept.state(tmp_path, "keep") == kept.state(tmp_path, "drop") == ""


def test_what_is_written_is_read_back(tmp_path):
    made = book(record(ANN, BEA, annotators=2, gone=True))
    kept.write(tmp_path, made)
    assert kept.read(tmp_path) == made


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
RECORDS = st.dictionaries(
    st.tuples(TEXTS, TEXTS), st.tuples(TEXTS, st.lists(st.builds(Answer, TEXTS, TEXTS, TEXTS, st.none() | TEXTS), max_size=3))
)


@given(RECORDS)
def test_the_same_records_give_the_same_bytes_in_whatever_order_they_came(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("kept")
    made = book(*(Kept(dataset, "d", id, text, answers=tuple(answers)) for (dataset, id), (text, answers) in records.items()))
    kept.write(folder, made)
    before = (folder / kept.FILE).read_bytes()
    assert kept.read(folder) == made
    kept.write(folder, dict(reversed(made.items())))
    assert (folder / kept.FILE).read_bytes() == before


def test_writing_what_is_there_touches_nothing(tmp_path):
    kept.write(tmp_path, book(record(ANN)))
    before = (tmp_path / kept.FILE).stat()
    kept.write(tmp_path, book(record(ANN)))
    after = (tmp_path / kept.FILE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path, monkeypatch):
    kept.write(tmp_path, book(record(ANN)))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(StorageError, match=r"review\.jsonl: No space left on device"):
        kept.write(tmp_path, book(record(ANN, BEA)))
    assert kept.read(tmp_path) == book(record(ANN))


@pytest.mark.parametrize("line", ["{", "[]", '{"dataset": "x"}', '{"answers": [{"who": 1, "strange": 2}]}', "null"])
def test_a_damaged_line_is_named_with_its_number(tmp_path, line):
    kept.write(tmp_path, book(record(ANN)))
    with open(tmp_path / kept.FILE, "a") as file:
        file.write(line + "\n")
    with pytest.raises(StorageError, match=r"review\.jsonl:2: cannot be read"):
        kept.read(tmp_path)


def test_the_policy_is_part_of_what_decides_the_training_file(tmp_path):
    kept.write(tmp_path, book(record(ANN)))
    assert kept.state(tmp_path, "keep") != kept.state(tmp_path, "drop")


def test_an_answer_that_the_server_no_longer_has_is_kept():
    assert kept.merged(record(ANN, BEA), record(BEA), taken_back=[]).answers == (ANN, BEA)


def test_who_changes_their_mind_has_one_answer():
    changed = Answer("ann", "u1", "2026-01-03T00:00:00Z", "reject")
    assert kept.merged(record(ANN), record(changed), taken_back=[]).answers == (changed,)


def test_who_turns_an_answer_into_a_draft_or_discards_it_takes_it_back():
    assert kept.merged(record(ANN, BEA), record(BEA), taken_back=["u1"]).answers == (BEA,)


def test_answers_about_another_text_of_the_same_sample_are_kept_beside(tmp_path):
    kept.write(tmp_path, book(record(ANN, content="former"), record(BEA)))
    assert [one.answers for one in kept.read(tmp_path).values()] == [(BEA,), (ANN,)]
