"""math-verify behind a pipe: reads a JSON list of two expressions per line and answers 1 or 0. Started by `verifier.py` only.

Imports nothing of this package, so that it starts wherever Python does.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import Any

# Limits CPU time, not wall time, so that a busy machine cannot change a verdict. Most comparisons take a few milliseconds.
SECONDS = 3
MEMORY_BYTES = 4 * 2**30


def main() -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries' prints must not mix with replies
    import sympy  # type: ignore[import-untyped]
    from math_verify import LatexExtractionConfig, LatexNormalizationConfig, parse, verify

    # `units` would cut off a last factor such as c, h, m or t: `a + 3c` would become `a + 3`. `units.py` reads units.
    normal = LatexNormalizationConfig(basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none")
    latex = [LatexExtractionConfig(normalization_config=normal)]

    def read(text: str) -> list[object]:
        # Parse as LaTeX, and whole: in plain text math-verify would take the first number that it finds.
        found = parse(f"${text}$", latex, fallback_mode="no_fallback", parsing_timeout=None)
        return [one for one in found if not (isinstance(one, sympy.Basic) and one.has(sympy.zoo, sympy.nan))]

    def apart(one: Any, other: Any) -> bool:
        """Say whether numbers differ that math-verify calls equal: it rounds to six places, so 2^-99 and 2^-98 are both 0."""
        if not (isinstance(one, sympy.Expr) and isinstance(other, sympy.Expr) and one.is_number and other.is_number):
            return False
        if one == other:
            return False
        exact = not (one.has(sympy.Float) or other.has(sympy.Float))
        if exact:
            one, other = one.doit(), other.doit()
            if one.is_Rational and other.is_Rational:
                return bool(one != other)
        largest = max(abs(sympy.N(one, 30)), abs(sympy.N(other, 30)))
        return bool(abs(sympy.N(one - other, 30)) > largest * sympy.Float("1e-12" if exact else "1e-6", 30))

    def same(one: Any, other: Any) -> bool:
        if isinstance(one, sympy.Eq) and isinstance(other, sympy.Eq):
            # Two equations describe the same line or circle if the differences of their sides are multiples of each other.
            ratio = sympy.simplify((one.lhs - one.rhs) / (other.lhs - other.rhs))
            return bool(ratio.is_number and ratio.is_finite and ratio != 0)
        return bool(verify(one, other, timeout_seconds=None)) and not apart(one, other)

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    print("ready", file=replies, flush=True)
    for line in sys.stdin:
        # Nothing handles SIGPROF, so the kernel kills this process even within one long operation.
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            gold, other = json.loads(line)
            found = any(same(one, another) for one in read(gold) for another in read(other))
        except Exception:
            found = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(int(found), file=replies, flush=True)


if __name__ == "__main__":
    main()
