"""Private members of distilabel 1.5.3 that we override, each with the fault that requires it; a test fails without each override."""

from __future__ import annotations

import time
from collections.abc import Iterable

from distilabel.pipeline import Pipeline
from distilabel.pipeline.base import _STEP_NOT_LOADED_CODE

# Interval at which the steps are checked while they load or end, and the limit for that.
LOOK_SECONDS = 0.02
LOADING_SECONDS = 60.0


class EagerPipeline(Pipeline):  # type: ignore[misc]  # distilabel is not typed
    """distilabel's pipeline without its idle time and its cache."""

    def _cache(self) -> None:
        """Write no cache.

        distilabel writes the pipeline and all waiting batches to its cache after each batch, even with `use_cache=False`, and hashes the
        pipeline several times for it. At twenty batches a second that keeps a core busy.
        """

    def _run_steps(self, steps: Iterable[str]) -> None:
        """Start the steps, and wait until they are loaded.

        distilabel checks whether its steps are loaded once and then every 2.5 seconds, as long as a preview of three samples takes.
        """
        started = list(steps)
        super()._run_steps(started)
        end = time.monotonic() + LOADING_SECONDS
        while time.monotonic() < end:
            with self._steps_load_status_lock:
                if _STEP_NOT_LOADED_CODE not in self._get_steps_load_status(started).values():
                    return
            time.sleep(LOOK_SECONDS)

    def _notify_steps_to_stop(self) -> None:
        """Ask the steps to end, and wait until they have.

        distilabel checks whether they have ended once and then every half second.
        """
        super()._notify_steps_to_stop()
        end = time.monotonic() + LOADING_SECONDS
        while time.monotonic() < end and any(self._is_step_running(step) for step in self.dag):
            time.sleep(LOOK_SECONDS)
