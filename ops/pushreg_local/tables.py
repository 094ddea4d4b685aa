"""The template's tables on an endpoint: created where missing, never confused with others of the same name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pushreg.schema import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS
from pushreg_local.client import AdminClient
from pushreg_local.errors import OperatorError
from pushreg_local.template import Table

# Also the names of the stack's outputs.
TABLES = (DEVICES, SUBSCRIBERS, PLACES, DIRECTORY)


def create_missing(client: AdminClient, tables: Iterable[Table]) -> list[str]:
    """Create missing tables and return their names; OperatorError if an existing one has other keys."""
    existing = _list_names(client)
    created = []
    for table in tables:
        if table.name in existing:
            described = client.describe_table(TableName=table.name)["Table"]
            if _sort(described["KeySchema"]) != _sort(table.definition["KeySchema"]):
                raise OperatorError(
                    f"the endpoint has a table {table.name} with other keys: it belongs to something else,"
                    " so use another endpoint"
                )
            _create_missing_indexes(client, table, described.get("GlobalSecondaryIndexes", []))
            if "StreamSpecification" in table.definition and "StreamSpecification" not in described:
                client.update_table(TableName=table.name, StreamSpecification=table.definition["StreamSpecification"])
            continue
        client.create_table(TableName=table.name, **table.definition)
        if table.expiry_attribute is not None:
            client.update_time_to_live(
                TableName=table.name,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": table.expiry_attribute},
            )
        created.append(table.name)
    return created


def _create_missing_indexes(client: AdminClient, table: Table, existing: Iterable[dict[str, Any]]) -> None:
    """Add the indexes that a newer template has; DynamoDB creates one per call."""
    names = {index["IndexName"] for index in existing}
    for index in table.definition.get("GlobalSecondaryIndexes", []):
        if index["IndexName"] not in names:
            client.update_table(
                TableName=table.name,
                AttributeDefinitions=table.definition["AttributeDefinitions"],
                GlobalSecondaryIndexUpdates=[{"Create": index}],
            )


def _list_names(client: AdminClient) -> set[str]:
    names: set[str] = set()
    start: dict[str, str] = {}
    while True:
        page = client.list_tables(**start)
        names |= set(page["TableNames"])
        if "LastEvaluatedTableName" not in page:
            return names
        start = {"ExclusiveStartTableName": page["LastEvaluatedTableName"]}


def _sort(schema: Iterable[dict[str, str]]) -> list[tuple[str, str]]:
    return sorted((key["KeyType"], key["AttributeName"]) for key in schema)
