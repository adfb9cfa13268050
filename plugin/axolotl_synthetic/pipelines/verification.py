"""Verification of candidates: first each by itself (verifiers.py), then against earlier accepted ones, in the order of their numbers.

It writes the spool (a line of `samples.jsonl` for each candidate, in order), and reports to the engine, through the ledger, how many were
accepted.
"""

from __future__ import annotations

import heapq
import math
import threading
from collections.abc import Sequence
from contextlib import closing

from axolotl_synthetic.checks import load_checks
from axolotl_synthetic.config import fruitless_after
from axolotl_synthetic.files import ANOTHER_FOLDER, storage_errors
from axolotl_synthetic.ledger import FRUITLESS, Ledger
from axolotl_synthetic.pipelines.job import Job
from axolotl_synthetic.pipelines.judging import Judging
from axolotl_synthetic.pipelines.verifiers import Judged, open_verifiers
from axolotl_synthetic.records import Candidate, Verdict, to_json, to_sample
from axolotl_synthetic.strategies import load_strategies
from axolotl_synthetic.tasks import load_task


class Verification:
    """Verification of one run.

    Args:
        job: the run.

    Raises:
        StorageError: if the spool or the ledger cannot be written; every method may raise it.
        ServiceError: if the cluster that judges cannot be used; every method may raise it.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._task = load_task(job.settings.task, job.settings.prompts, job.settings.language)
        keeps_answer = {name: strategy.keeps_answer for name, strategy in load_strategies().items()}
        settings = job.settings
        checks = load_checks(
            *(settings.verify, self._task, keeps_answer),
            seeds=job.seeds,
            held_out=job.held_out,
            include_seeds=settings.include_seeds,
        )
        self._judging = Judging(self._task, checks)
        self._seeds = {seed.id: seed for seed in job.seeds}
        self._early: list[tuple[int, Candidate, Sequence[Verdict]]] = []
        self._next = 0
        self._counts = {"accepted": 0, "rejected": 0, "failed": 0}
        self.seen = self._waiting = 0
        self._since_accepted = 0
        # A short run must show the outcome of all of its candidates.
        self._patience = math.inf if job.most_candidates is not None else fruitless_after(len(job.seeds))
        with storage_errors(self._job.spool, ANOTHER_FOLDER):
            self._ledger = Ledger(job.ledger)
            self._spool = open(job.spool, "w", encoding="utf-8")
        # A cluster's verdicts arrive in a thread of their own.
        self._lock = threading.Lock()
        self._verifiers = open_verifiers(job, self._judging, self._seeds, self._keep, self._is_stopping)

    def take(self, candidates: Sequence[Candidate]) -> None:
        """Judge ended candidates, in any order; do nothing after a request to stop, because a rerun judges all of them again."""
        if self._is_stopping():
            return
        if settled := [candidate for candidate in candidates if not _is_open(candidate)]:
            self._keep([(candidate, ()) for candidate in settled])
        if unsettled := [candidate for candidate in candidates if _is_open(candidate)]:
            self._verifiers.judge(unsettled)

    def close(self) -> None:
        """Wait until all are judged, except after a request to stop."""
        self._verifiers.close()
        with closing(self._ledger), storage_errors(self._job.spool):
            self._spool.close()

    def _is_stopping(self) -> bool:
        with self._lock:
            return self._ledger.is_asked_to_stop()

    def _keep(self, judged: Sequence[Judged]) -> None:
        """Add judged candidates, finish those whose turn has come, and report the counts to the engine."""
        with self._lock, storage_errors(self._job.spool):
            for candidate, verdicts in judged:
                self.seen += 1
                self._waiting += candidate.status is None and bool(candidate.id)
                heapq.heappush(self._early, (candidate.number, candidate, verdicts))
                while self._early and self._early[0][0] == self._next:
                    self._next += 1
                    self._finish(*heapq.heappop(self._early)[1:])
            self._spool.flush()
            ended = {"ended_by": FRUITLESS} if self._is_over else {}
            self._ledger.report(seen=self.seen, waiting=self._waiting, **self._counts, **ended)

    @property
    def _is_over(self) -> bool:
        """Return whether the run must end because too many consecutive candidates were not accepted.

        The decision follows the candidates' order, so a run ends at the same one however many more are open. Those are not part of the run,
        but their replies stay in the ledger.
        """
        return self._since_accepted >= self._patience

    def _finish(self, candidate: Candidate, verdicts: Sequence[Verdict]) -> None:
        if not candidate.id:
            return  # skipped: no budget for its first call, or an exhausted seed
        if candidate.status is None:
            self._waiting -= 1
        if self._is_over:
            return
        candidate = self._judging.in_order(candidate, self._seeds[candidate.seed_id], verdicts)
        assert candidate.status is not None
        self._counts[candidate.status] += 1
        self._since_accepted = 0 if candidate.status == "accepted" else self._since_accepted + 1
        self._spool.write(to_json(to_sample(candidate, self._seeds[candidate.seed_id])) + "\n")


def _is_open(candidate: Candidate) -> bool:
    """Return whether a candidate must be judged: it was planned and has not failed."""
    return candidate.status is None and bool(candidate.id)
