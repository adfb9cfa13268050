"""Synthetic data for Axolotl.

The package exports the plugin alone and imports it on demand, so that neither the commands nor the schema wait for Axolotl and torch.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from axolotl_synthetic.plugin import SyntheticPlugin

__version__ = "0.2.0"
__all__ = ["SyntheticPlugin"]


def __getattr__(name: str) -> Any:
    if name != "SyntheticPlugin":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; Axolotl's `plugins:` takes {__name__}.SyntheticPlugin")
    try:
        from axolotl_synthetic.plugin import SyntheticPlugin
    except ImportError as error:
        # On an ImportError Axolotl would print it, ignore the `synthetic:` block and train on the remaining data.
        message = f"the plugin cannot be imported: {error}\n  install what is missing: pip install axolotl-synthetic"
        print(f"axolotl-synthetic: {message}", file=sys.stderr, flush=True)
        raise SystemExit(2) from None
    return SyntheticPlugin
