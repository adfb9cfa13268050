"""Imports what users wrote themselves, a task's class or a check, by its dotted path."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from axolotl_synthetic.errors import ConfigError


def imported(name: str, key: str, wanted: str, *, call: bool = False) -> Any:
    """Return what a dotted path names.

    Args:
        name: the path, such as `my_package.MyTask`.
        key: where the config names it.
        wanted: what it must be, for the message.
        call: whether what it names is called without arguments, and the result is wanted.

    Raises:
        ConfigError: if it cannot be imported or called.
    """
    package, _, attribute = name.rpartition(".")
    # As `python -m` does it, which our own script and Axolotl's do not. Behind everything else, so that no file there hides a library.
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)
    try:
        found = getattr(importlib.import_module(package), attribute)
        return found() if call else found
    # Whatever the user's own module raises, over a word that is misspelt or a file that it does not find.
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}" if not isinstance(error, ImportError) else str(error)
        raise ConfigError(f"{key}: {name!r} cannot be used: {said}; it must be {wanted}") from error
