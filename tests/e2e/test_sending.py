"""docs/samples/read_tokens.py returns what lookup would: what apps have registered and may be sent to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pushreg.schema import digest
from pushreg_local.client import connect_endpoint
from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from pushreg_local.template import find_template
from tests.support.calls import APP, Engagement, Kazoo, Places, answered, kazoo_data
from tests.support.stack import PATIENCE, Stack, clean_environ

SCRIPT = find_template(Path(__file__)).parent / "docs" / "samples" / "read_tokens.py"


def read(stack: Stack, *arguments: str) -> Any:
    """Run the script as the document does."""
    keys = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    environ = {**clean_environ(), **keys, "AWS_ENDPOINT_URL_DYNAMODB": stack.endpoint, "AWS_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments], env=environ, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def change(stack: Stack, table: str, attribute: str, value: dict[str, Any], **key: str) -> None:
    connect_endpoint(stack.endpoint).update_item(
        TableName=table,
        Key={name: {"S": text} for name, text in key.items()},
        UpdateExpression=f"SET {attribute} = :value",
        ExpressionAttributeValues={":value": value},
    )


def expire(stack: Stack, table: str, **key: str) -> None:
    change(stack, table, "expires_at", {"N": "1"}, **key)


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
    expire(stack, "DevicesTable", account_id=ACCOUNT_ID, record="device#for-sending")
    assert read(stack, "device", ACCOUNT_ID, "for-sending") is None


def test_read_tokens_of_place_keeps_newest_of_each_firebase_installation(stack: Stack) -> None:
    sent = ["F1:APA91bOld", "F1:APA91bNew", "F2:APA91bOnly", "F2", "F1:other", "F3"]
    for token in sent:
        assert Places(stack.send).put(token).status == 200
    for number, token in enumerate(sent):
        refreshed = {"S": f"2026-01-01T00:00:0{number}Z"}
        change(stack, "PlacesTable", "updated_at", refreshed, place_id=PLACE_ID, token_digest=digest(token))
    assert set(read(stack, "place", PLACE_ID)) & set(sent) == {"F1:APA91bNew", "F2", "F1:other", "F3"}


def test_read_tokens_of_subscriber_returns_only_active_and_not_reported_dead(stack: Stack) -> None:
    engagement = Engagement(stack.send)
    ksid = answered(engagement.subscribe("for-sending", "sid-for-sending", osType="iphone"))[1]
    assert read(stack, "subscriber", ksid) == {"osType": "iphone", "sid": "sid-for-sending"}
    assert engagement.unsubscribe(ksid=ksid).status == 200
    assert read(stack, "subscriber", ksid) is None
    assert engagement.subscribe("for-sending", "sid-for-sending", osType="iphone").status == 200
    change(stack, "SubscribersTable", "cloud", {"BOOL": False}, record=f"ksid#{ksid}")
    assert read(stack, "subscriber", ksid) is None
    change(stack, "SubscribersTable", "cloud", {"BOOL": True}, record=f"ksid#{ksid}")
    assert read(stack, "subscriber", ksid) == {"osType": "iphone", "sid": "sid-for-sending"}
    expire(stack, "SubscribersTable", record=f"ksid#{ksid}")
    assert read(stack, "subscriber", ksid) is None
