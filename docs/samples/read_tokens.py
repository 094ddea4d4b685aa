"""What a sender asks a registry for, with boto3 alone: to be copied."""

import argparse
import json
import re
import time
from collections.abc import Callable
from typing import Any

import boto3
from boto3.dynamodb.conditions import Attr, Key

# The id of a Firebase installation, a colon, and the rest of a registration token.
FCM_TOKEN = re.compile(r"\A([A-Za-z0-9_-]+):APA91b[A-Za-z0-9_-]+\Z")


def read_place(tables: dict[str, Any], place_id: str) -> list[str]:
    """Return the push tokens of a place, of each Firebase installation the one refreshed last."""
    # DynamoDB removes expired rows within days: a sender, like the API, passes over them at once.
    alive = Attr("expires_at").not_exists() | Attr("expires_at").gt(int(time.time()))
    query = {"KeyConditionExpression": Key("place_id").eq(place_id.lower()), "FilterExpression": alive}
    refreshed: dict[str, str] = {}
    while True:
        page = tables["PlacesTable"].query(**query, ProjectionExpression="device_token, updated_at")
        refreshed |= {row["device_token"]: row["updated_at"] for row in page["Items"]}
        if "LastEvaluatedKey" not in page:
            return drop_superseded(refreshed)
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def drop_superseded(refreshed: dict[str, str]) -> list[str]:
    """Return the tokens, given with their last refresh, without older ones of the same Firebase installation."""
    # Apps that register installation ids send the id alone.
    names = {token: FCM_TOKEN.sub(r"\1", token) for token in refreshed}
    installations = {name for token, name in names.items() if name != token}
    newest: dict[str, str] = {}
    for token, name in names.items():
        newest[name] = max(newest.get(name, ""), refreshed[token])
    return [token for token, name in names.items() if name not in installations or refreshed[token] == newest[name]]


def read_device(tables: dict[str, Any], account_id: str, device_id: str) -> dict[str, Any] | None:
    """Return a Kazoo device's subscription as its app sent it, registrations and preferences with it."""
    key = {"account_id": account_id, "record": f"device#{device_id}"}
    item = tables["DevicesTable"].get_item(Key=key).get("Item")
    return None if item is None or has_expired(item) else json.loads(item["document"])


def read_subscriber(tables: dict[str, Any], ksid: str) -> dict[str, str] | None:
    """Return the platform of an engagement subscriber that may be sent to, and the sid, which is its push token."""
    item = tables["SubscribersTable"].get_item(Key={"record": f"ksid#{ksid}"}).get("Item")
    # `cloud` is False once the sid was reported dead.
    if item is None or has_expired(item) or not item["active"] or not item.get("cloud", True):
        return None
    return {"osType": item["osType"], "sid": item["sid"]}


def has_expired(item: dict[str, Any]) -> bool:
    """Whether the item's expiry has passed; without one it never expires."""
    return bool(item.get("expires_at", time.time() + 1) <= time.time())


def find_tables(stack: str | None) -> dict[str, Any]:
    """Return the tables by their names in the template; without a stack, the local one's, which bear them."""
    names = {name: name for name in ("DevicesTable", "SubscribersTable", "PlacesTable")}
    if stack:
        described = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        names = {each["OutputKey"]: each["OutputValue"] for each in described["Outputs"]}
    database = boto3.resource("dynamodb")
    return {key: database.Table(name) for key, name in names.items() if key.endswith("Table")}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What a sender asks a registry for.")
    parser.add_argument("what", choices=("place", "device", "subscriber"))
    parser.add_argument("ids", nargs="+", help="PLACE_ID, ACCOUNT_ID DEVICE_ID, or KSID")
    parser.add_argument("--stack", help="a deployed stack; the local one, by AWS_ENDPOINT_URL_DYNAMODB, if left out")
    options = parser.parse_args()
    lookups: dict[str, Callable[..., Any]] = {"place": read_place, "device": read_device, "subscriber": read_subscriber}
    print(json.dumps(lookups[options.what](find_tables(options.stack), *options.ids)))
