"""distilabel pipelines that turn seeds into judged candidates; only this folder knows distilabel's steps and Ray.

A command starts a process (`process.py`) in which `driver.py` runs distilabel's graph (`graph.py`): `Generate >> Verify` of `steps.py`.

- `Generate` receives candidates from a process beside the graph (`calling.py`). There, `engine.py` keeps the rolling window of candidates
  full, `schedule.py` chooses the next candidate and `calls.py` makes one call.
- `Verify` judges candidates and writes samples (`verification.py`). With `engine: ray`, a cluster judges them (`verifiers.py`).
- `cluster.py` talks to the process that is connected to the cluster (`cluster_process.py`). That process starts the actors of
  `verifier.py` and sends them the checks and the modules of the user's own task (`own_modules.py`).
- `serving.py` starts the models' servers; `cluster_servers.py` places them on the cluster's GPUs.
- `strategy_steps.py`, `verify_step.py` and `write_step.py` define steps for a user's own pipelines (`axolotl_synthetic.steps`).
"""

import warnings

# distilabel's own classes raise this warning at import; a user can do nothing about it.
warnings.filterwarnings("ignore", message="The '.*' attribute with value .* was provided to the `Field")
