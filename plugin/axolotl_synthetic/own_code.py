"""Import users' own code, a task's class or a check, by its dotted path."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from axolotl_synthetic.errors import ConfigError


def imported(name: str, key: str, wanted: str, *, call: bool = False) -> Any:
    """Return the object that a dotted path names.

    Args:
        name: the path, such as `my_package.MyTask`.
        key: the config key that holds it.
        wanted: description of what it must be, for the message.
        call: True to call it without arguments and return the result.

    Raises:
        ConfigError: if it cannot be imported or called.
    """
    package, _, attribute = name.rpartition(".")
    # `python -m` puts the working directory on the path, unlike our own script and Axolotl's. Append it, so that no file there shadows a
    # library.
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)
    try:
        found = getattr(importlib.import_module(package), attribute)
        return found() if call else found
    # The user's module may raise anything, for example at a misspelt name or a missing file.
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}" if not isinstance(error, ImportError) else str(error)
        raise ConfigError(f"{key}: {name!r} cannot be used: {said}; it must be {wanted}") from error
