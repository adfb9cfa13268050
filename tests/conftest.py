"""Puts this folder on the path, so that tests in its folders find the fake server; has the longest files begin first, and what needs
one Argilla server run in one process. Hypothesis sets no deadline, for the machine may be busy with something else."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from axolotl_validation import validate  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling

hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")

# Processes inherit what is ignored, as SIGINT is in a shell's background and SIGHUP under nohup; tests send both to runs.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)

# Files are handed to the processes that run them in this order: a long one that begins last would keep the others waiting.
LONGEST_FIRST = (
    "test_exchange.py",
    "test_plugin.py",
    "test_package.py",
    "test_lm_eval_runs.py",
    "test_readme.py",
    "test_teachers_page.py",
    "test_generate_ends.py",
    "test_generate.py",
    "test_ray.py",
)
# These tests start a server once, and end it, and kill it.
TOGETHER = "tests/review/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST_FIRST.index(item.path.name) if item.path.name in LONGEST_FIRST else len(LONGEST_FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    from xdist.scheduler import LoadFileScheduling

    class FilesAndOneFolder(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return TOGETHER if nodeid.startswith(TOGETHER) else super()._split_scope(nodeid)

    return FilesAndOneFolder(config, log)
