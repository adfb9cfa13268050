"""The page of a folder in every possible state: its text, what it escapes, and its effect on the card."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from axolotl_synthetic import report
from axolotl_synthetic.cli import synthetic
from axolotl_synthetic.report import page

from reportable import GRADE, HOSTILE, MANIFEST, ROWS, find, make, row

FIGURES = {f"{name}.{suffix}" for name in ("flow", "calls", "lengths", "diversity", "agreement", "grade") for suffix in ("svg", "png")}


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text; `read` is the visible text without figures."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.found, self.read, self._inside = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag in ("svg", "style"):
            self._inside.append(tag)

    def handle_endtag(self, tag):
        if self._inside and tag == self._inside[-1]:
            self._inside.pop()

    def handle_data(self, data):
        if not self._inside:
            self.read += data

    @property
    def tags(self):
        return {tag for tag, _ in self.found}


def call(*arguments):
    result = CliRunner().invoke(synthetic, ["report", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def elements(path):
    return Elements((path.parent / "out" / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the page of a finished run with everything there is to show."""
    path = make(tmp_path_factory.mktemp("whole"))
    result = call(path)
    assert result.exit_code == 0, result.output
    return path, result


def test_the_page_is_written_and_its_path_printed(whole):
    path, result = whole
    assert result.output == f"written to {path.parent / 'out' / 'report.html'}\n"
    assert not list((path.parent / "out").glob("**/*.tmp"))


def test_it_says_what_went_in_and_what_came_out(whole):
    read = " ".join(elements(whole[0]).read.split())
    for said in (
        "answer_augmentation 50%, question_rephrase 25%, new_question 25% (decided by strategy: auto)",
        "2 from",
        "1 more held out for grading",
        "1.50 samples a seed",
        "big (4 calls)",
        "big (2 calls)",
        "3 samples accepted of 7 (43%)",
        "USD 2.00 cost",
        "18 s of calls",
        "After 11 s the run had been stopped for 16 min 29 s",
        "The last run took 3 replies from the ledger",
        "+50.0 ± 5.0 %",
        "edit: 1",
        "Rejected by self_consistency",
        "4 of 5 answers (80%) say 12",
        "arXiv 2409.19759 saw the lead change",
    ):
        assert said in read, said


def test_what_a_model_wrote_is_shown_and_never_live(whole):
    found = elements(whole[0])
    assert "<script>document.title='owned'</script><img src=x" in found.read
    assert "{{ 7 * 7 }}" in found.read
    assert not found.tags & {"script", "img", "iframe", "form", "object", "embed", "base"}
    for tag, attributes in found.found:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert tag != "a" or attributes["href"].startswith("#") or "xlink:href" in attributes
    assert [name for name, _ in found.found].count("style") == 1 + 2 * len(FIGURES) // 2  # the page's, and one in each SVG


def test_nothing_on_the_page_comes_from_elsewhere(whole):
    for tag, attributes in elements(whole[0]).found:
        for name in ("src", "href", "xlink:href", "data", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    assert "url(http" not in (whole[0].parent / "out" / "report.html").read_text()


def test_control_characters_are_not_handed_on(whole):
    text = (whole[0].parent / "out" / "report.html").read_text(encoding="utf-8")
    assert "\x00" not in text and "\x1b" not in text
    assert "\ufffd[31m" in text


def test_every_figure_is_a_file_and_has_a_text_in_its_place(whole):
    folder = whole[0].parent / "out" / "figures"
    assert {path.name for path in folder.iterdir()} == FIGURES
    for path in folder.glob("*.svg"):
        assert ET.parse(path).getroot().get("aria-label")
    for path in folder.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    labels = [attributes["aria-label"] for tag, attributes in elements(whole[0]).found if tag == "svg"]
    assert len(labels) == len(FIGURES)
    assert labels[0] == (
        "From planned to trained: 7 planned; 3 accepted; 1 rejected by final_answer; 1 rejected by format; 1 rejected by self_consistency;"
        " 1 failed; 5 trained on, 2 of them seed pairs"
    )


def test_the_card_shows_the_figures_once_and_keeps_what_else_it_says(tmp_path):
    path = make(tmp_path, ledger=False, grade=None, rows=[row(0, "new_question", "failed", "timeout", question=None, answer=None)])
    card = tmp_path / "out" / "README.md"
    assert call(path).exit_code == 0
    once = card.read_text()
    assert once.startswith("---\ntags: []\n---\n# A card\n")
    assert "](figures/flow.png)" in once
    assert all((tmp_path / "out" / link).exists() for link in ("figures/flow.png", "figures/flow.svg"))
    card.write_text(once + "Written by hand.\n")
    assert call(path).exit_code == 0
    assert card.read_text() == once + "Written by hand.\n"


def test_a_figure_that_there_is_no_data_for_any_more_goes_from_folder_and_card(tmp_path):
    path = make(tmp_path, samples=None, ledger=False)
    figures, card = tmp_path / "out" / "figures", tmp_path / "out" / "README.md"
    assert call(path).exit_code == 0
    assert {one.name for one in figures.iterdir()} == {"grade.svg", "grade.png"}
    assert "grade.png" in card.read_text()
    (tmp_path / "out" / "grade.json").unlink()
    assert call(path).exit_code == 0
    assert list(figures.iterdir()) == []
    assert card.read_text() == "---\ntags: []\n---\n# A card\n"


def test_parts_without_data_say_so(tmp_path):
    path = make(tmp_path, samples=None, ledger=False, grade=None)
    assert call(path).exit_code == 0
    read = " ".join(elements(path).read.split())
    for said in (
        "No candidate has a verdict yet.",
        "There is no ledger in this folder",
        "There is no question or answer to measure yet.",
        "There is no accepted question to compare yet.",
        "self_consistency was not among those of this run",
        "No sample was decided by people in review.",
        "The student was not graded",
        "There is no sample to show yet.",
    ):
        assert said in read, said


def test_a_run_that_was_stopped_is_reported_as_far_as_it_came_even_in_the_middle_of_a_line(tmp_path):
    path = make(tmp_path, samples="samples.jsonl.tmp", manifest=None, grade=None, ledger=False, rows=ROWS[:1])
    with open(tmp_path / "out" / "samples.jsonl.tmp", "a") as spool:
        spool.write(json.dumps(ROWS[1])[:60])
    before = (tmp_path / "out" / "README.md").read_text()
    assert call(path).exit_code == 0
    read = " ".join(elements(path).read.split())
    assert "This run is not finished: it was stopped" in read
    assert "1 samples accepted of 1 (100%)" in read
    assert (tmp_path / "out" / "README.md").read_text() == before


def test_samples_of_the_run_before_are_not_taken_for_those_of_the_one_under_way(tmp_path):
    path = make(tmp_path, manifest=None)
    (tmp_path / "out" / "samples.jsonl.tmp").write_text(json.dumps(ROWS[0]) + "\n")
    assert find(path).samples.name == "samples.jsonl.tmp"


def test_a_run_at_work_is_said_to_be_and_its_card_is_left_alone(tmp_path):
    path = make(tmp_path, samples=None, ledger=False)
    found = find(path)
    running = type(found)(**{**found.__dict__, "running": True})
    report.write(running)
    assert (tmp_path / "out" / "README.md").read_text() == "---\ntags: []\n---\n# A card\n"
    assert page._state(type(found)(**{**found.__dict__, "running": True, "manifest": None}))[1] == "running"


def test_another_process_that_holds_the_folder_is_a_run_at_work(tmp_path):
    path = make(tmp_path, manifest=None)
    code = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "out" / ".lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    try:
        assert find(path).running
    finally:
        holder.communicate("")
    assert not find(path).running


def test_a_budget_that_ended_the_run_is_named(tmp_path):
    path = make(tmp_path, samples=None, ledger=False, grade=None, manifest={**MANIFEST, "status": "budget_exhausted"})
    assert page._state(find(path))[1] == "ended by its budget"


def test_seeds_that_are_gone_are_no_reason_not_to_report(tmp_path):
    path = make(tmp_path, ledger=False, grade=None, rows=ROWS[:1])
    (tmp_path / "seeds.jsonl").unlink()
    assert call(path).exit_code == 0
    read = " ".join(elements(path).read.split())
    assert "Why this strategy cannot be said again: synthetic.seeds" in read
    assert "The seeds could not be read, so the questions are not compared with them." in read


def test_a_config_that_was_changed_since_is_said_to_be(tmp_path):
    from axolotl_synthetic.ledger import Ledger

    path = make(tmp_path)
    with Ledger(tmp_path / "out" / "ledger.sqlite") as ledger:
        ledger.set_meta(finished="of other settings")
    found = find(path)
    assert found.changed
    assert any("were changed since this run" in remark for remark in page._remarks(found))


def test_a_folder_with_nothing_ends_with_2_and_says_how_to_begin(tmp_path):
    path = make(tmp_path, samples=None, ledger=False, manifest=None, grade=None, card=None)
    result = call(path)
    assert result.exit_code == 2
    assert "there is nothing to report on; `axolotl synthetic generate CONFIG` starts a run there" in result.stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("samples.jsonl", '{"id": "a"}\n', ":1: cannot be read (no sample)"),
        ("samples.jsonl", "[1]\n", ":1: cannot be read (no sample)"),
        ("samples.jsonl", json.dumps(ROWS[0]) + "\n{\n", ":2: cannot be read"),
        ("samples.jsonl", b"\xff\xfe\n", ":1: cannot be read"),
        ("grade.json", json.dumps({**GRADE, "rows": [{}]}), "delete it and run `axolotl synthetic grade` again"),
        ("manifest.json", "{", "delete it and run `axolotl synthetic generate` again"),
        ("ledger.sqlite", "no database", "the file is damaged"),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, file, content, says):
    path = make(tmp_path)
    (tmp_path / "out" / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    result = call(path)
    assert result.exit_code == 1
    assert says in result.stderr
    assert str(tmp_path / "out" / file) in result.stderr


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    path = make(tmp_path, samples=None, ledger=False, grade=None)
    (tmp_path / "out" / "figures").write_text("a file where the folder would be")
    result = call(path)
    assert result.exit_code == 1
    assert f"{tmp_path / 'out' / 'figures'}: File exists" in result.stderr


def test_a_long_text_is_cut_and_says_how_much_is_left():
    assert page._cut("x" * 4_010) == "x" * 4_000 + "… (10 characters more in samples.jsonl)"
    assert page._cut("x" * 4_000) == "x" * 4_000


def test_half_a_character_does_not_end_the_report():
    assert page._clean("a\ud800b") == "a?b"


def test_neither_matplotlib_nor_scikit_learn_is_imported_by_other_commands():
    code = "import sys, axolotl_synthetic.cli, axolotl_synthetic.run; print([m for m in ('matplotlib', 'sklearn') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_hostile_text_is_hostile():
    # Without escaping, it would contain everything that the tests above look for.
    assert Elements(HOSTILE).tags >= {"script", "img", "svg", "style", "iframe", "a", "form"}
