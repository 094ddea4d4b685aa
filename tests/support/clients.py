"""Clients of the database: the functions' own, and stand-ins that answer from a script or from a few items."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from pushreg.config import Settings
from pushreg.dynamodb import Client, connect, from_attributes, to_attributes
from pushreg.schema import Item
from tests.support.gateway import read_template


def connect_functions(endpoint: str | None = None, transport: str = "direct", patience: float | None = None) -> Any:
    """Return a client made as the functions make theirs, for the engine at the endpoint; by default for moto.

    With a patience it waits no longer than so many seconds for a connection or an answer.
    """
    # moto answers in place of botocore's HTTP session, which the direct transport does not use.
    engine = {"DYNAMODB_ENDPOINT": endpoint, "TRANSPORT": transport} if endpoint else {"TRANSPORT": "boto3"}
    settings = Settings.from_environ({**read_template().functions[0].environment, **engine})
    return connect(settings) if patience is None else connect(settings, patience, patience)


class ScriptedClient:
    """Answers every call with the next line of its script, the last one for ever, and keeps what it was asked."""

    def __init__(self, *script: dict[str, Any] | Exception) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._script = list(script)

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        def answer(**parameters: Any) -> dict[str, Any]:
            self.asked.append((operation, parameters))
            line = self._script.pop(0) if len(self._script) > 1 else self._script[0]
            if isinstance(line, Exception):
                raise line
            return line

        return answer

    @property
    def client(self) -> Client:
        """Itself, as what it plays."""
        return cast("Client", self)


class ReadOnlyClient:
    """Holds items of one table whose key is `record`, and counts how often it is asked."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self.items = {item["record"]: item for item in items}
        self.calls = 0

    def get_item(self, **parameters: Any) -> dict[str, Any]:
        """Answer as DynamoDB does."""
        self.calls += 1
        item = self.items.get(from_attributes(parameters["Key"])["record"])
        return {"Item": to_attributes(item)} if item is not None else {}

    def batch_get_item(self, **parameters: Any) -> dict[str, Any]:
        """Answer as DynamoDB does, in an order that nobody asked for."""
        self.calls += 1
        ((table, asked),) = parameters["RequestItems"].items()
        records = sorted((from_attributes(key)["record"] for key in asked["Keys"]), reverse=True)
        return {"Responses": {table: [to_attributes(self.items[each]) for each in records if each in self.items]}}

    @property
    def client(self) -> Client:
        """Itself, as what it plays."""
        return cast("Client", self)
