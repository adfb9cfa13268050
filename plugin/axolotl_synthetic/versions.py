"""Tested versions of Axolotl, and all differences between them that concern us. No other module checks a version.

Each difference is a function that names the version it came with. To support a new release, run the tests on it (`.ci/sets`), add what
differs here, and raise the bound in `TESTED`.
"""

from __future__ import annotations

import gc
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from packaging.version import Version

# Oldest and newest tested release series of each package.
TESTED: Mapping[str, tuple[str, str]] = {
    "axolotl": ("0.19", "0.21"),
    "distilabel": ("1.5", "1.5"),
    "lm_eval": ("0.4", "0.4"),
}
# Set after the warning, so that child processes do not repeat it.
TOLD = "AXOLOTL_SYNTHETIC_VERSIONS_TOLD"


def installed(package: str) -> str | None:
    """Return the version of a package, None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def summary() -> str:
    """Return our version and those that a bug report should name: `axolotl-synthetic 0.2.0 (axolotl 0.21.0, …, Python 3.12.1)`."""
    packages = [f"{package} {installed(package) or 'not installed'}" for package in TESTED]
    return f"axolotl-synthetic {installed('axolotl-synthetic')} ({', '.join([*packages, f'Python {platform.python_version()}'])})"


def untested() -> str | None:
    """Return a warning about installed versions outside of the tested range; None if there are none.

    It is returned only once in a process and its children.
    """
    if os.environ.get(TOLD) == "1":
        return None
    os.environ[TOLD] = "1"
    outside = []
    for package, (oldest, newest) in TESTED.items():
        found = installed(package)
        if found is not None and not Version(oldest).release <= Version(found).release[:2] <= Version(newest).release:
            outside.append(f"{package} {found} (tested: {oldest if oldest == newest else f'{oldest} to {newest}'})")
    return f"not tested with {', '.join(outside)}; should something fail, try a tested version" if outside else None


def datasets_take_weight() -> bool:
    """Say whether an entry of `datasets:` may have a `weight`: since Axolotl 0.20. Axolotl 0.19 ignores the key silently."""
    found = installed("axolotl")
    return found is not None and Version(found).release >= (0, 20)


def training_failed() -> bool:
    """Say whether training ended with an error, for a caller within the hook `post_train_unload`.

    Since Axolotl 0.20 that hook runs in a `finally`, so also after an error, which is still being raised. Axolotl 0.19 calls it only after
    success.
    """
    return sys.exc_info()[0] is not None


def release_trained_model() -> None:
    """Free the memory of the trained model, for a caller within the hook `post_train_unload`.

    Since Axolotl 0.20 garbage is collected only after that hook. Until then the trainer, which refers to itself, holds the GPU's memory.
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
