"""A table read page by page, however big it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pushreg.dynamodb import from_attributes, to_attributes
from pushreg.schema import Item
from pushreg_local.client import AdminClient

# Without a limit DynamoDB Local goes through the whole table for a page: of 100,000 items that took more than 10 s.
PAGE_SIZE = 1000

ReportCount = Callable[[int], None]


def ignore(count: int) -> None:
    """Report nothing."""


def scan(
    client: AdminClient, table: str, progress: ReportCount = ignore, condition: str | None = None, **values: str | int
) -> Iterator[list[Item]]:
    """Yield the table's items page by page, each read strongly consistent at a moment of its own.

    Only those that the condition lets pass, in which values stand as `:name`; `progress` is told how many were looked
    at.
    """
    parameters: dict[str, Any] = {"TableName": table, "ConsistentRead": True, "Limit": PAGE_SIZE}
    if condition is not None:
        parameters["FilterExpression"] = condition
        attributes = to_attributes(values)
        parameters["ExpressionAttributeValues"] = {f":{name}": value for name, value in attributes.items()}
        # A word that DynamoDB keeps for itself.
        if "#record" in condition:
            parameters["ExpressionAttributeNames"] = {"#record": "record"}
    while True:
        page = client.scan(**parameters)
        progress(page["ScannedCount"])
        yield [from_attributes(item) for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            return
        parameters["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def estimate(client: AdminClient, table: str) -> int:
    """Return about how many items the table has; DynamoDB counts them every six hours."""
    count: int = client.describe_table(TableName=table)["Table"].get("ItemCount", 0)
    return count
