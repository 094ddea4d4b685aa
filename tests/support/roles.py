"""The functions' IAM roles of template.yaml, enforced in process: a call without permission fails the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pushreg_local.intrinsics import parse
from pushreg_local.template import find_template

Grant = tuple[str, str]

# A transaction needs what its members need (AWS docs, "IAM permissions for DynamoDB transactions").
_MEMBERS = {
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


@cache
def read_statements() -> dict[str, list[dict[str, Any]]]:
    """Return the statements of each function's role under the function's name."""
    resources = parse(find_template(Path(__file__)).read_text(encoding="utf-8"))["Resources"]
    return {
        name: [
            statement
            for policy in resources[each["Properties"]["Role"]["Fn::GetAtt"][0]]["Properties"]["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]
        for name, each in resources.items()
        if each["Type"] == "AWS::Serverless::Function"
    }


def read_grants(function: str) -> frozenset[Grant]:
    """Return the function's DynamoDB actions, each with the table or index that it is allowed on."""
    return frozenset(
        (action, _to_resource(statement["Resource"]))
        for statement in read_statements()[function]
        for action in statement["Action"]
        if action.startswith("dynamodb:")
    )


def _to_resource(resource: Mapping[str, Any]) -> str:
    """Return the table that the ARN names, with `/index/` and its name if it is one of its indexes."""
    if "Fn::Sub" in resource:
        table, _, index = resource["Fn::Sub"].removeprefix("${").partition(".Arn}")
        return f"{table}{index}"
    table = resource["Fn::GetAtt"][0]
    return str(table)


def to_grants(operation: str, parameters: Mapping[str, Any]) -> Iterator[Grant]:
    """Yield what a call of the client needs; an index is a resource of its own."""
    if operation in ("transact_write_items", "transact_get_items"):
        for member in parameters["TransactItems"]:
            for kind, arguments in member.items():
                yield f"dynamodb:{_MEMBERS[kind]}", arguments["TableName"]
        return
    action = "dynamodb:" + operation.title().replace("_", "")
    if operation.startswith("batch_"):
        yield from ((action, table) for table in parameters["RequestItems"])
    elif "IndexName" in parameters:
        yield action, f"{parameters['TableName']}/index/{parameters['IndexName']}"
    else:
        yield action, parameters["TableName"]


def _is_moto(client: Any) -> bool:
    return "amazonaws" in getattr(getattr(client, "meta", None), "endpoint_url", "")


class Restricted:
    """A client that may do what the function's role allows; `used` collects what it did."""

    def __init__(self, client: Any, function: str) -> None:
        self._client = client
        self._function = function
        self._grants = read_grants(function)
        # moto restores a copy of all tables when a transaction is refused, which undoes what other threads wrote
        # meanwhile: its calls come one by one.
        self._lock = threading.Lock() if _is_moto(client) else nullcontext()
        self.used: set[Grant] = set()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        call: Callable[..., Any] = getattr(self._client, operation)

        def restricted(**parameters: Any) -> Any:
            needed = set(to_grants(operation, parameters))
            if not needed <= self._grants:
                # Not an Exception: the handler would answer it, and the test might be content with the answer.
                pytest.fail(f"the role of {self._function} does not allow {sorted(needed - self._grants)}")
            self.used |= needed
            with self._lock:
                return call(**parameters)

        return restricted
