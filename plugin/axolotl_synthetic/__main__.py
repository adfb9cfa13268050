"""`python -m axolotl_synthetic`: the same commands as `axolotl synthetic`, without waiting for Axolotl to be imported."""

import sys

try:
    from axolotl_synthetic.cli import synthetic
except KeyboardInterrupt:
    # Exit like an interrupted command; none has begun.
    print("axolotl-synthetic: stopped; nothing was begun", file=sys.stderr, flush=True)
    sys.exit(130)

if __name__ == "__main__":
    synthetic(prog_name="axolotl synthetic")
