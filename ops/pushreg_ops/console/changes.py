"""The latest changes of registrations, read from the tables' streams when a page asks for them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from pushreg.stores.changes import Change

MAX_CHANGES = 100
# Seconds without a poll after which to follow anew: DynamoDB's shard iterators expire after five minutes.
MAX_PAUSE = 240.0


# Starts following; the function returned gives what has changed since it was last called.
Follow = Callable[[], Callable[[], Iterable[Change]]]


class ChangeLog:
    """Follows changes from the first read on, and again after a pause; thread-safe."""

    def __init__(self, follow: Follow, timer: Callable[[], float] = time.monotonic) -> None:
        self._follow = follow
        self._timer = timer
        self._poll: Callable[[], Iterable[Change]] | None = None
        self._polled_at = 0.0
        self._changes: deque[Change] = deque(maxlen=MAX_CHANGES)
        self._lock = threading.Lock()
        self._count = 0

    def read(self) -> tuple[int, list[Change]]:
        """Return how many changes there have been, and the latest of them, newest first.

        OperatorError if the tables have no streams.
        """
        with self._lock:
            moment = self._timer()
            if self._poll is None or moment - self._polled_at > MAX_PAUSE:
                self._poll = self._follow()
            self._polled_at = moment
            for change in self._poll():
                self._changes.appendleft(change)
                self._count += 1
            return self._count, list(self._changes)
