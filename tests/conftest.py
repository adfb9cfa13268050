"""Puts this folder on the path, starts the longest files first, and groups tests that need one Argilla server in one process.

With this folder on the path, tests in subfolders find the fake server. Hypothesis has no deadline, since the machine may be busy.
"""

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

# Processes inherit ignored signals, such as SIGINT in a shell's background and SIGHUP under nohup; tests send both to runs.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)

# Order in which files are given to the test processes: a long file that starts last would delay the end.
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
# These tests start, end and kill one server.
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
