"""A clock that moves only when a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ReadTimeoutError


class Time:
    """A clock and a timer that only waiting moves, and what has been waited."""

    def __init__(self) -> None:
        self.moment = datetime.now(UTC)
        self.passed = 0.0
        self.delays: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Wait, at once."""
        self.passed += seconds
        self.delays.append(seconds)

    def stall(self, request: object) -> None:
        """Take as long as the client waits for an answer, and give none."""
        self.passed += 1
        raise ReadTimeoutError(endpoint_url="test")

    def options(self) -> dict[str, Any]:
        """Return what a handler takes its time from."""
        return {"clock": lambda: self.moment, "timer": lambda: self.passed, "sleep": self.sleep}
