"""Start processes that end with ours, and that take no part in a distributed training. Imports next to nothing."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping

# What torchrun and accelerate leave in the environment of a rank: a child with them would wait for its peers.
RANK_VARIABLES = frozenset(
    {"RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE"}
    | {"ROLE_NAME", "MASTER_ADDR", "MASTER_PORT"}
)
RANK_PREFIXES = ("ACCELERATE_", "TORCHELASTIC_", "FSDP_", "PARALLELISM_CONFIG_")
PR_SET_PDEATHSIG = 1


def die_with(parent: int, number: int = signal.SIGKILL) -> None:
    """Have the kernel end this process when its parent ends (Linux), so that a killed run leaves nothing behind that goes on.

    Args:
        parent: its process id, noted before the fork: it may have ended since.
        number: the signal that it gets; SIGTERM lets it finish what it has paid for.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os._exit(1)


def without_ranks(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a process that is no rank of a training."""
    kept = {name: value for name, value in environment.items() if name not in RANK_VARIABLES and not name.startswith(RANK_PREFIXES)}
    # accelerate and torchrun give each rank one thread; the child has the machine to itself.
    if len(kept) < len(environment) and kept.get("OMP_NUM_THREADS") == "1":
        del kept["OMP_NUM_THREADS"]
    return kept
