"""docs/samples/read_tokens.py returns what apps have registered, without expired rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pushreg_local.client import connect_endpoint
from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from pushreg_local.template import find_template
from tests.support.calls import APP, Engagement, Kazoo, Places, answered, kazoo_data
from tests.support.stack import PATIENCE, Stack, clean_environ

SCRIPT = find_template(Path(__file__)).parent / "docs" / "samples" / "read_tokens.py"
EXPIRED = {":expired": {"N": "1"}}


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


def test_read_tokens_of_place_skips_expired(stack: Stack) -> None:
    for token in ("for sending", "too old"):
        assert Places(stack.send).put(token).status == 200
    rows = connect_endpoint(stack.endpoint).scan(TableName="PlacesTable")["Items"]
    (old,) = (row for row in rows if row["device_token"] == {"S": "too old"})
    expire(stack, "PlacesTable", place_id=PLACE_ID, token_digest=old["token_digest"]["S"])
    tokens = read(stack, "place", PLACE_ID.upper())
    assert "for sending" in tokens
    assert "too old" not in tokens


def test_read_tokens_of_device_returns_sent_subscription(stack: Stack) -> None:
    assert Kazoo(stack.send).put("for-sending", "m-for-sending").status == 201
    sent = kazoo_data("m-for-sending", app_name=APP)
    assert read(stack, "device", ACCOUNT_ID, "for-sending") == sent
    assert read(stack, "device", ACCOUNT_ID, "nobody-s") is None


def test_read_tokens_of_subscriber_returns_only_active(stack: Stack) -> None:
    engagement = Engagement(stack.send)
    ksid = answered(engagement.subscribe("for-sending", "sid-for-sending", osType="iphone"))[1]
    assert read(stack, "subscriber", ksid) == {"osType": "iphone", "sid": "sid-for-sending"}
    assert engagement.unsubscribe(ksid=ksid).status == 200
    assert read(stack, "subscriber", ksid) is None
    assert engagement.subscribe("for-sending", "sid-for-sending", osType="iphone").status == 200
    expire(stack, "SubscribersTable", record=f"ksid#{ksid}")
    assert read(stack, "subscriber", ksid) is None
