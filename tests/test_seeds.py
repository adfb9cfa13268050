"""Reading, checking and drawing seeds: every unusable row is named with its place, and the rest is used."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axolotl_synthetic import config
from axolotl_synthetic.errors import SeedsError
from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.seeds import SeedSet, read_seeds, seed_id


def read(path, *, seed=42, problem=lambda _: None, required=("question",), optional=("answer",), **block) -> SeedSet:
    return read_seeds(config.Seeds(path=str(path), **block), required=required, optional=optional, problem=problem, seed=seed)


def read_choices(path, **block) -> SeedSet:
    return read(path, required=("question", "choices"), optional=("labels", "answer"), **block)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def jsonl(folder: Path, *rows) -> Path:
    return written(folder, "seeds.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def numbered(folder: Path, count: int) -> Path:
    return jsonl(folder, *({"question": f"What is {n} + 1?", "answer": n + 1} for n in range(count)))


def test_every_bad_line_is_named_and_the_good_ones_are_used(tmp_path):
    lines = [
        b"\xef\xbb\xbf" + b'{"question": "One?", "answer": "1"}',  # 1: a byte order mark is not an error
        b'{"answer": "2"}',  # 2
        b'{"question": "  ", "answer": "3"}',  # 3
        b'{"question": "Four?"',  # 4
        b'{"question": "F\xfcnf?"}',  # 5: Latin-1
        b'["Six?"]',  # 6
        b"",  # 7: an empty line is not a row
        b'{"question": "One?", "answer": "other"}',  # 8
        b'{"question": 9}',  # 9
        b'{"question": "\\ud800?"}',  # 10
        b'{"question": "Eleven?", "answer": ["11"]}',  # 11
        b'{"question": "Twelve?", "answer": null}',  # 12
    ]
    path = written(tmp_path, "seeds.jsonl", b"\n".join(lines))
    found = read(path)
    assert {seed.question.text: seed.answer for seed in found.seeds} == {"One?": "1", "Twelve?": None}
    said = dict(problem.removeprefix(f"{path}:").split(": ", 1) for problem in found.problems)
    assert {int(line): text.split(";")[0].split(" (")[0] for line, text in said.items()} == {
        2: "no question",
        3: "question is empty",
        4: "invalid JSON",
        5: "not UTF-8",
        6: "a list, not an object",
        8: f"the same question as {path}:1",
        9: "question is int, not text",
        10: "question holds half a character",
        11: "answer is list, not text",
    }
    assert all(";" in text for text in said.values()), "each names a remedy"
    assert found.unusable == 8, "a question that is there twice is read, and spoils nothing"


def test_csv_lines_are_counted_over_cells_of_several_lines(tmp_path):
    path = written(tmp_path, "seeds.csv", 'question,answer\n"Two\nlines?",2\n,3\n"Four?",4,5\nFive?,\n')
    found = read(path)
    assert {seed.question.text: seed.answer for seed in found.seeds} == {"Two\nlines?": "2", "Five?": None}
    assert [problem.split(";")[0] for problem in found.problems] == [f"{path}:4: question is empty", f"{path}:5: 3 cells under 2 columns"]


def test_a_csv_row_that_is_not_utf8_spoils_itself_only(tmp_path):
    path = written(tmp_path, "seeds.csv", b"\xef\xbb\xbfquestion,answer\nF\xfcnf?,5\nSechs?,6\n")
    found = read(path)
    assert [seed.answer for seed in found.seeds] == ["6"]
    assert found.problems == (f"{path}:2: not UTF-8; save the file as UTF-8",)


ROWS = [("Ada has 3 jars, each with 4; how many?", "12"), ('He said "no", twice', "1"), ("Two\nlines; or | three,\tthen?", "2")]


@pytest.mark.parametrize(
    ("delimiter", "name", "word"),
    [(",", "a.csv", None), (";", "a.csv", "semicolon"), ("\t", "a.csv", "tab"), ("\t", "a.tsv", "tab"), ("|", "a.csv", "vertical bar")],
)
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("above", ["", "sep={}\r\n"])
def test_a_csv_is_read_by_the_delimiter_that_it_has_and_this_is_said(tmp_path, delimiter, name, word, quoting, above):
    path = tmp_path / name
    with path.open("w", newline="") as file:
        file.write(above.format(delimiter))
        csv.writer(file, delimiter=delimiter, quoting=quoting).writerows([("question", "answer"), *ROWS])
    found = read(path)
    assert {(seed.question.text, seed.answer) for seed in found.seeds} == set(ROWS)
    assert found.problems == (() if word is None else (f"{path}: read with the {word} as its delimiter",))
    assert found.unusable == 0


def test_a_delimiter_within_the_questions_is_none(tmp_path):
    # `csv.Sniffer` takes the semicolon for the first file's delimiter and the comma for the second one's.
    one = written(tmp_path, "one.csv", 'question,answer\n"Is it ""3;4"";or 5?",1\n')
    assert [(seed.question.text, seed.answer) for seed in read(one).seeds] == [('Is it "3;4";or 5?', "1")]
    two = written(tmp_path, "two.csv", 'question\tanswer\n"He said ""no"", twice"\t1\nWhat, then?\t2\n')
    assert {seed.answer for seed in read(two).seeds} == {"1", "2"}
    three = written(tmp_path, "three.csv", "question\nHow many; or none?\nWhich\tone?\n")
    assert {seed.question.text for seed in read(three).seeds} == {"How many; or none?", "Which\tone?"}
    assert read(three).problems == ()


def test_a_space_behind_the_delimiter_is_no_part_of_a_quoted_cell(tmp_path):
    path = written(tmp_path, "seeds.csv", 'question, answer\n"Two, or three?", "5"\n')
    assert [(seed.question.text, seed.answer) for seed in read(path).seeds] == [("Two, or three?", "5")]


def test_a_delimiter_that_is_none_is_not_taken_for_a_part_of_a_columns_name(tmp_path):
    with pytest.raises(SeedsError, match="the file seems to be divided by a character that is not known for it; save it with commas"):
        read(written(tmp_path, "seeds.csv", "question^answer\nOne?^1\n"))
    assert len(read(written(tmp_path, "seeds.csv", "question,answer\nOne?,1\n")).seeds) == 1


def test_a_row_longer_than_what_is_sampled_does_not_hide_the_delimiter(tmp_path):
    found = read(written(tmp_path, "seeds.csv", f"question;answer\n{'x' * 100_000}?;1\nTwo?;2\n"))
    assert {seed.answer for seed in found.seeds} == {"1", "2"}


def test_a_file_with_a_header_alone_is_empty(tmp_path):
    with pytest.raises(SeedsError, match=r"no row of .*seeds\.csv can be used: it is empty; give a question each row"):
        read(written(tmp_path, "seeds.csv", "question;answer\n"))


def test_a_row_with_too_few_cells_is_no_question_without_an_answer(tmp_path):
    # A line break without quotes, and a line with another delimiter: each would be a question that nobody wrote.
    path = written(tmp_path, "seeds.csv", "question,answer\nTwo\nlines?,2\nThree?;3\nFour?,\n")
    found = read(path)
    assert {(seed.question.text, seed.answer) for seed in found.seeds} == {("lines?", "2"), ("Four?", None)}
    assert found.problems == (
        f"{path}:2: 1 cell under 2 columns; put a cell that holds a line break in quotes",
        f"{path}:4: divided by a semicolon, and the header by a comma; divide all lines by the same",
    )
    assert found.unusable == 2


def test_lines_below_a_named_delimiter_keep_their_numbers(tmp_path):
    path = written(tmp_path, "seeds.csv", "sep=;\nquestion;answer\nOne?;1\n;2\nThree?;3;4\n")
    assert [problem.split(";")[0] for problem in read(path).problems[1:]] == [
        f"{path}:4: question is empty",
        f"{path}:5: 3 cells under 2 columns",
    ]
    assert read(path).problems[-1].endswith("put a cell that holds a semicolon in quotes")


def test_all_lines_that_a_quote_swallows_count_as_unusable(tmp_path):
    # The quote in line 3 is never closed: the five lines from there on are one cell.
    path = written(tmp_path, "seeds.csv", 'question,answer\nOne?,1\n"Two?,2\nThree?,3\nFour?,4\nFive?,5\nSix?,6\n')
    found = read(path)
    assert [seed.answer for seed in found.seeds] == ["1"]
    assert found.unusable == 5
    assert found.problems[0].startswith(f"{path}:3: no valid csv (unexpected end of data in lines 3 to 7); close each quoted cell")


def test_a_header_that_is_not_utf8_is_refused(tmp_path):
    with pytest.raises(SeedsError, match=r"seeds\.csv:1: the header is not UTF-8; save the file as UTF-8"):
        read(written(tmp_path, "seeds.csv", "question\tanswer\nOne?\t1\n".encode("utf-16")))


def test_a_csv_cell_may_hold_choices_as_json(tmp_path):
    path = written(tmp_path, "seeds.csv", 'question,choices,answer\nWhich?,"[""dry"", ""wet""]",B\n')
    assert read_choices(path).seeds[0].question == Question("Which?", ("dry", "wet"), ("A", "B"))


@pytest.mark.parametrize(
    "content", ['[{"question": "One?"}]', '{"data": [{"question": "One?"}]}', '{"question": "One?"}\n{"question": "Two?"}']
)
def test_json_is_a_list_or_data_or_one_object_a_line(tmp_path, content):
    assert "One?" in {seed.question.text for seed in read(written(tmp_path, "seeds.json", content)).seeds}


@pytest.mark.parametrize("content", ["{", '"text"', '{"data": 3}', "[" * 100_000, b"\xff\xfe[\x00"])
def test_json_that_holds_no_list_is_refused(tmp_path, content):
    with pytest.raises(SeedsError, match=r"seeds\.json"):
        read(written(tmp_path, "seeds.json", content))


def test_parquet_with_nested_columns(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [{"question": "Which?", "choices": {"text": ["dry", "wet"], "label": ["1", "2"]}, "answerKey": "2"}, {"question": ""}]
    path = tmp_path / "seeds.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    found = read_choices(path, fields={"choices": "choices.text", "labels": "choices.label", "answer": "answerKey"})
    assert found.seeds[0].question == Question("Which?", ("dry", "wet"), ("1", "2"))
    assert found.seeds[0].answer == "2"
    assert found.problems[0].startswith(f"{path}:row 2: ")


def test_a_broken_parquet_file_is_refused(tmp_path):
    with pytest.raises(SeedsError, match="no readable parquet"):
        read(written(tmp_path, "seeds.parquet", b"PAR1 and then nothing"))


def test_a_folder_goes_through_load_dataset(tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data"
    folder.mkdir()
    numbered(folder, 3)
    assert {seed.answer for seed in read(folder).seeds} == {"1", "2", "3"}
    with pytest.raises(SeedsError, match="split nowhere"):
        read(folder, split="nowhere")


def test_a_dataset_that_was_saved_to_disk_is_read_split_by_split(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = {name: [{"question": f"{name} {n}?", "answer": str(n)} for n in range(3)] for name in ("train", "test")}
    datasets.DatasetDict({name: datasets.Dataset.from_list(of) for name, of in rows.items()}).save_to_disk(str(tmp_path / "saved"))
    for path, split, name in (("saved", "train", "train"), ("saved", "test", "test"), ("saved/test", "train", "test")):
        found = read(tmp_path / path, split=split)
        assert {(seed.question.text, seed.answer) for seed in found.seeds} == {(f"{name} {n}?", str(n)) for n in range(3)}
    with pytest.raises(SeedsError, match=r"has no split nowhere; it has train, test: write one of them as seeds\.split"):
        read(tmp_path / "saved", split="nowhere")


def test_a_saved_dataset_that_is_damaged_is_refused(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list([{"question": "One?"}]).save_to_disk(str(tmp_path / "saved"))
    for file in (tmp_path / "saved").glob("*.arrow"):
        file.write_bytes(b"no arrow")
    with pytest.raises(SeedsError, match="cannot be loaded as a dataset"):
        read(tmp_path / "saved")


def test_a_missing_file_is_refused_with_its_path(tmp_path):
    with pytest.raises(SeedsError, match=r"no file .*absent\.jsonl") as caught:
        read(tmp_path / "absent.jsonl")
    assert caught.value.exit_code == 2


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(SeedsError, match=r"ends in \.txt"):
        read(written(tmp_path, "seeds.txt", "One?"))


def test_a_file_without_a_usable_row_lists_the_first_problems(tmp_path):
    path = jsonl(tmp_path, *({"question": ""} for _ in range(8)))
    with pytest.raises(SeedsError) as caught:
        read(path)
    assert f"{path}:5: question is empty" in str(caught.value)
    assert "and 3 more rows" in str(caught.value)


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(SeedsError, match="it is empty"):
        read(written(tmp_path, "seeds.jsonl", ""))


def test_a_column_that_no_row_has_is_refused_with_the_columns_there_are(tmp_path):
    with pytest.raises(SeedsError, match=r"'prompt' \(for `question`\).*its columns are text, gold"):
        read(jsonl(tmp_path, {"text": "One?", "gold": "1"}), fields={"question": "prompt"})


def test_an_answer_column_that_was_asked_for_must_exist_but_the_default_one_need_not(tmp_path):
    path = jsonl(tmp_path, {"question": "One?"})
    assert read(path).seeds[0].answer is None
    with pytest.raises(SeedsError, match="gold"):
        read(path, fields={"answer": "gold"})


def test_a_name_that_the_task_does_not_have_is_refused(tmp_path):
    with pytest.raises(SeedsError, match="has no choices; it has question, answer"):
        read(numbered(tmp_path, 1), fields={"choices": "choices"})


@pytest.mark.parametrize(("answer", "text"), [(72, "72"), (72.0, "72.0"), ("", None), ("  ", None), (None, None), (float("nan"), None)])
def test_answers_become_text(tmp_path, answer, text):
    assert read(jsonl(tmp_path, {"question": "One?", "answer": answer})).seeds[0].answer == text


def test_choices_and_labels_of_unequal_length_are_named(tmp_path):
    path = jsonl(
        tmp_path, {"question": "Which?", "choices": ["dry", "wet"], "labels": ["A"]}, {"question": "Whose?", "choices": ["his", "hers"]}
    )
    found = read_choices(path)
    assert found.problems == (f"{path}:1: 2 choices and 1 label; give a label each",)
    assert found.seeds[0].question.labels == ("A", "B")


def test_choices_may_be_objects(tmp_path):
    path = jsonl(tmp_path, {"question": "Which?", "choices": [{"text": "dry"}, {"text": "wet"}]})
    assert read_choices(path, fields={"choices": "choices.text"}).seeds[0].question.choices == ("dry", "wet")


def test_the_tasks_own_problem_is_named(tmp_path):
    path = numbered(tmp_path, 2)
    found = read(path, problem=lambda seed: "answer: too small; add" if seed.answer == "1" else None)
    assert found.problems == (f"{path}:1: answer: too small; add",)


def test_the_id_is_of_the_content_alone(tmp_path):
    first, second = {"question": "One?", "answer": "1"}, {"question": "Two?", "answer": "2"}
    one_way = read(jsonl(tmp_path, first, second)).seeds
    other_way = read(jsonl(tmp_path, {"more": 0, **second}, first)).seeds
    assert {seed.id for seed in one_way} == {seed.id for seed in other_way}
    assert all(len(seed.id) == 12 for seed in one_way)
    assert seed_id(Question("One?"), "1") != seed_id(Question("One?"), None)


def test_a_larger_limit_contains_the_smaller_and_holds_out_the_same(tmp_path):
    path = numbered(tmp_path, 20)
    small, large = read(path, limit=5, holdout=3), read(path, limit=12, holdout=3)
    assert large.seeds[:5] == small.seeds
    assert large.held_out == small.held_out
    assert small.sha256 != large.sha256


def test_no_held_out_row_is_a_seed_and_none_is_lost(tmp_path):
    found = read(numbered(tmp_path, 10), holdout=0.25)
    assert (len(found.held_out), len(found.seeds)) == (2, 8)  # round(2.5) is 2: halves go to the even number
    assert len({seed.id for seed in found.held_out + found.seeds}) == 10


def test_a_share_above_nothing_holds_out_one_at_least(tmp_path):
    assert len(read(numbered(tmp_path, 10), holdout=0.01).held_out) == 1


@pytest.mark.parametrize("holdout", [0.99, 3, 5])
def test_a_holdout_that_leaves_no_seed_is_refused(tmp_path, holdout):
    with pytest.raises(SeedsError, match=r"seeds\.holdout"):
        read(numbered(tmp_path, 3), holdout=holdout)


def test_too_few_rows_for_the_limit_are_all_taken_and_it_is_said(tmp_path):
    found = read(numbered(tmp_path, 3), limit=100)
    assert len(found.seeds) == 3
    assert "3 seeds where seeds.limit asks for 100" in found.problems[0]


def test_another_seed_draws_others_and_the_same_draws_the_same(tmp_path):
    path = numbered(tmp_path, 50)
    assert read(path, limit=10) == read(path, limit=10)
    assert read(path, limit=10).seeds != read(path, limit=10, seed=43).seeds


# Following a message's advice: the same file or block, changed as it says, gives the seed


@pytest.mark.parametrize(
    ("name", "before", "advice", "after", "fields"),
    [
        ("a.jsonl", '{"prompt": "Which?"}', 'write `fields: {question: "prompt"}`', None, {"question": "prompt"}),
        ("a.jsonl", '{"id": "7", "a b": "Which?"}', 'such as `fields: {question: "a b"}`', None, {"question": "a b"}),
        ("a.jsonl", '{"id": 7, "x": {"y": "Which?"}}', "none of them holds text; write a row for each", '{"question": "Which?"}', {}),
        (
            "a.jsonl",
            '{"messages": [{"role": "user", "content": "Which?"}]}',
            'none of them holds text; write a row for each question, such as {"question": "…", "answer": "…"}',
            '{"question": "Which?", "answer": "A"}',
            {},
        ),
        ("a.jsonl", '{"question": null}', "no question; fill it in", '{"question": "Which?"}', {}),
        ("a.jsonl", '{"question": 9}', "question is int, not text; write it as text", '{"question": "9"}', {}),
        ("a.jsonl", '{"question": "Which?",}', "write one object on the line", '{"question": "Which?"}', {}),
        ("a.jsonl", '["Which?"]', 'not an object; write {"question": …}', '{"question": "Which?"}', {}),
        ("a.jsonl", b'{"question": "F\xfcnf?"}', "save the file as UTF-8", '{"question": "Fünf?"}', {}),
        ("a.json", '"Which?"', 'write [{…}, …] or {"data": [{…}, …]}', '{"data": [{"question": "Which?"}]}', {}),
        ("a.json", '["Which?"', "write a list of objects", '[{"question": "Which?"}]', {}),
        (
            "a.csv",
            "question,answer\nOne, or two?,2\n",
            "put a cell that holds a comma in quotes",
            'question,answer\n"One, or two?",2\n',
            {},
        ),
        ("a.csv", 'question\n"One\n', "close each quoted cell", 'question\n"One"\n', {}),
        ("a.csv", 'question\n"One "or" two?"\n', "double the quotes within it", 'question\n"One ""or"" two?"\n', {}),
        ("a.csv", "question,question\nOne?,Two?\n", "two columns have the same name; rename one", "question,other\nOne?,Two?\n", {}),
    ],
)
def test_what_a_message_advises_works(tmp_path, name, before, advice, after, fields):
    with pytest.raises(SeedsError) as caught:
        read(written(tmp_path, name, before))
    assert advice in str(caught.value)
    found = read(written(tmp_path, name, before if after is None else after), fields=fields)
    assert (len(found.seeds), found.unusable) == (1, 0)


@pytest.mark.parametrize(
    ("before", "advice", "after"),
    [
        ('"choices": "dry or wet"', 'choices is str, not a list of texts; write it as ["one", "two"]', '"choices": ["dry", "wet"]'),
        ('"choices": "[dry, wet]"', 'choices is no list in JSON; write it as ["one", "two"]', r'"choices": "[\"dry\", \"wet\"]"'),
        ('"choices": ["dry", ""]', "choices holds an empty text; fill it in", '"choices": ["dry", "wet"]'),
        ('"choices": ["dry", "wet"], "labels": ["A"]', "give a label each", '"choices": ["dry", "wet"], "labels": ["A", "B"]'),
        (
            f'"choices": {json.dumps([str(n) for n in range(27)])}',
            "27 choices, more than there are letters; give labels",
            f'"choices": {json.dumps([str(n) for n in range(27)])}, "labels": {json.dumps(list(range(27)))}',
        ),
    ],
)
def test_what_a_message_on_choices_advises_works(tmp_path, before, advice, after):
    with pytest.raises(SeedsError) as caught:
        read_choices(written(tmp_path, "a.jsonl", f'{{"question": "Which?", {before}}}'))
    assert advice in str(caught.value)
    found = read_choices(written(tmp_path, "a.jsonl", f'{{"question": "Which?", {after}}}'))
    assert (len(found.seeds), found.unusable) == (1, 0)


@settings(max_examples=100)
@given(content=st.binary(max_size=300))
def test_whatever_the_bytes_are_the_end_is_seeds_or_a_seeds_error(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("bytes")
    for suffix in ("jsonl", "csv", "json"):
        path = written(folder, f"seeds.{suffix}", b"question,answer\n" + content if suffix == "csv" else content)
        try:
            assert all(isinstance(seed, Seed) and seed.question.text for seed in read(path).seeds)
        except SeedsError:
            pass
