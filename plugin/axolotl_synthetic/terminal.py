"""Terminal output during long work: one line with rate and time left. Results go to stdout, progress to stderr.

On a terminal the line is a bar; elsewhere (a log file, CI) a line is printed now and then. rich respects `NO_COLOR`.

Replies, questions, servers' words and names of columns and files are untrusted texts: each goes through `shown`. The consoles here do that
for what rich prints.
"""

from __future__ import annotations

import errno
import math
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

# `--quiet` and `--verbose` set these for this process and its children; users of `axolotl train` set them themselves.
QUIET = "AXOLOTL_SYNTHETIC_QUIET"
VERBOSE = "AXOLOTL_SYNTHETIC_VERBOSE"
POLL_SECONDS = 0.25
# Interval in a log, where every line stays: short enough to show progress.
LINE_SECONDS = 15.0
# Characters that a terminal obeys or cannot show: escape sequences and other control characters (C0 but newline and tab, DEL, C1),
# changes of the writing direction, characters without a glyph, and lone surrogates.
_OBEYED = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u202a-\u202e\u2066-\u2069\u2028\u2029\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")


@dataclass(frozen=True)
class Stand:
    """Progress of some work.

    Attributes:
        done, total: in any one unit; `total` is 0 when the end is not known.
        unit: the unit in the plural.
        detail: further text.
        timed: whether the rate predicts when the work will be done.
    """

    done: float
    total: float
    unit: str
    detail: str = ""
    timed: bool = True


def shown(text: str) -> str:
    """Return a text that is safe to print: characters that a terminal would obey become their codes, such as `\\x1b`."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], text.replace("\r\n", "\n"))


class _Console(Console):
    """Console of rich that makes every text safe to print."""

    def render_str(self, text: str, *arguments: Any, **options: Any) -> Text:
        return super().render_str(shown(text), *arguments, **options)

    def on_broken_pipe(self) -> None:
        """Let click end `show … | head`: rich's own `SystemExit` would look like one from a user's module."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def out() -> Console:
    """Return the console for results."""
    return _console(stderr=False)


def err() -> Console:
    """Return the console for progress and messages."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    """Return a console; without a terminal it breaks no lines and squeezes no table to rich's default of 80 columns."""
    # No emoji: `:key:` in a reply must stay text.
    console = _Console(stderr=stderr, emoji=False)
    return console if console.is_terminal else _Console(stderr=stderr, emoji=False, soft_wrap=True, width=200)


def is_quiet() -> bool:
    """Return whether the user wants only results and errors."""
    return os.environ.get(QUIET) == "1"


def is_verbose() -> bool:
    """Return whether the user wants the libraries' logs as well."""
    return os.environ.get(VERBOSE) == "1"


def notice(text: str) -> None:
    """Print one line beside the progress."""
    if not is_quiet():
        err().print(text, markup=False, highlight=False)


def echo(text: str, stream: TextIO | None = None) -> None:
    """Print what a library wrote to its log, with its colours."""
    parts = _COLOUR.split(text.replace("\r\n", "\n").replace("\r", "\n"))
    print("".join(part if at % 2 else shown(part) for at, part in enumerate(parts)), end="", file=stream or sys.stderr, flush=True)


def print_lines(lines: Mapping[str, Sequence[str]]) -> None:
    """Print results: each title with its lines beside it. A title without lines is left out."""
    console = out()
    for title, texts in lines.items():
        for at, text in enumerate(texts):
            console.print(f"{title if at == 0 else '':10}{text}", markup=False, highlight=False)


@contextmanager
def watched(title: str, look: Callable[[], Stand]) -> Iterator[None]:
    """Show the progress of some work for as long as the context lasts.

    Args:
        title: the work.
        look: returns the progress; called from a thread of its own, a few times a second.
    """
    if is_quiet():
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_show, args=(title, look, over), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)


@contextmanager
def counted(title: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress as `watched` does, but reported by the caller: the context's value takes the amount done and the total."""
    state = [0, 0]

    def tell(done: int, total: int) -> None:
        state[:] = done, total

    with watched(title, lambda: Stand(state[0], state[1], unit)):
        yield tell


def _show(title: str, look: Callable[[], Stand], over: threading.Event) -> None:
    console = err()
    began = time.monotonic()
    first = look()
    # A bar would be drawn over lines of the logs.
    if not console.is_terminal or is_verbose():
        while not over.wait(LINE_SECONDS):
            console.print(f"{title}: {_line(look(), first, began)}", markup=False, highlight=False)
        return
    title = shown(title)
    texts = (TextColumn("{task.description}", markup=False), TextColumn("{task.fields[line]}", markup=False))
    columns = (texts[0], BarColumn(bar_width=24), texts[1], TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task: TaskID = progress.add_task(title, total=None, line="")
        while not over.wait(POLL_SECONDS):
            stand = look()
            progress.update(task, completed=stand.done, total=stand.total or None, line=shown(_line(stand, first, began)))


def _line(stand: Stand, first: Stand, began: float) -> str:
    """Return done of total, rate and time left. The rate counts this run alone, without what was there at its start."""
    rate = (stand.done - first.done) / max(1e-9, time.monotonic() - began)
    parts = [f"{stand.done:,.0f}/{stand.total:,.0f} {stand.unit}" if stand.total else f"{stand.done:,.0f} {stand.unit}"]
    if rate > 0:
        parts.append(f"{rate:,.1f} {stand.unit}/s")
        if stand.timed and stand.total > stand.done:
            parts.append(f"{duration((stand.total - stand.done) / rate)} left")
    return " · ".join([*parts, stand.detail] if stand.detail else parts)


def duration(seconds: float) -> str:
    """Return a duration as `1 h 05 min`, `3 min 20 s` or `12 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def dollars(usd: float | None) -> str:
    """Return a cost as `USD 1,234.5000` or `USD 0.000032`, with enough digits that it never reads as zero."""
    if usd is None:
        return "cost unknown (no price)"
    if usd == 0:
        return "nothing billed"
    return f"USD {usd:,.4f}" if usd >= 0.01 else f"USD {usd:.{2 - math.floor(math.log10(usd))}f}".rstrip("0")
