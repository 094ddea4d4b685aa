"""Tables under the names that the bench's processes use."""

from __future__ import annotations

from typing import Any

import boto3

from bench.scenarios import directory, stored
from pushreg.schema import USER_INDEX, USER_INDEX_PARTITION, USER_INDEX_SORT

KEYS = {
    "Devices": ("account_id", "record"),
    "Subscribers": ("record",),
    "Places": ("place_id", "token_digest"),
    "Directory": ("record",),
}


def create_tables(endpoint: str) -> Any:
    """Make the bench's own tables, with the directory filled, and return a client of them."""
    client: Any = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    for name, keys in KEYS.items():
        attributes, options = list(keys), dict[str, Any]()
        if name == "Subscribers":
            attributes += [USER_INDEX_PARTITION, USER_INDEX_SORT]
            schema = [
                {"AttributeName": USER_INDEX_PARTITION, "KeyType": "HASH"},
                {"AttributeName": USER_INDEX_SORT, "KeyType": "RANGE"},
            ]
            index = {"IndexName": USER_INDEX, "KeySchema": schema, "Projection": {"ProjectionType": "ALL"}}
            options["GlobalSecondaryIndexes"] = [index]
        client.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in attributes],
            BillingMode="PAY_PER_REQUEST",
            **options,
        )
    for name, items in {"Directory": directory(), **stored()}.items():
        for item in items:
            client.put_item(TableName=name, Item=item)
    return client
