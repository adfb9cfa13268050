"""distilabel pipelines: from seeds to judged candidates, through the ledger. The only folder that knows distilabel's steps.

`pipeline.py` runs a job: `caller.py` is the process that makes the calls (`caller_process.py` starts it), `graph.py` and `steps.py`
are the pipeline beside it. In the first, `engine.py` keeps the window of candidates rolling, `calls.py` makes one call, `schedule.py`
says which candidate is next.
"""

import warnings

# Of distilabel's own classes, at their import; nothing that a user could do about it.
warnings.filterwarnings("ignore", message="The '.*' attribute with value .* was provided to the `Field")
