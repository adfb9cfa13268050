"""The steps of `generate`: `Generate` asks the models and yields what has ended, `Verify` judges it and writes the samples.

A row carries the candidates that ended since the row before (rows.py). With a row for each candidate distilabel would hold rows back
until a batch of them is full, while the engine waits for their verdicts. Neither step raises: distilabel 1.5.3 goes on without a
word, or for ever, when one does. An error travels in the rows, and the last row, which says `over`, tells whether the run was whole.

distilabel reads the annotation `StepInput` at run time, so annotations are not postponed in this file.
"""

import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.util import Finalize
from types import FrameType
from typing import Any

from distilabel.steps import GeneratorStep, Step, StepInput
from pydantic import Field, PrivateAttr

from axolotl_synthetic.errors import ConfigError, SyntheticError, encoded
from axolotl_synthetic.ledger import Ledger
from axolotl_synthetic.pipelines import open_files
from axolotl_synthetic.pipelines.job import Job
from axolotl_synthetic.pipelines.rows import from_text, to_text
from axolotl_synthetic.pipelines.verification import Verification
from axolotl_synthetic.records import Candidate

# Candidates in a row at most, and the seconds in which they are gathered: woken for each, this process would slow its own calls down.
CHUNK = 2048
GATHER_SECONDS = 0.05
# A thread that waits for the ledger's disk gets its turn back sooner: each statement gives it up.
SWITCH_SECONDS = 0.0005
NO_JOB = "this pipeline has no job: it is a picture of what `axolotl synthetic generate CONFIG` runs; start that, or build one of your own"
NO_JOB += " of the steps in `axolotl_synthetic.steps`"


class Generate(GeneratorStep):  # type: ignore[misc]  # distilabel is not typed
    """Ask the models for candidates, in a rolling window without batches, and yield them as they end.

    Attributes:
        task: The name of the task.
        strategies: Each strategy's share of the candidates.
        models: The teacher's and the augmenter's name.
        budget: The limits of the run.

    Output columns:
        - candidates (`list[str]`): Candidates that ended since the row before, as JSON.
        - over (`bool`): Whether this is the last row.
        - error (`str`): What ended the calls early, as JSON of its class and its text; empty if nothing did.
    """

    task: str = ""
    strategies: dict[str, float] = Field(default_factory=dict)
    models: dict[str, str] = Field(default_factory=dict)
    budget: dict[str, Any] = Field(default_factory=dict)
    job: Any = Field(default=None, exclude=True)
    _calls: Any = PrivateAttr(default=None)

    @property
    def outputs(self) -> list[str]:
        return ["candidates", "over", "error"]

    def load(self) -> None:
        super().load()
        if self.job is None:
            raise ConfigError(NO_JOB)
        self._calls = Calling(self.job)
        self._calls.start()

    def process(self, offset: int = 0) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        over = False
        while not over:
            self._calls.join(GATHER_SECONDS)
            candidates, over = self._calls.take(CHUNK)
            if candidates or over:
                yield ([{"candidates": candidates, "over": over, "error": self._calls.error}], over)

    def unload(self) -> None:
        if self._calls is not None:
            self._calls.join()
            self._calls.leave()
        super().unload()


class Calling(threading.Thread):
    """The engine at work, in a thread of the process of `Generate`.

    It ends only when no call is under way any more, and its process does not end before. One that is asked to (SIGTERM) stops the engine
    first, so that every reply that is paid for is kept.

    Attributes:
        error: what ended the calls early, as JSON of its class and its text; empty while nothing did.
    """

    def __init__(self, job: Job) -> None:
        super().__init__(name="calls")
        self.error = ""
        self._job = job
        self._ended: deque[Candidate] = deque()
        self._stopping = threading.Event()
        self._terminated = False
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._terminate)
        # A pool's worker that lost its queue returns; the interpreter would then refuse new work to the ledger's thread.
        Finalize(None, self.join, exitpriority=100)

    def run(self) -> None:
        try:
            import uvloop

            from axolotl_synthetic.pipelines.engine import Engine

            sys.path[:] = self._job.python_path
            open_files.allow(self._job.models)
            sys.setswitchinterval(SWITCH_SECONDS)
            threading.excepthook = self._thread_broke
            engine = Engine(self._job, self._ended.append, self._stopping)
            uvloop.run(engine.run())
            if engine.error is not None:
                self._fail(engine.error)
        except SyntheticError as error:
            self._fail(error)
        except BaseException as error:
            self._fail(_broken("the engine", error))
        finally:
            if self._terminated:
                os._exit(0)

    def take(self, most: int) -> tuple[list[str], bool]:
        """Return some candidates that have ended, as texts, and whether there will be no more."""
        ended = not self.is_alive()  # asked first: what it left last is then there
        texts = []
        for _ in range(min(most, len(self._ended))):
            candidate = self._ended.popleft()
            try:
                texts.append(to_text(candidate))
            except SyntheticError as error:
                # Those that follow cannot be judged either, but the calls under way are to end and be kept.
                self._fail(error)
        return texts, ended and not self._ended

    def leave(self) -> None:
        """Let the process be ended as any other."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _fail(self, error: SyntheticError) -> None:
        self.error = self.error or encoded(error)
        self._stopping.set()

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self._terminated = True
        self._stopping.set()
        if not self.is_alive():
            os._exit(0)

    def _thread_broke(self, broke: threading.ExceptHookArgs) -> None:
        self._fail(_broken(f"the thread {broke.thread.name if broke.thread else ''}", broke.exc_value))


class Verify(Step):  # type: ignore[misc]
    """Judge candidates and write them as samples, in the order of their numbers.

    Attributes:
        checks: The names of the checks.

    Input columns:
        - candidates (`list[str]`): As `Generate` yields them.
        - over (`bool`): Whether this is the last row.
        - error (`str`): What ended the calls early.

    Output columns:
        - seen (`int`): Candidates that were judged so far.
        - over (`bool`): Whether this is the last row.
        - error (`str`): What ended the run early, as JSON of its class and its text; empty if nothing did.
    """

    checks: list[str] = Field(default_factory=list)
    job: Any = Field(default=None, exclude=True)
    # One row at a time, so that no verdict waits for others.
    input_batch_size: int = 1
    _verification: Any = PrivateAttr(default=None)
    _error: str = PrivateAttr(default="")

    @property
    def inputs(self) -> list[str]:
        return ["candidates", "over", "error"]

    @property
    def outputs(self) -> list[str]:
        return ["seen", "over", "error"]

    def load(self) -> None:
        super().load()
        if self.job is None:
            raise ConfigError(NO_JOB)
        self._guarded(self._open)

    def process(self, inputs: StepInput) -> Iterator[list[dict[str, Any]]]:
        rows = []
        for row in inputs:
            self._guarded(self._take, row)
            seen = 0 if self._verification is None else self._verification.seen
            rows.append({"seen": seen, "over": row["over"], "error": row["error"] or self._error})
        yield rows

    def _open(self) -> None:
        sys.path[:] = self.job.python_path
        self._verification = Verification(self.job)

    def _take(self, row: dict[str, Any]) -> None:
        if self._error:
            return
        self._verification.take([from_text(text) for text in row["candidates"]])
        if row["over"]:
            self._verification.close()

    def _guarded(self, work: Any, *arguments: Any) -> None:
        """Run a part of the work, unless one before it failed; keep its error, and ask the engine to stop for it."""
        try:
            work(*arguments)
        except BaseException as error:  # of a task's class that ends the process as well
            self._error = encoded(error if isinstance(error, SyntheticError) else _broken("verification", error))
            # On a ledger that cannot be written the engine stops by itself.
            with suppress(SyntheticError), Ledger(self.job.ledger) as ledger:
                ledger.ask_to_stop()


def _broken(who: str, error: BaseException | None) -> SyntheticError:
    traceback.print_exception(error)
    return SyntheticError(f"{who} broke: {type(error).__name__}: {error}; please report this: what was paid for is kept")
