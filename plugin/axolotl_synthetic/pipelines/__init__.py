"""distilabel pipelines: from seeds to judged candidates, through the ledger. The only folder that knows distilabel's steps.

A command starts a process (`process.py`) in which `driver.py` runs distilabel's graph (`graph.py`): `Generate >> Verify` of `steps.py`.
In the first, `engine.py` keeps the window of candidates rolling, `calls.py` makes one call and `schedule.py` says which candidate is
next; in the second, `verification.py` judges them and writes the samples. The steps of `strategy_steps.py`, `verify_step.py` and
`write_step.py` are for pipelines of anybody's own (`axolotl_synthetic.steps`).
"""

import warnings

# Of distilabel's own classes, at their import; nothing that a user could do about it.
warnings.filterwarnings("ignore", message="The '.*' attribute with value .* was provided to the `Field")
