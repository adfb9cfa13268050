#!/usr/bin/env bash
# The quickstart, step by step. Run from the repository's root; `make quickstart` does, after setting up.
set -euo pipefail
config=examples/quickstart/quickstart.yml

python examples/quickstart/student.py
# One process: on a CPU there is nothing for a launcher to launch.
axolotl train "$config" --launcher python
echo
python -m axolotl_synthetic status "$config"   # as `axolotl synthetic status`, without waiting for Axolotl's imports
