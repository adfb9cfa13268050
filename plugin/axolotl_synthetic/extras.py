"""Optional parts of the package: the packages each needs, and the command that installs a missing one."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Literal

from axolotl_synthetic.errors import MissingExtraError

Extra = Literal["review", "report", "litellm", "ray"]

# Modules to import, with their packages. setup.cfg has the versions.
MODULES: Mapping[Extra, Mapping[str, str]] = {
    "review": {"argilla": "argilla", "krippendorff": "krippendorff"},
    "report": {"matplotlib": "matplotlib", "sklearn": "scikit-learn"},
    "litellm": {"litellm": "litellm"},
    "ray": {"ray": "ray"},
}


def require(extra: Extra, command: str) -> None:
    """Check that the packages of an extra are installed.

    Args:
        extra: the extra's name.
        command: the command that needs it, as typed, such as `axolotl synthetic report`.

    Raises:
        MissingExtraError: with the missing packages and the command that installs them.
    """
    missing = [package for module, package in MODULES[extra].items() if importlib.util.find_spec(module) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise MissingExtraError(
            f"`{command}` needs {' and '.join(missing)}, which {verb} not installed: pip install 'axolotl-synthetic[{extra}]'"
        )
