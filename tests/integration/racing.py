"""Sixteen concurrent callers through the real handlers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from tests.support.calls import Reply
from tests.support.gateway import Gateway

CALLERS = range(16)

Race = Callable[[Sequence[Callable[[], Reply]]], list[Reply]]


@contextmanager
def open_race() -> Iterator[Race]:
    """Give what starts all calls at the same moment and returns their replies in the order of the calls."""
    barrier = threading.Barrier(len(CALLERS))

    def run(call: Callable[[], Reply]) -> Reply:
        barrier.wait(60)
        reply = call()
        # Told to try again by functions that gave up for contention.
        while reply.status == 503 and "retry-after" in reply.headers:
            reply = call()
        return reply

    with ThreadPoolExecutor(len(CALLERS)) as pool:
        yield lambda calls: list(pool.map(run, calls))


def wait_patiently(client: Any) -> Gateway:
    """Return functions with all the patience that the last of many callers on a busy machine may need.

    Their pauses are a tenth, so that the callers collide more often.
    """
    return Gateway(client, sleep=lambda each: time.sleep(each / 10), timer=lambda: time.monotonic() / 10, emit=print)
