"""Scans of whole tables, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pushreg.dynamodb import from_attributes, to_attributes
from pushreg.schema import Item
from pushreg_local.client import AdminClient

# Without a limit DynamoDB Local reads the whole table for one page: more than 10 s for 100,000 items.
PAGE_SIZE = 1000

ReportCount = Callable[[int], None]


def ignore(count: int) -> None:
    """Report nothing."""


def scan(
    client: AdminClient, table: str, progress: ReportCount = ignore, condition: str | None = None, **values: str | int
) -> Iterator[list[Item]]:
    """Yield the table's items page by page with strongly consistent reads; pages are not one snapshot.

    `condition` filters the items and refers to the values as `:name`; `progress` receives the number of items scanned.
    """
    parameters: dict[str, Any] = {"TableName": table, "ConsistentRead": True, "Limit": PAGE_SIZE}
    if condition is not None:
        parameters["FilterExpression"] = condition
        attributes = to_attributes(values)
        parameters["ExpressionAttributeValues"] = {f":{name}": value for name, value in attributes.items()}
        # `record` is a reserved word of DynamoDB.
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
    """Return the approximate number of items, which DynamoDB updates every six hours."""
    count: int = client.describe_table(TableName=table)["Table"].get("ItemCount", 0)
    return count


def measure(client: AdminClient, *tables: str) -> tuple[int, int]:
    """Return the approximate numbers of items and of bytes that a scan of the tables reads."""
    described = [client.describe_table(TableName=table)["Table"] for table in tables]
    return sum(each.get("ItemCount", 0) for each in described), sum(each.get("TableSizeBytes", 0) for each in described)
