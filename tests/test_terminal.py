"""Texts that reach the terminal: other people's texts, without anything that a terminal would execute."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from rich.table import Table

from axolotl_synthetic import plugin, terminal
from axolotl_synthetic.terminal import shown

from fake_server import FakeServer
from projects import Project

# Sets the clipboard; sets the title; clears the screen; the same by C1; reverses the writing direction; rings; returns to the line's start.
HOSTILE = "a\x1b]52;c;ZWNobw==\x07b\x1b]0;title\x1b\\c\x1b[2J\x1b[Hd\x9b2Je\x9d0;t\x9cf\u202eg\u2066h\x08i\rj\x7fk\x00l\ud800m\u2028n"
# Anything that is neither newline, tab nor printable, and printable characters that are executed.
OBEYED = re.compile("[^\n\t -~\xa0-\U0010ffff]|[\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plain, with\ta tab\nand é, 中, 🙂, עברית", "plain, with\ta tab\nand é, 中, 🙂, עברית"),
        ("\x1b]52;c;ZWNobw==\x07", r"\x1b]52;c;ZWNobw==\x07"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b2J", r"\x9b2J"),
        ("abc\u202egnp.exe", r"abc\u202egnp.exe"),
        ("one\r\ntwo\rthree\r", "one\ntwo\\rthree\\r"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("👩\u200d👩\u200d👧 می\u200cخواهم", "👩\u200d👩\u200d👧 می\u200cخواهم"),  # joiners belong to words and emoji
        (r"\x1b", r"\x1b"),
        ("", ""),
    ],
)
def test_what_a_terminal_obeys_is_shown_as_its_code(text, said):
    assert shown(text) == said
    assert not OBEYED.search(shown(text))


def test_every_character_is_printed_or_shown():
    assert not OBEYED.search(shown("".join(map(chr, range(0x110000)))))


@pytest.mark.parametrize("is_terminal", ["0", "1"])
def test_the_consoles_print_nothing_that_is_obeyed_in_lines_and_tables(monkeypatch, is_terminal):
    for name, value in {"NO_COLOR": "1", "FORCE_COLOR": is_terminal, "COLUMNS": "400", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    text = HOSTILE.replace("\ud800", "") + " [red]:smile:[/red] [/] "
    table = Table(title="t")
    table.add_column(text)
    table.add_row(text)
    for make, stream in ((terminal.out, "stdout"), (terminal.err, "stderr")):
        written = io.StringIO()
        monkeypatch.setattr(sys, stream, written)
        make().print(text, markup=False)
        make().print(table, markup=False)
        monkeypatch.undo()
        found = re.sub(r"\x1b\[[0-9;]*m", "", written.getvalue())
        assert not OBEYED.search(found)
        assert found.count("[red]:smile:[/red] [/]") == 3


def test_notices_results_logs_and_the_plugins_words_go_the_same_way(capsys):
    terminal.notice(HOSTILE)
    terminal.print_lines({"title": [HOSTILE]})
    terminal.echo(f"\x1b[32mgreen\x1b[0m {HOSTILE}\n")
    plugin._say(HOSTILE)
    captured = capsys.readouterr()
    assert not OBEYED.search(captured.out)
    assert "\x1b[32mgreen\x1b[0m " in captured.err  # a log keeps its colours
    assert not OBEYED.search(captured.err.replace("\x1b[32m", "").replace("\x1b[0m", ""))
    assert captured.err.count(r"\x1b]52;c;ZWNobw==\x07") == 3


# The commands


def run(project: Project, *command: str) -> str:
    """Return both streams of a command, byte for byte."""
    environment = {**os.environ, "OPENAI_API_KEY": "none", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "axolotl_synthetic", *command, "config.yml"], cwd=project.folder, env=environment, capture_output=True
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return (done.stdout + done.stderr).decode()


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path / "p", seeds=6)


def test_a_preview_of_hostile_replies_obeys_none_of_them(project):
    with FakeServer(lambda body: HOSTILE.replace("\ud800", "") + " 6\n#### 6") as server:
        project.configure(server, budget={"samples": 3})
        said = run(project, "preview")
    assert r"\x1b]52;c;ZWNobw==\x07" in said
    assert not OBEYED.search(said)


class Refusing(BaseHTTPRequestHandler):
    status = 404

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"error": {"message": HOSTILE.replace("\ud800", ""), "code": HOSTILE.replace("\ud800", "")}}).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


@pytest.mark.parametrize("status", [400, 401, 402, 404, 500])
def test_what_a_server_says_is_not_obeyed(project, status):
    handler = type("Handler", (Refusing,), {"status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        project.configure(f"http://127.0.0.1:{server.server_port}/v1", teacher={"retries": 0}, budget={"samples": 3})
        said = run(project, "preview") + run(project, "status")
        server.shutdown()
    assert "52;c;ZWNobw==" in said
    assert not OBEYED.search(said)


def test_columns_files_and_seeds_are_not_obeyed(project):
    name = "x\x1b]0;t\x07\u202e.jsonl"
    rows = [json.dumps({"question": f"Which {HOSTILE!r} {n}?".replace("'", ""), "\x1b[2Jcolumn": 1, "answer": HOSTILE}) for n in range(3)]
    for content in ("\n".join(rows), '{"\x1b[2J\x9bx": "How?"}'.replace("\x1b", "\\u001b").replace("\x9b", "\\u009b"), "{"):
        (project.folder / name).write_text(content)
        project.configure("http://127.0.0.1:9/v1", seeds={"path": name})
        said = run(project, "plan")
        assert r"x\x1b]0;t\x07\u202e.jsonl" in said
        assert not OBEYED.search(said)


def test_a_key_with_a_control_character_is_refused_and_not_shown(project):
    key = "sk-recognisable\n0123456789"
    project.configure("http://127.0.0.1:9/v1")
    done = subprocess.run(
        [sys.executable, "-m", "axolotl_synthetic", "generate", "config.yml"],
        cwd=project.folder,
        env={**os.environ, "OPENAI_API_KEY": key},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "what OPENAI_API_KEY holds is no key: it has spaces or other signs in it" in done.stderr
    assert "recognisable" not in done.stderr and "Traceback" not in done.stderr
