"""A DynamoDB endpoint that is already running."""

from __future__ import annotations

from pushreg_local.client import connect_endpoint, explain, split_address
from pushreg_local.errors import OperatorError


class ExistingEndpoint:
    """Uses the endpoint and never starts or stops anything."""

    def __init__(self, address: str) -> None:
        parts = split_address(address)
        if parts is None or parts.port is None or parts.path.strip("/") or parts.query:
            raise OperatorError(f"{address} is not a DynamoDB endpoint like http://127.0.0.1:8000")
        self._endpoint = address.rstrip("/")

    @property
    def endpoint(self) -> str:
        """The address as it was given."""
        return self._endpoint

    @property
    def description(self) -> str:
        """Where the data is."""
        return f"the existing DynamoDB at {self._endpoint}, which keeps the data"

    def start(self) -> None:
        """Do nothing."""

    def wait(self) -> None:
        """Check the endpoint; OperatorError if it does not answer like DynamoDB."""
        with explain(self._endpoint, unreachable="start that DynamoDB, or omit --store"):
            connect_endpoint(self._endpoint).list_tables(Limit=1)

    def stop(self) -> None:
        """Do nothing."""
