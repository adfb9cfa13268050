"""math-verify behind a pipe: reads a JSON list of two expressions a line, answers 1 or 0. Started by `verifier.py` and by nobody else.

Imports nothing of this package, so that it starts wherever Python does.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys

# CPU time, not the clock's: a busy machine must not change a verdict. Ordinary comparisons take a few milliseconds.
SECONDS = 3
MEMORY_BYTES = 4 * 2**30


def main() -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no reply
    import sympy  # type: ignore[import-untyped]
    from math_verify import LatexExtractionConfig, parse, verify

    def read(text: str) -> list[object]:
        # As LaTeX and whole: in plain text math-verify would take the first number that it finds.
        found = parse(f"${text}$", [LatexExtractionConfig()], fallback_mode="no_fallback", parsing_timeout=None)
        return [one for one in found if not (isinstance(one, sympy.Basic) and one.has(sympy.zoo, sympy.nan))]

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    print("ready", file=replies, flush=True)
    for line in sys.stdin:
        # Nothing handles SIGPROF, so the kernel ends this process even within one long operation.
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            gold, other = json.loads(line)
            same = bool(verify(read(gold), read(other), timeout_seconds=None))
        except Exception:
            same = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(int(same), file=replies, flush=True)


if __name__ == "__main__":
    main()
