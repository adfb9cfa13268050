"""The number of concurrent calls that the limit of open files allows: each call has a connection, which is an open file."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from contextlib import suppress

from axolotl_synthetic.config import first_of_same
from axolotl_synthetic.records import Role
from axolotl_synthetic.teachers import ModelSettings

# Files that the calls' process opens besides its connections (ledger, log, libraries): some 40, with a margin of as many.
RESERVED = 100


def fitted(models: Mapping[Role, ModelSettings]) -> tuple[dict[Role, ModelSettings], list[str]]:
    """Lower the models' `concurrency` to what the hard limit of open files allows.

    Returns:
        The models, and a message to the user for each that was changed.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    asked = _connections(models)
    if hard == resource.RLIM_INFINITY or asked + RESERVED <= hard:
        return dict(models), []
    room = max(1, hard - RESERVED)
    found: dict[Role, ModelSettings] = {}
    first = first_of_same(models)
    told = []
    for role, settings in models.items():
        fewer = max(1, settings.concurrency * room // asked)
        found[role] = settings.model_copy(update={"concurrency": fewer})
        if first[role] == role:
            told.append(
                f"synthetic.{role}.concurrency: {settings.concurrency}: at most {fewer} calls are open at once, for a process may have"
                f" {hard:,} open files here; raise the limit (`ulimit -n`) for more"
            )
    return found, told


def allow(models: Mapping[Role, ModelSettings]) -> None:
    """Raise this process's soft limit of open files if it is too low for the models' connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _connections(models) + RESERVED
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # Some systems refuse limits below their hard limit; a call that can open no file is then retried.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _connections(models: Mapping[Role, ModelSettings]) -> int:
    return sum(models[role].concurrency for role in set(first_of_same(models).values()))
