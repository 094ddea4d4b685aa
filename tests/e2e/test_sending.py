"""What docs/samples/read_tokens.py finds is what apps have registered, and nothing that is gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pushreg_local.client import connect_endpoint
from pushreg_local.demo import ACCOUNT_ID, ACCOUNT_TOKEN, PLACE_ID, PLACES_KEY
from pushreg_local.template import find_template
from tests.support.calls import APP, subscription
from tests.support.stack import PATIENCE, Stack, clean_environ

SCRIPT = find_template(Path(__file__)).parent / "docs" / "samples" / "read_tokens.py"
EXPIRED = {":expired": {"N": "1"}}


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=PATIENCE) as client:
        yield client


def read(stack: Stack, *arguments: str) -> Any:
    """Run the script as the document does."""
    keys = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    environ = {**clean_environ(), **keys, "AWS_ENDPOINT_URL_DYNAMODB": stack.endpoint, "AWS_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments], env=environ, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def expire(stack: Stack, table: str, **key: str) -> None:
    connect_endpoint(stack.endpoint).update_item(
        TableName=table,
        Key={name: {"S": value} for name, value in key.items()},
        UpdateExpression="SET expires_at = :expired",
        ExpressionAttributeValues=EXPIRED,
    )


def test_read_tokens_of_place_skips_expired(stack: Stack, api: httpx.Client) -> None:
    headers = {"authorization": f"Bearer {PLACES_KEY}"}
    for token in ("for sending", "too old"):
        path = f"/dts/places/{PLACE_ID}/subscriptions"
        assert api.put(path, headers=headers, json={"device_token": token}).status_code == 200
    rows = connect_endpoint(stack.endpoint).scan(TableName="PlacesTable")["Items"]
    (old,) = (row for row in rows if row["device_token"] == {"S": "too old"})
    expire(stack, "PlacesTable", place_id=PLACE_ID, token_digest=old["token_digest"]["S"])
    tokens = read(stack, "place", PLACE_ID.upper())
    assert "for sending" in tokens
    assert "too old" not in tokens


def test_read_tokens_of_device_returns_sent_subscription(stack: Stack, api: httpx.Client) -> None:
    path = f"/v2/accounts/{ACCOUNT_ID}/push_notification_subscriptions/{APP}/for-sending"
    sent = subscription("m-for-sending")
    assert api.put(path, headers={"x-auth-token": ACCOUNT_TOKEN}, json={"data": sent}).status_code == 201
    assert read(stack, "device", ACCOUNT_ID, "for-sending") == {**sent, "app_name": APP}
    assert read(stack, "device", ACCOUNT_ID, "nobody-s") is None


def test_read_tokens_of_subscriber_returns_only_active(stack: Stack, api: httpx.Client) -> None:
    form = {"appId": "demo-app", "deviceId": "for-sending", "sid": "sid-for-sending", "osType": "iphone"}

    def post(kind: str, **members: str) -> str:
        answer = api.post("/vpns/subscription", json={"subscriptionService": {kind: members}})
        assert answer.status_code == 200
        ksid: str = answer.json()["subscriptionResponse"]["ksid"]
        return ksid

    ksid = post("subscribe", **form)
    assert read(stack, "subscriber", ksid) == {"osType": "iphone", "sid": "sid-for-sending"}
    post("unsubscribe", ksid=ksid)
    assert read(stack, "subscriber", ksid) is None
    post("subscribe", **form)
    expire(stack, "SubscribersTable", record=f"ksid#{ksid}")
    assert read(stack, "subscriber", ksid) is None
