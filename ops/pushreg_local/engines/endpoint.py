"""A DynamoDB that is already there."""

from __future__ import annotations

from urllib.parse import urlsplit

from pushreg_local.client import connect_endpoint, explain
from pushreg_local.errors import OperatorError


class ExistingEndpoint:
    """Uses the endpoint and never starts or stops anything."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        try:
            known = parts.scheme in ("http", "https") and parts.hostname and parts.port is not None
        except ValueError:
            known = False
        if not known or parts.path.strip("/") or parts.query:
            raise OperatorError(f"{address} is no address of a DynamoDB; it looks like http://127.0.0.1:8000")
        self._endpoint = address.rstrip("/")

    @property
    def endpoint(self) -> str:
        """The address as it was given."""
        return self._endpoint

    @property
    def description(self) -> str:
        """Where the data is."""
        return f"the DynamoDB at {self._endpoint}, which was already there and keeps the data"

    def start(self) -> None:
        """There is nothing to start."""

    def wait(self) -> None:
        """OperatorError if nothing answers, or something that is no DynamoDB."""
        with explain(self._endpoint, unreachable="start the DynamoDB that is meant, or leave --store out"):
            connect_endpoint(self._endpoint).list_tables(Limit=1)

    def stop(self) -> None:
        """There is nothing to stop."""
