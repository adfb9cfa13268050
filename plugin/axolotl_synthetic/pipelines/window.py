"""The number of calls to one model that may be open at once: the configured maximum, fewer while the server complains.

Additive increase, multiplicative decrease, as TCP does it (Chiu and Jain, 1989).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from types import TracebackType

# Calls open at the first complaint will be refused as well: complaints within this time count as one.
COMPLAINT_SECONDS = 1.0


class Window:
    """Asynchronous context that holds one place in the window.

    Args:
        most: largest and initial number of places.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._open = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._complained = float("-inf")

    @property
    def limit(self) -> int:
        return max(1, int(self._limit))

    async def __aenter__(self) -> None:
        if self._open < self.limit and not self._waiting:
            self._open += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave()
            raise

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._leave()

    def succeeded(self) -> None:
        """Add one place for each full window of successes."""
        if self._limit < self._most:
            self._limit = min(self._most, self._limit + 1 / self._limit)
            self._admit()

    def complained(self, now: float | None = None) -> None:
        """Halve the places after the server's complaint, once for each burst of complaints."""
        now = time.monotonic() if now is None else now
        if now - self._complained >= COMPLAINT_SECONDS:
            self._complained = now
            self._limit = max(1.0, self._limit / 2)

    def _leave(self) -> None:
        self._open -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._open < self.limit:
            place = self._waiting.popleft()
            if not place.done():
                self._open += 1
                place.set_result(None)
