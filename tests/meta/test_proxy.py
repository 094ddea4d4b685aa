"""The proxy's faults have the stated error and effect."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from pushreg.schema import PLACES, TABLE_KEYS
from tests.linearizability.faults import Fault
from tests.linearizability.proxy import Proxy
from tests.linearizability.stack import connect_to
from tests.support.stored import Stored

PATIENCE = 0.3
ITEM = {"place_id": {"S": "place"}, "token_digest": {"S": "digest"}}

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def _empty(stored: Stored) -> None:
    stored.clear(PLACES)


def write(client: Any) -> Any:
    """Write in a transaction and return the error's code, or its type, or nothing."""
    try:
        client.transact_write_items(TransactItems=[{"Put": {"TableName": PLACES, "Item": ITEM}}])
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    except BotoCoreError as error:
        return type(error)
    return None


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        (Fault.THROTTLED, ("ProvisionedThroughputExceededException", 400), False),
        (Fault.LIMITED, ("ThrottlingException", 400), False),
        (Fault.FAILED, ("InternalServerError", 500), False),
        (Fault.FAILED_LATE, ("InternalServerError", 500), True),
        (Fault.CUT, ConnectionClosedError, False),
        (Fault.CUT_LATE, ConnectionClosedError, True),
        (Fault.SILENT, ReadTimeoutError, False),
        (Fault.SILENT_LATE, ReadTimeoutError, True),
        (Fault.CONFLICT, ("TransactionCanceledException", 400), False),
        (Fault.SLOW, None, True),
    ],
)
def test_proxy_fault_has_stated_error_and_effect(
    fault: Fault, error: object, done: bool, endpoint: str, stored: Stored
) -> None:
    proxy = Proxy(endpoint, 1.0, fault, PATIENCE, only=fault)
    with proxy.run() as address, connect_to(address, PATIENCE) as client:
        assert write(client) == error
    assert (len(stored.items(PLACES)) == 1) is done
    assert proxy.faults == {fault: 1}


def test_proxy_outage_refuses_connections(endpoint: str, stored: Stored) -> None:
    proxy = Proxy(endpoint, 1.0, "outage", PATIENCE, only=Fault.REFUSED)
    with proxy.run() as address, connect_to(address, PATIENCE) as client:
        assert write(client) is ConnectionClosedError
        assert write(client) is EndpointConnectionError
    assert stored.items(PLACES) == []


def test_proxy_unprocessed_keys_are_returned(endpoint: str, stored: Stored) -> None:
    stored.client.put_item(TableName=PLACES, Item=ITEM)
    wanted = {PLACES: {"Keys": [ITEM]}}
    proxy = Proxy(endpoint, 1.0, "keys", PATIENCE, only=Fault.UNPROCESSED)
    with proxy.run() as address, connect_to(address, PATIENCE) as client:
        answer = client.batch_get_item(RequestItems=wanted)
    assert (answer["Responses"], answer["UnprocessedKeys"]) == ({}, wanted)


def test_proxy_without_faults_is_transparent(endpoint: str, stored: Stored) -> None:
    with Proxy(endpoint, 0.0, "none", PATIENCE).run() as address, connect_to(address, PATIENCE) as client:
        assert write(client) is None
    assert len(stored.items(PLACES)) == 1


def test_proxy_long_response_passes_whole(endpoint: str, stored: Stored) -> None:
    item = {**ITEM, "device_token": {"S": "x" * 300_000}}
    key = {name: ITEM[name] for name in TABLE_KEYS[PLACES]}
    with Proxy(endpoint, 0.0, "none", PATIENCE).run() as address, connect_to(address, PATIENCE) as client:
        client.put_item(TableName=PLACES, Item=item)
        answer = client.get_item(TableName=PLACES, Key=key)
    assert answer["Item"] == item
