"""Where candidates are judged by the checks that look at nothing else: in this process, or by actors on a Ray cluster (cluster.py).

That is the part of verification that costs processor time and needs no order. What compares candidates with one another, counts them
and writes them stays with `Verification`, so that a run's budgets and its files are the same wherever it is judged.
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
"""Takes candidates that `Judging.alone` has judged, in any order."""


class Verifiers(Protocol):
    """Judges candidates and hands them to a `Take`, at once or later and from another thread."""

    def judge(self, candidates: Sequence[Candidate]) -> None:
        """Judge some candidates; wait while too many are under way."""

    def close(self) -> None:
        """Wait until all are judged, and end. Raises the error that ended the judging."""


class Here:
    """Judges in this process, one candidate after the other."""

    def __init__(self, judging: Judging, seeds: Mapping[str, Seed], take: Take) -> None:
        self._judging = judging
        self._seeds = seeds
        self._take = take

    def judge(self, candidates: Sequence[Candidate]) -> None:
        self._take([self._judging.alone(candidate, self._seeds[candidate.seed_id]) for candidate in candidates])

    def close(self) -> None:
        pass


def cluster_of(job: Job) -> RayCluster | None:
    """Return the cluster that a run is verified on; None for this machine, where a short run is over before a cluster has started."""
    return job.settings.cluster if job.most_candidates is None else None


def open_verifiers(job: Job, judging: Judging, seeds: Mapping[str, Seed], take: Take, is_stopping: Callable[[], bool]) -> Verifiers:
    """Return what judges a run's candidates.

    Args:
        job: the run.
        judging: its checks.
        seeds: by their ids.
        take: what is judged.
        is_stopping: whether nothing that is under way is waited for any more.

    Raises:
        ServiceError: if the cluster cannot be used.
    """
    if cluster_of(job) is None:
        return Here(judging, seeds, take)
    from axolotl_synthetic.pipelines.cluster import Cluster

    return Cluster(job, take, is_stopping)
