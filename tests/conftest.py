"""Puts this folder on the path, so that tests in its folders find the fake server; and has the longest files begin first."""

from __future__ import annotations

import pytest

# Files are handed to the processes that run them in this order: a long one that begins last would keep the others waiting.
LONGEST_FIRST = ("test_plugin.py", "test_lm_eval_runs.py", "test_readme.py", "test_generate_ends.py", "test_generate.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST_FIRST.index(item.path.name) if item.path.name in LONGEST_FIRST else len(LONGEST_FIRST))
