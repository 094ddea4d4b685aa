"""The database engines of the local stack."""

from __future__ import annotations

from typing import Protocol

HOST = "127.0.0.1"


class Engine(Protocol):
    """A DynamoDB endpoint for the lifetime of the stack."""

    @property
    def endpoint(self) -> str:
        """The address that clients use."""

    @property
    def description(self) -> str:
        """What it is and where its data is, for the greeting."""

    def start(self) -> None:
        """Start the engine without waiting for it; EngineError if that fails."""

    def wait(self) -> None:
        """Wait until the endpoint answers; EngineError if it does not."""

    def stop(self) -> None:
        """Stop what was started; idempotent."""
