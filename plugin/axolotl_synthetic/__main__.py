"""`python -m axolotl_synthetic`: the same commands as `axolotl synthetic`, without waiting for Axolotl to be imported."""

from axolotl_synthetic.cli import synthetic

if __name__ == "__main__":
    synthetic(prog_name="axolotl synthetic")
