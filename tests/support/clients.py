"""Clients of the database: the functions' own, and stand-ins that answer from a script or from a few items."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, cast

from botocore.exceptions import ClientError

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


class HookedClient:
    """Delegates to a client. A hook replaces an operation and gets the client's own call as its first argument."""

    def __init__(self, client: Any, **hooks: Callable[..., Any]) -> None:
        self._client = client
        self._hooks = hooks

    def __getattr__(self, operation: str) -> Any:
        call = getattr(self._client, operation)
        return partial(self._hooks[operation], call) if operation in self._hooks else call


def overtake_writes(client: Any) -> Any:
    """Return a client whose every transaction finds others at the same items."""

    def write(_: Callable[..., Any], **parameters: Any) -> Any:
        reasons: Any = [{"Code": "TransactionConflict"}] * len(parameters["TransactItems"])
        response: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
        raise ClientError(response, "TransactWriteItems")

    return HookedClient(client, transact_write_items=write)


class ProcessKilledError(Exception):
    """The process ended, as far as the code under test can tell."""


def act_before_writes(client: Any, *actions: Callable[[], object]) -> Any:
    """Return a client that runs one action before each of the first transactions."""
    pending = iter(actions)

    def write(call: Callable[..., Any], **parameters: Any) -> Any:
        next(pending, lambda: None)()
        return call(**parameters)

    return HookedClient(client, transact_write_items=write)


def die_at_write(client: Any, at: int, applied: bool) -> Any:
    """Return a client that raises ProcessKilledError from transaction number `at` on, that one perhaps `applied`."""
    numbers = itertools.count()

    def write(call: Callable[..., Any], **parameters: Any) -> Any:
        number = next(numbers)
        answer = call(**parameters) if number < at or (number == at and applied) else None
        if number >= at:
            raise ProcessKilledError
        return answer

    return HookedClient(client, transact_write_items=write)


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
