"""The memory engine frees what moto would keep of each request, and starts empty."""

from __future__ import annotations

import gc
import json
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core.model_instances import model_data
from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.test import Client

from pushreg_local.client import connect_endpoint
from pushreg_local.engines.memory import LeakFreeApp, MemoryEngine

TABLE = "Things"
ROUNDS = 200


def call(client: Client, operation: str, **parameters: Any) -> None:
    response = client.post(
        "/",
        data=json.dumps(parameters),
        headers={
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": f"DynamoDB_20120810.{operation}",
            "authorization": "AWS4-HMAC-SHA256 Credential=local/20240101/us-east-1/dynamodb/aws4_request",
        },
    )
    assert response.status_code in (200, 400), response.data


def send_traffic(client: Client) -> None:
    """Send 1,000 requests of all kinds on a few items, refused ones among them."""
    for number in range(ROUNDS):
        key = {"id": {"S": str(number % 20)}}
        item = {**key, "value": {"S": "x" * 100}}
        condition = {
            "ConditionExpression": "attribute_not_exists(id)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        call(client, "PutItem", TableName=TABLE, Item=item)
        call(client, "PutItem", TableName=TABLE, Item=item, **condition)
        call(client, "TransactWriteItems", TransactItems=[{"Put": {"TableName": TABLE, "Item": item}}])
        call(client, "TransactWriteItems", TransactItems=[{"Put": {"TableName": TABLE, "Item": item, **condition}}])
        call(client, "GetItem", TableName=TABLE, Key=key)


def count_tracked() -> int:
    models: list[Any] = [model for family in model_data.values() for model in family.values()]
    return sum(len(model.instances_tracked) for model in models)


def count_objects() -> int:
    gc.collect()
    return len(gc.get_objects())


@pytest.mark.slow
def test_memory_engine_traffic_leaks_no_objects() -> None:
    client = Client(LeakFreeApp(create_backend_app("dynamodb")))
    call(
        client,
        "CreateTable",
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    send_traffic(client)
    before = count_objects()
    send_traffic(client)
    assert count_tracked() == 0
    # moto alone would hold on to some 40,000 more.
    assert count_objects() - before < 100


def test_memory_engine_starts_empty() -> None:
    definition: dict[str, Any] = {
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    for _ in range(2):
        with mock_aws():
            # Left behind in the process, as by a test before this one.
            boto3.client("dynamodb", region_name="us-east-1").create_table(TableName="Left", **definition)
        engine = MemoryEngine(0)
        engine.start()
        try:
            client = connect_endpoint(engine.endpoint)
            assert client.list_tables()["TableNames"] == []
            client.create_table(TableName="Anything", **definition)
            assert client.list_tables()["TableNames"] == ["Anything"]
        finally:
            engine.stop()
