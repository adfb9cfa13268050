"""`python -m axolotl_synthetic`: the same commands as `axolotl synthetic`, without waiting for Axolotl to be imported."""

import sys

try:
    from axolotl_synthetic.cli import synthetic
except KeyboardInterrupt:
    # As a command ends that was interrupted; none is there yet.
    print("axolotl-synthetic: stopped; nothing was begun", file=sys.stderr, flush=True)
    sys.exit(130)

if __name__ == "__main__":
    synthetic(prog_name="axolotl synthetic")
