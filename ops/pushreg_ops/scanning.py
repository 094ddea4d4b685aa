"""A table read page by page, however big it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pushreg.table import Item, from_attributes
from pushreg_ops.aws import AdminClient

Progress = Callable[[int], None]


def ignore(count: int) -> None:
    """Report nothing."""


def scan(
    client: AdminClient,
    table: str,
    progress: Progress = ignore,
    *,
    prefix: str | None = None,
    filter_expression: str | None = None,
    **values: str,
) -> Iterator[list[Item]]:
    """Yield the table's items page by page, each read strongly consistent at a moment of its own.

    Only records that begin with `prefix`, or that the filter lets pass; `progress` is told how many were looked at.
    """
    parameters: dict[str, Any] = {"TableName": table, "ConsistentRead": True}
    if prefix is not None:
        filter_expression, values = "begins_with(#record, :prefix)", {"prefix": prefix}
        parameters["ExpressionAttributeNames"] = {"#record": "record"}
    if filter_expression is not None:
        parameters["FilterExpression"] = filter_expression
        parameters["ExpressionAttributeValues"] = {f":{name}": {"S": value} for name, value in values.items()}
    while True:
        page = client.scan(**parameters)
        progress(page["ScannedCount"])
        yield [from_attributes(attributes) for attributes in page["Items"]]
        if "LastEvaluatedKey" not in page:
            return
        parameters["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def estimate(client: AdminClient, table: str) -> int:
    """Return about how many items the table has; DynamoDB counts them every six hours."""
    count: int = client.describe_table(TableName=table)["Table"].get("ItemCount", 0)
    return count
