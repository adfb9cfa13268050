"""The steps of `generate`: `Generate` yields ended candidates from the calls' process (calling.py); `Verify` judges and writes them.

A row carries the candidates that ended since the previous row (rows.py). With a row for each candidate, distilabel would hold rows back
until a batch is full, while the engine waits for their verdicts. Neither step raises: distilabel 1.5.3 then continues silently or hangs.
So an error travels in the rows, and the last row, with `over`, tells whether the run was whole.

distilabel reads the annotation `StepInput` at run time, so annotations are not postponed in this file.
"""

import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from distilabel.steps import GeneratorStep, Step, StepInput
from pydantic import Field, PrivateAttr

from axolotl_synthetic.errors import ConfigError, SyntheticError, encoded
from axolotl_synthetic.ledger import Ledger
from axolotl_synthetic.pipelines import calling
from axolotl_synthetic.pipelines.calling import broken
from axolotl_synthetic.pipelines.rows import from_text
from axolotl_synthetic.pipelines.verification import Verification

NO_JOB = "this pipeline has no job: it is a picture of what `axolotl synthetic generate CONFIG` runs; start that, or build one of your own"
NO_JOB += " of the steps in `axolotl_synthetic.steps`"


class Generate(GeneratorStep):  # type: ignore[misc]  # distilabel is not typed
    """Yield candidates as they end; a rolling window of calls makes them, without batches.

    Attributes:
        task: The name of the task.
        strategies: Each strategy's share of the candidates.
        models: The name of each model, by its role.
        budget: The limits of the run.

    Output columns:
        - candidates (`list[str]`): Candidates that ended since the previous row, as JSON.
        - over (`bool`): Whether this is the last row.
        - error (`str`): The error that ended the calls early, as JSON of its class and its text; empty if there was none.
    """

    task: str = ""
    strategies: dict[str, float] = Field(default_factory=dict)
    models: dict[str, str] = Field(default_factory=dict)
    budget: dict[str, Any] = Field(default_factory=dict)
    job: Any = Field(default=None, exclude=True)

    @property
    def outputs(self) -> list[str]:
        return ["candidates", "over", "error"]

    def load(self) -> None:
        super().load()
        if self.job is None:
            raise ConfigError(NO_JOB)

    def process(self, offset: int = 0) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        over = False
        while not over:
            candidates, over, error = calling.receive()
            yield ([{"candidates": candidates, "over": over, "error": error}], over)


class Verify(Step):  # type: ignore[misc]
    """Judge candidates and write them as samples, in the order of their numbers.

    Attributes:
        checks: The names of the checks.

    Input columns:
        - candidates (`list[str]`): As `Generate` yields them.
        - over (`bool`): Whether this is the last row.
        - error (`str`): The error that ended the calls early.

    Output columns:
        - seen (`int`): Number of candidates judged so far.
        - over (`bool`): Whether this is the last row.
        - error (`str`): The error that ended the run early, as JSON of its class and its text; empty if there was none.
    """

    checks: list[str] = Field(default_factory=list)
    job: Any = Field(default=None, exclude=True)
    # Take one row at a time, so that no verdict waits for later rows.
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
        """Run a part of the work, unless an earlier part failed; store its error and ask the engine to stop."""
        try:
            work(*arguments)
        except BaseException as error:  # a task's class may even raise SystemExit
            self._error = encoded(error if isinstance(error, SyntheticError) else broken("verification", error))
            # If the ledger cannot be written, the engine stops by itself.
            with suppress(SyntheticError), Ledger(self.job.ledger) as ledger:
                ledger.ask_to_stop()
