"""Choice of where candidates are judged by the checks that need only the candidate: in this process, or on a Ray cluster (cluster.py).

That part of verification costs processor time and needs no order. `Verification` compares, counts and writes candidates, so a run's
budgets and files are the same wherever it is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from axolotl_synthetic.config import RayCluster
from axolotl_synthetic.pipelines.job import Job
from axolotl_synthetic.pipelines.judging import Judging
from axolotl_synthetic.records import Candidate, Seed, Verdict

Judged = tuple[Candidate, Sequence[Verdict]]
Take = Callable[[Sequence[Judged]], None]
"""Callback that receives candidates judged by `Judging.alone`, in any order."""


class Verifiers(Protocol):
    """Judges candidates and passes them to a `Take`, at once or later from another thread."""

    def judge(self, candidates: Sequence[Candidate]) -> None:
        """Judge candidates; wait while too many are open."""

    def close(self) -> None:
        """Wait until all are judged, and end; raise the error that ended the judging."""


class Here:
    """Verifiers in this process, which judge one candidate after another."""

    def __init__(self, judging: Judging, seeds: Mapping[str, Seed], take: Take) -> None:
        self._judging = judging
        self._seeds = seeds
        self._take = take

    def judge(self, candidates: Sequence[Candidate]) -> None:
        self._take([self._judging.alone(candidate, self._seeds[candidate.seed_id]) for candidate in candidates])

    def close(self) -> None:
        pass


def cluster_of(job: Job) -> RayCluster | None:
    """Return the cluster that verifies a run; None for this machine. A short run is over before a cluster has started."""
    return job.settings.cluster if job.most_candidates is None else None


def open_verifiers(job: Job, judging: Judging, seeds: Mapping[str, Seed], take: Take, is_stopping: Callable[[], bool]) -> Verifiers:
    """Return the verifiers for a run's candidates.

    Args:
        job: the run.
        judging: its checks.
        seeds: by their ids.
        take: receives judged candidates.
        is_stopping: whether the run no longer waits for verdicts.

    Raises:
        ServiceError: if the cluster cannot be used.
    """
    if cluster_of(job) is None:
        return Here(judging, seeds, take)
    from axolotl_synthetic.pipelines.cluster import Cluster

    return Cluster(job, take, is_stopping)
