"""Seeds' files with a title, without a header, with other names: following the message's advice gives all seeds with their answers.

A row or a title is never suggested as a column.
"""

import csv
import io
import json
import re
from pathlib import Path

import pytest
import yaml

from axolotl_synthetic import config
from axolotl_synthetic.errors import SeedsError
from axolotl_synthetic.seeds import SeedSet, read_seeds
from axolotl_synthetic.seeds.columns import looks_like_data, loosely, recognised

ROWS = [("What is 2 + 2?", "4"), ("Ada has 3 jars, each with 4; how many?", "12"), ("How many legs has an ant?", "6")]
PAIRS = set(ROWS)


def read(path, *, required=("question",), optional=("answer",), **block) -> SeedSet:
    return read_seeds(config.Seeds(path=str(path), **block), required=required, optional=optional, problem=lambda _: None, seed=42)


def written(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_bytes(content.encode())
    return path


def table(*rows, delimiter=",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue()


def refused(path, **block) -> str:
    with pytest.raises(SeedsError) as caught:
        read(path, **block)
    return str(caught.value)


def pairs(found: SeedSet) -> set[tuple[str, str | None]]:
    assert found.unusable == 0, found.problems
    return {(seed.question.text, seed.answer) for seed in found.seeds}


def advised(message: str) -> dict[str, str]:
    [line] = re.findall(r"`(fields: \{.*?\})`", message)
    return yaml.safe_load(line)["fields"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("above", "what"),
    [
        ("My data 2024\n", "a title"),
        ("My data\n", "a title"),
        ("My data, version 2\n", "a title"),
        ("My data 2024{0}\n", "a title"),
        ("Exported by Ada{0}2024-01-01\n", "a title"),
        ("Questions and answers of the school\n", "a title"),
        ("Questions{0}\n", "a title"),
        ("# comment\n", "a comment"),
        ("# made by Ada, 2024\n", "a comment"),
        ("#\n# questions, with answers\n", "a comment"),
        ("// generated\n", "a comment"),
        ('"My data\n2024"\n', "a title"),
        ("My data 2024\n\n", "a title"),
        ("My data 2024\nby Ada\n", "a title"),
        ("Umfrage Ä 2024\n", "a title"),
    ],
)
@pytest.mark.parametrize("header", [("question", "answer"), ("Question", "Answer"), ("prompt", "completion")])
def test_a_title_or_a_comment_above_the_header_is_to_be_deleted(tmp_path, above, what, header, delimiter):
    title, rest = above.format(delimiter), table(header, *ROWS, delimiter=delimiter)
    message = refused(written(tmp_path, "a.csv", title + rest))
    lines = title.count("\n")
    assert f"a.csv:1: '{title.splitlines()[0][:5].strip(chr(34))}"[:12] in message
    assert "fields:" not in message
    deleted = "line 1" if lines == 1 else f"lines 1 to {lines}"
    assert message.endswith(f"looks like {what}: the columns are named in line {lines + 1}; delete {deleted}")
    path = written(tmp_path, "a.csv", "".join((title + rest).splitlines(keepends=True)[lines:]))
    fields = {} if header == ("question", "answer") else advised(refused(path) if header[0] != "question" else "")
    assert pairs(read(path, fields=fields)) == PAIRS


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("more", [(), ("easy",), ("easy", "7")])
def test_a_file_without_a_header_is_told_to_name_its_columns(tmp_path, delimiter, more):
    rows = [(*row, *more) for row in ROWS]
    path = written(tmp_path, "a.csv", table(*rows, delimiter=delimiter))
    message = refused(path)
    names = ["question", "answer", "column3", "column4"][: 2 + len(more)]
    assert "a.csv:1: 'What is 2 + 2?, 4" in message and "looks like a row, not like the names of columns" in message
    assert "fields:" not in message
    header = re.search(r"write a line above it that names them, such as `(.*?)`", message)[1]
    assert header == delimiter.join(names)
    assert pairs(read(written(tmp_path, "a.csv", f"{header}\n{path.read_text()}"))) == PAIRS


@pytest.mark.parametrize(
    "first",
    [
        ("What is 2+2", "4"),
        ("7 * 6 = ?", "42"),
        ("1", "2"),
        ("Ada has three red jars", "3"),
        ("Wie viele?", "1"),
        ("多少？", "5"),
        ("2024-01-01", "x"),
    ],
)
def test_no_row_is_taken_for_names_of_columns(tmp_path, first):
    message = refused(written(tmp_path, "a.csv", table(first, *ROWS)))
    assert "looks like a row" in message and "fields:" not in message
    assert pairs(read(written(tmp_path, "a.csv", "question,answer\n" + table(first, *ROWS)))) == {*PAIRS, first}


def test_a_title_above_rows_without_a_header_is_to_be_replaced_by_one(tmp_path):
    message = refused(written(tmp_path, "a.csv", "My data\n" + table(*ROWS)))
    assert message.endswith(
        "'My data' looks like a title, not like the names of columns; write them in its place, such as `question,answer`"
    )
    assert pairs(read(written(tmp_path, "a.csv", "question,answer\n" + table(*ROWS)))) == PAIRS


@pytest.mark.parametrize(
    "header",
    [
        ("Question", "Answer"),
        ("QUESTION", "ANSWER"),
        (" Question ", "ANSWER "),
        ('"question"', '"answer"'),
        ("'question'", "'answer'"),
        ("“question”", "“answer”"),
        ("\u200bquestion", "answer\u200b"),
        ("\ufeffquestion", "answer"),
        ("\ufeff\ufeffQuestion", "Answer\ufeff"),
        ("que\u00adstion", "answer"),
        ("question\u00a0", "\u00a0Answer"),
        ("question", "Answer"),
        ("question", "answer "),
        ("question:", "answer:"),
        ("Question?", "Answer!"),
        ("Question", "answer"),
        ("Prompt", "Completion"),
        ("instruction", "output"),
        ("problem", "solution"),
        ("Question Text", "Correct Answer"),
        ("question_text", "final_answer"),
        ("Q", "A"),
        ("ｑｕｅｓｔｉｏｎ", "ａｎｓｗｅｒ"),
        ("query", "response"),
        ("input", "target"),
        ("#question", "answer"),
        ("quest\x1bion", "an\x07swer"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json"])
def test_all_columns_are_in_one_line_that_gives_every_seed_its_answer(tmp_path, header, name):
    if name == "a.csv":
        content = table((*header, "id"), *((*row, at) for at, row in enumerate(ROWS)))
    else:
        rows = [dict(zip((*header, "id"), (*row, at), strict=True)) for at, row in enumerate(ROWS)]
        content = json.dumps(rows) if name == "a.json" else "".join(f"{json.dumps(row)}\n" for row in rows)
    path = written(tmp_path, name, content)
    try:
        assert pairs(read(path)) == PAIRS  # a space around a csv's cell is not part of it
    except SeedsError as error:
        fields = advised(str(error))
        assert set(fields) == {"question", "answer"}
        assert pairs(read(path, fields=fields)) == PAIRS


def test_an_answer_in_another_spelling_is_refused_and_a_synonym_is_told(tmp_path):
    path = written(tmp_path, "a.jsonl", '{"question": "Which?", "Answer": "1"}\n')
    assert 'write `fields: {question: "question", answer: "Answer"}`' in refused(path)
    path = written(tmp_path, "a.jsonl", '{"question": "Which?", "solution": "1"}\n')
    [said] = read(path).problems
    assert "no column holds answers by its name" in said and "if 'solution' does" in said
    assert pairs(read(path, fields=advised(said))) == {("Which?", "1")}


def test_two_columns_that_could_be_the_same_are_both_left_to_the_user(tmp_path):
    path = written(tmp_path, "a.jsonl", '{"Question": "Which?", "QUESTION": "Whose?"}\n')
    assert "fields: {question: COLUMN" in refused(path)


@pytest.mark.parametrize(
    ("names", "columns", "expected"),
    [
        # GSM8K, MATH, Alpaca, Dolly, Spider, WikiSQL and similar, ARC, CommonsenseQA.
        (("question", "answer"), ("question", "answer"), {"question": "question", "answer": "answer"}),
        (("question", "answer"), ("problem", "level", "type", "solution"), {"question": "problem", "answer": "solution"}),
        (
            ("question", "answer", "context"),
            ("instruction", "input", "output"),
            {"question": "instruction", "answer": "output", "context": "input"},
        ),
        (
            ("question", "answer", "context"),
            ("instruction", "context", "response", "category"),
            {"question": "instruction", "answer": "response", "context": "context"},
        ),
        (
            ("question", "database", "answer"),
            ("db_id", "query", "question"),
            {"question": "question", "database": "db_id", "answer": "query"},
        ),
        (("question", "database", "answer"), ("db_id", "query", "nl"), {"database": "db_id", "answer": "query"}),
        (
            ("question", "choices", "answer"),
            ("id", "question", "Options", "answerKey"),
            {"question": "question", "choices": "Options", "answer": "answerKey"},
        ),
        (("question", "answer"), ("prompt", "problem", "x"), {"question": "prompt"}),
        (("question", "answer"), ("prompt", "query"), {"question": "prompt"}),
        (("question", "answer"), ("text", "gold"), {"answer": "gold"}),
    ],
)
def test_what_common_data_sets_call_their_columns_is_recognised(names, columns, expected):
    assert recognised(names, {}, columns) == expected


@pytest.mark.parametrize("name", ["question", "Question (en)", "q1", "col_2", "Frage", "質問", "my prompt text", "a b"])
def test_a_name_of_a_column_looks_like_one(name):
    assert not looks_like_data(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "7",
        "My data 2024",
        "What is 2+2",
        "Which?",
        "# x",
        "one; two",
        "x = 3",
        "a" * 41,
        "a b c d e",
        "2024-01-01",
        "a\nb",
        "多少？",
    ],
)
def test_a_row_or_a_title_does_not(name):
    assert looks_like_data(name)


def test_a_spelling_is_the_same_word_without_what_does_not_show():
    assert {loosely(name) for name in ("Question", " question\u200b", '"QUESTION"', "ques-tion", "ｑuestion:")} == {"question"}


def test_a_key_of_json_that_is_a_question_is_no_column(tmp_path):
    message = refused(written(tmp_path, "a.jsonl", '{"What is 2 + 2?": "four"}\n{"Who is it?": "Ada"}\n'))
    assert message.endswith('write a row for each question, such as {"question": "…", "answer": "…"}')


def test_a_header_by_another_delimiter_than_the_rows_is_named(tmp_path):
    message = refused(written(tmp_path, "a.csv", "question;answer\n" + table(*ROWS)))
    assert message.endswith("a.csv:1: the header is divided by a semicolon, and the rows by a comma; divide all by a comma")
    assert pairs(read(written(tmp_path, "a.csv", "question,answer\n" + table(*ROWS)))) == PAIRS


@pytest.mark.parametrize(
    ("one", "other", "word"), [(",", ";", "semicolon"), (";", ",", "comma"), (",", "\t", "tab"), ("\t", "|", "vertical bar")]
)
def test_lines_by_another_delimiter_are_named(tmp_path, one, other, word):
    lines = table(("question", "answer"), ("One?", "1"), ("Four?", "4"), delimiter=one) + table(("Two?", "2"), delimiter=other)
    found = read(written(tmp_path, "a.csv", lines))
    assert len(found.seeds) == 2 and found.unusable == 1
    assert f":4: divided by a {word}, and the header by a " in found.problems[-1]
    assert "divide all lines by the same" in found.problems[-1]


@pytest.mark.parametrize(("mark", "end"), [("'", "'"), ("“", "”"), ("«", "»")])
def test_cells_in_marks_that_csv_does_not_know_are_not_read_with_them(tmp_path, mark, end):
    lines = ["question,answer", "One?,1", "Two?,2"]
    quoted = "".join(",".join(f"{mark}{cell}{end}" for cell in line.split(",")) + "\n" for line in lines)
    message = refused(written(tmp_path, "a.csv", quoted))
    assert message.endswith(f'cells are in {mark}…{end}, which would become a part of them; write "…" around cells instead')
    again = written(tmp_path, "a.csv", quoted.replace(mark, '"').replace(end, '"'))
    assert pairs(read(again)) == {("One?", "1"), ("Two?", "2")}


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
@pytest.mark.parametrize(
    "content",
    [
        '{"question": "One?"},\n{"question": "Two?"},\n',
        '{"question": "One?"},\n{"question": "Two?"}\n',
        '[{"question": "One?"},\n{"question": "Two?"}\n]',
        '[\n{"question": "One?"},\n{"question": "Two?"},\n]',
    ],
)
def test_lines_of_an_array_are_told_from_objects(tmp_path, name, content):
    path = written(tmp_path, name, content)
    try:
        found = read(path)
        said = found.problems
    except SeedsError as error:
        said = [str(error)]
    if said:
        assert "a line of a JSON array" in said[0] or "write a list of objects" in said[0]
    bare = "".join(f"{line.strip('[], ')}\n" for line in content.splitlines())
    assert {seed.question.text for seed in read(written(tmp_path, "b.jsonl", bare)).seeds} == {"One?", "Two?"}
    whole = f"[{bare.strip().replace(chr(10), ',')}]".replace(",,", ",")
    assert {seed.question.text for seed in read(written(tmp_path, "b.json", whole)).seeds} == {"One?", "Two?"}


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ('{"question": "One?", "question": "Two?"}', "question"),
        ('{"question": "One?", "answer": "1", "answer": "2"}', "answer"),
        ('{"question": "One?", "x": {"y": 1, "y": 1}}', "y"),
        ('{"question": "One?", "x": [[{"y": 1, "y": 1}]]}', "y"),
        ('{"x": {"z": {"y": 1, "y": 1}}, "question": "One?"}', "y"),
    ],
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_key_that_is_there_twice_spoils_its_row(tmp_path, row, key, name):
    good = '{"question": "Good?", "x": [{"y": 1}, {"y": 2}]}'
    found = read(written(tmp_path, name, f"{row}\n{good}\n" if name == "a.jsonl" else f"[{row}, {good}]"))
    assert [seed.question.text for seed in found.seeds] == ["Good?"]
    assert f"the key '{key}' is there twice in one object; keep one of them" in found.problems[0]
    assert found.unusable == 1


@pytest.mark.parametrize("value", ["true", "false", "Infinity", "-Infinity", "1e400", "[true]", '{"a": true}'])
def test_what_is_no_answer_is_not_made_one(tmp_path, value):
    path = written(tmp_path, "a.jsonl", f'{{"question": "One?", "answer": {value}}}\n{{"question": "Two?", "answer": "yes"}}\n')
    found = read(path)
    assert [seed.answer for seed in found.seeds] == ["yes"]
    assert re.search(r"answer is (true|false|Infinity|-Infinity|list|dict), not text; write it as text", found.problems[0])


def test_a_choice_that_is_a_boolean_is_none(tmp_path):
    path = written(tmp_path, "a.jsonl", '{"question": "Is it?", "choices": [true, false], "answer": "A"}\n')
    assert "choices is true, not text; write it as text" in refused(path, required=("question", "choices"), optional=("labels", "answer"))


@pytest.mark.parametrize("delimiter", ["^", "~", "¦", "\x1f"])
@pytest.mark.parametrize("header", [("question", "answer"), ("id", "question", "answer")])
def test_a_delimiter_that_is_not_known_is_named_and_the_advised_line_reads_all_seeds(tmp_path, delimiter, header):
    rows = ROWS if len(header) == 2 else [(str(number), *row) for number, row in enumerate(ROWS)]
    content = "".join(delimiter.join(row) + "\n" for row in [header, *rows])
    message = refused(written(tmp_path, "a.csv", content))
    assert "divided by a character that is not known for it; save it with commas" in message
    assert (f"`sep={delimiter}`" in message) is delimiter.isprintable()
    assert pairs(read(written(tmp_path, "a.csv", f"sep={delimiter}\n" + content))) == PAIRS
