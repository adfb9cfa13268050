"""distilabel pipelines: from seeds to judged candidates, through the ledger. The only folder that knows distilabel's steps, and Ray.

A command starts a process (`process.py`) in which `driver.py` runs distilabel's graph (`graph.py`): `Generate >> Verify` of `steps.py`.
What the first yields comes from a process beside the graph (`calling.py`), in which `engine.py` keeps the window of candidates rolling,
`calls.py` makes one call and `schedule.py` says which candidate is next; in the second, `verification.py` judges them and writes the
samples. With `engine: ray` the judging of single samples is spread over a
cluster (`verifiers.py`): `cluster.py` talks to a process that is connected to it (`cluster_process.py`), which starts the actors of
`verifier.py` and sends them the checks and the modules of a user's own task (`own_modules.py`). `serving.py` starts what the models need,
by `cluster_servers.py` on the cluster's GPUs. The steps of `strategy_steps.py`,
`verify_step.py` and `write_step.py` are for pipelines of anybody's own (`axolotl_synthetic.steps`).
"""

import warnings

# Of distilabel's own classes, at their import; nothing that a user could do about it.
warnings.filterwarnings("ignore", message="The '.*' attribute with value .* was provided to the `Field")
