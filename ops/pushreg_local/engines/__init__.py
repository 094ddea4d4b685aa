"""The databases that a local stack can stand on."""

from __future__ import annotations

from typing import Protocol

HOST = "127.0.0.1"


class Engine(Protocol):
    """A DynamoDB endpoint for as long as the stack runs."""

    @property
    def endpoint(self) -> str:
        """The address that clients use."""

    @property
    def description(self) -> str:
        """What it is and where its data is, for the person who started it."""

    def start(self) -> None:
        """Begin to start and return at once; EngineError if that much fails."""

    def wait(self) -> None:
        """Return when the endpoint answers; EngineError if it does not come to that."""

    def stop(self) -> None:
        """End whatever was started; harmless at any time, and twice."""
