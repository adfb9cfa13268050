"""The two distilabel steps: `Generate` yields candidates as the engine's process (caller.py) hands them on, `Verify` judges them.

A row of the pipeline is the number of a pack of candidates. With a row for each candidate distilabel would hold rows back until a
batch of them is full, while the engine waits for their verdicts, and would write, hash and copy the texts several times over. The
last row, which must not be missing (an empty last batch hangs distilabel 1.5.3), can be a pack of none.

distilabel reads the annotation `StepInput` at run time, so annotations are not postponed in this file.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distilabel.steps import GeneratorStep, Step, StepInput

from axolotl_synthetic.errors import SyntheticError
from axolotl_synthetic.pipelines.job import Workplace
from axolotl_synthetic.pipelines.verification import Verification

POLL_SECONDS = 0.02


class Generate(GeneratorStep):  # type: ignore[misc]  # distilabel is not typed
    """Yields packs of candidates, as they end."""

    work: str
    """The workplace's path."""

    @property
    def outputs(self) -> list[str]:
        return ["pack"]

    def process(self, offset: int = 0) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        work = Workplace(Path(self.work))
        number, over = 0, False
        while not over:
            number += 1
            while not work.has_pack(number) and work.packs() is None:
                time.sleep(POLL_SECONDS)
            packs = work.packs()
            over = packs is not None and number >= packs
            yield [{"pack": number}], over


class Verify(Step):  # type: ignore[misc]
    """Judges the candidates of each pack (verification.py)."""

    work: str
    """The workplace's path."""
    input_batch_size: int = 1
    """One pack at a time, so that no verdict waits for others."""

    @property
    def inputs(self) -> list[str]:
        return ["pack"]

    @property
    def outputs(self) -> list[str]:
        return ["seen"]

    def load(self) -> None:
        super().load()
        self._place = Workplace(Path(self.work))
        try:
            self._verification = Verification(self._place.job())
        except SyntheticError as error:
            self._place.fail(error)
            raise

    def process(self, inputs: StepInput) -> Iterator[list[dict[str, Any]]]:
        try:
            for row in inputs:
                self._verification.take(self._place.take_pack(row["pack"]))
        except Exception as error:
            self._fail(error)
            if not isinstance(error, SyntheticError):
                raise
        yield [{"seen": self._verification.seen}]

    def unload(self) -> None:
        try:
            self._verification.close()
        except Exception as error:  # raised from here it would have distilabel 1.5.3 wait for this step for ever
            self._fail(error)
        super().unload()

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, SyntheticError):
            error = SyntheticError(f"verification broke: {type(error).__name__}: {error}; please report this")
        self._place.fail(error)
