"""The two distilabel steps: `Generate` runs the engine and yields candidates as they end, `Verify` judges them.

A row of the pipeline is the number of a pack: candidates that ended at about the same time, in a file of the workplace. With a
row for each candidate distilabel would hold rows back until a batch of them is full, while the engine waits for their verdicts,
and would write, hash and copy the texts several times over. The last row, which must not be missing (an empty last batch hangs
distilabel 1.5.3), can be a pack of none.

distilabel reads the annotation `StepInput` at run time, so annotations are not postponed in this file.
"""

import heapq
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop
from distilabel.steps import GeneratorStep, Step, StepInput
from pydantic import PrivateAttr

from axolotl_synthetic.checks import Check, load_checks
from axolotl_synthetic.errors import StorageError, SyntheticError
from axolotl_synthetic.ledger import Ledger
from axolotl_synthetic.pipelines.engine import Engine
from axolotl_synthetic.pipelines.job import Job, Workplace
from axolotl_synthetic.records import Candidate, Seed, judged, to_json, to_sample
from axolotl_synthetic.strategies import load_strategies
from axolotl_synthetic.tasks import Task, load_task

PACK = 512
PACK_SECONDS = 0.05


class Generate(GeneratorStep):  # type: ignore[misc]  # distilabel is not typed
    """Yields packs of candidates, as they end."""

    work: str
    """The workplace's path."""

    @property
    def outputs(self) -> list[str]:
        return ["pack"]

    def process(self, offset: int = 0) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        work = Workplace(Path(self.work))
        ended: queue.SimpleQueue[Candidate | None] = queue.SimpleQueue()
        engine = threading.Thread(target=_run_engine, args=(work, ended), name="engine")
        engine.start()
        over, number = False, 0
        while not over:
            pack, over = _gather(ended)
            number += 1
            try:
                work.put_pack(number, pack)
            except OSError as error:
                # What follows cannot be handed on either, but the calls under way are to end and be kept.
                work.fail(StorageError(f"{work.path}: {error.strerror}; free some space there, then run the same command again"))
            yield [{"pack": number}], over
        engine.join()


def _gather(ended: "queue.SimpleQueue[Candidate | None]") -> tuple[list[Candidate], bool]:
    """What ends from now on for a moment, at most a pack, and whether it was the last."""
    pack: list[Candidate] = []
    candidate = ended.get()
    until = time.monotonic() + PACK_SECONDS
    while candidate is not None:
        pack.append(candidate)
        left = until - time.monotonic()
        if len(pack) == PACK or left <= 0:
            return pack, False
        try:
            candidate = ended.get(timeout=left)
        except queue.Empty:
            return pack, False
    return pack, True


def _run_engine(work: Workplace, ended: "queue.SimpleQueue[Candidate | None]") -> None:
    try:
        work.calls_begin()
        uvloop.run(Engine(work, ended.put).run())
    except SyntheticError as error:
        work.fail(error)
    except BaseException as error:
        work.fail(SyntheticError(f"the pipeline broke: {type(error).__name__}: {error}; please report this"))
        raise
    finally:
        work.calls_are_over()
        ended.put(None)


class Verify(Step):  # type: ignore[misc]
    """Judges candidates: each by itself as it comes, then against the accepted ones before it, in the order of their numbers.

    Writes the spool (a line of `samples.jsonl` for each candidate, in order) and tells the engine through the ledger how many
    were accepted.
    """

    work: str
    """The workplace's path."""
    input_batch_size: int = 1
    """One pack at a time, so that no verdict waits for others."""

    _early: list[tuple[int, Candidate]] = PrivateAttr(default_factory=list)
    _counts: dict[str, int] = PrivateAttr(default_factory=lambda: {"seen": 0, "accepted": 0, "rejected": 0, "failed": 0, "waiting": 0})
    _next: int = PrivateAttr(default=0)

    @property
    def inputs(self) -> list[str]:
        return ["pack"]

    @property
    def outputs(self) -> list[str]:
        return ["seen"]

    def load(self) -> None:
        super().load()
        self._place = Workplace(Path(self.work))
        job: Job = self._place.job()
        self._task: Task = load_task(job.settings.task)
        keeps_answer = {name: strategy.keeps_answer for name, strategy in load_strategies().items()}
        self._seeds: dict[str, Seed] = {seed.id: seed for seed in job.seeds}
        try:
            checks = load_checks(job.settings.verify, self._task, keeps_answer, seeds=job.seeds, held_out=job.held_out)
            self._single: list[Check] = [check for check in checks if not check.in_order]
            self._ordered: list[Check] = [check for check in checks if check.in_order]
            self._ledger = Ledger(job.ledger)
            self._spool = open(job.spool, "w", encoding="utf-8")
        except OSError as error:
            self._place.fail(StorageError(f"{job.spool}: {error.strerror}; make it writable, or choose another output_dir"))
            raise
        except SyntheticError as error:
            self._place.fail(error)
            raise

    def process(self, inputs: StepInput) -> Iterator[list[dict[str, Any]]]:
        try:
            for row in inputs:
                for candidate in self._place.take_pack(row["pack"]):
                    self._take(candidate)
            self._spool.flush()
            self._ledger.report(**self._counts)
        except OSError as error:
            self._place.fail(StorageError(f"{self._spool.name}: {error.strerror}; free some space, then run the same command again"))
        except SyntheticError as error:
            self._place.fail(error)
        except Exception as error:
            self._place.fail(SyntheticError(f"verification broke: {type(error).__name__}: {error}; please report this"))
            raise
        yield [{"seen": self._counts["seen"]}]

    def unload(self) -> None:
        self._spool.close()
        self._ledger.close()
        super().unload()

    def _take(self, candidate: Candidate) -> None:
        counts = self._counts
        counts["seen"] += 1
        if candidate.status is None and candidate.id:
            candidate = self._judge_alone(candidate)
        if candidate.status == "accepted":
            counts["waiting"] += 1
        heapq.heappush(self._early, (candidate.number, candidate))
        while self._early and self._early[0][0] == self._next:
            self._next += 1
            self._finish(heapq.heappop(self._early)[1])

    def _judge_alone(self, candidate: Candidate) -> Candidate:
        seed = self._seeds[candidate.seed_id]
        if candidate.answer is not None and candidate.question is not None:
            try:
                final_answer = self._task.final_answer(candidate.answer, candidate.question)
            except SyntheticError:
                raise
            except Exception as error:  # the boundary: one answer that cannot be read must not end the run
                return candidate.fail(f"task broken: {type(error).__name__}: {error}")
            candidate = replace(candidate, final_answer=final_answer)
        candidate = judged(candidate, [check(candidate, seed) for check in self._single])
        if candidate.status == "accepted" and not candidate.answer:
            return candidate.fail("no answer, and no check that rejects it; add `format` to verify")
        return candidate

    def _finish(self, candidate: Candidate) -> None:
        if not candidate.id:
            return  # never planned: the budget was gone before its first call
        if candidate.status == "accepted":
            self._counts["waiting"] -= 1
            seed = self._seeds[candidate.seed_id]
            candidate = judged(candidate, [*candidate.checks, *(check(candidate, seed) for check in self._ordered)])
            if candidate.status == "accepted":
                for check in self._ordered:
                    check.remember(candidate)
        assert candidate.status is not None
        self._counts[candidate.status] += 1
        self._spool.write(to_json(to_sample(candidate)) + "\n")
