"""What the peers share, so that only their frameworks differ: the schema, the one DynamoDB call, the answer.

They know their one caller, as Pushreg does once its cache is warm. boto3 is as it comes, as most services have it.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import Any, Literal

import boto3
from pydantic import BaseModel, Field

KEYS = {hashlib.sha256(b"demo-places-key").hexdigest(), hashlib.sha256(b"demo-kazoo-token").hexdigest()}
LIFETIME = 270 * 86_400

client: Any = boto3.client("dynamodb")


class Registration(BaseModel):
    """The body of a place's registration."""

    device_token: str = Field(pattern=r"\S", max_length=4096)


class Subscribe(BaseModel):
    """An engagement subscription."""

    appId: str = Field(min_length=1, max_length=255)
    deviceId: str = Field(min_length=1, max_length=255)
    sid: str = Field(min_length=1, max_length=4096)
    osType: Literal["iphone", "ipad", "androidgcm", "android", "blackberry", "windows", "windows8", "webfcm"]
    ufid: str | None = None
    authToken: str | None = None


class Service(BaseModel):
    """The element around it."""

    subscribe: Subscribe


class Envelope(BaseModel):
    """The document around that."""

    subscriptionService: Service


def admits(secret: str) -> bool:
    """Whether the caller is the one known."""
    return hashlib.sha256(secret.encode()).hexdigest() in KEYS


def refresh(place_id: str, token: str) -> dict[str, Any]:
    """Refresh a place's registration by one conditional update."""
    place_id = str(uuid.UUID(place_id))
    moment = datetime.now(UTC)
    client.update_item(
        TableName="Places",
        Key={"place_id": {"S": place_id}, "token_digest": {"S": _digest(token)}},
        UpdateExpression="SET updated_at = :moment, expires_at = :expires_at",
        ConditionExpression=(
            "attribute_exists(place_id) AND (attribute_not_exists(expires_at) OR expires_at > :epoch)"
        ),
        ExpressionAttributeValues={
            ":moment": {"S": f"{moment:%Y-%m-%dT%H:%M:%SZ}"},
            ":epoch": {"N": str(int(moment.timestamp()))},
            ":expires_at": {"N": str(int(moment.timestamp()) + LIFETIME)},
        },
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    data = {"place_id": place_id, "device_token": token}
    text = "Device subscription created/updated successfully"
    message = {"message": text, "error": None, "data": data, "extra": None}
    return {"status": 200, "responseType": "success", "message": message}


def fetch(account_id: str, app_name: str, device_id: str, secret: str) -> dict[str, Any] | None:
    """Return the envelope of a device's subscription, read by one consistent call, or None."""
    key = {"account_id": {"S": account_id}, "record": {"S": f"device#{device_id}"}}
    item = client.get_item(TableName="Devices", Key=key, ConsistentRead=True).get("Item")
    if item is None or item["app_name"]["S"] != app_name:
        return None
    return {
        "data": json.loads(item["document"]["S"]),
        "revision": f"{item['writes']['N']}-{item['digest']['S']}",
        "status": "success",
        "auth_token": secret,
        "node": "S1BLrPtcQnnG6rrFRuGh6A",
        "request_id": uuid.uuid4().hex,
        "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "version": "1.0.0",
    }


def compare(account_id: str, device_id: str, document: dict[str, Any]) -> dict[str, Any] | None:
    """Return the answer to a POST that changes nothing, known by one consistent read, or None if it does change."""
    key = {"account_id": {"S": account_id}, "record": {"S": f"device#{device_id}"}}
    item = client.get_item(TableName="Devices", Key=key, ConsistentRead=True)["Item"]
    if json.loads(item["document"]["S"]) != document:
        return None
    return {"data": document, "revision": f"{item['writes']['N']}-{item['digest']['S']}", "status": "success"}


def replace(account_id: str, device_id: str, document: dict[str, Any]) -> dict[str, Any]:
    """Replace a device's subscription by one transaction, which a lost answer cannot make happen twice."""
    text = json.dumps(document, sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    update = {
        "TableName": "Devices",
        "Key": {"account_id": {"S": account_id}, "record": {"S": f"device#{device_id}"}},
        "UpdateExpression": (
            "SET app_name = :app, document = :document, digest = :digest, updated_at = :moment, writes = :count"
        ),
        "ConditionExpression": "mobile_device_id = :mobile AND writes < :most",
        "ExpressionAttributeValues": {
            ":app": {"S": document["app_name"]},
            ":document": {"S": text},
            ":digest": {"S": digest},
            ":moment": {"S": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"},
            ":count": {"N": "8"},
            ":most": {"N": "1000000000"},
            ":mobile": {"S": document["mobile_device_id"]},
        },
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    client.transact_write_items(TransactItems=[{"Update": update}], ClientRequestToken=uuid.uuid4().hex)
    return {"data": document, "revision": f"8-{digest}", "status": "success"}


def find_duplicate(form: Subscribe) -> dict[str, Any] | None:
    """Return the answer to a duplicate subscription, known by one read of both claims, or None if it is none."""
    device, sid = _digest(form.deviceId), _digest(form.sid)
    keys = [{"record": {"S": f"device#{form.appId}#{device}"}}, {"record": {"S": f"sid#{form.appId}#{sid}"}}]
    answer = client.batch_get_item(RequestItems={"Subscribers": {"Keys": keys, "ConsistentRead": True}})
    for item in answer["Responses"]["Subscribers"]:
        if item["record"]["S"].startswith("device#") and item["active"]["BOOL"] and item["partner"]["S"] == sid:
            message = "Duplicate subscription. SID element has ID of existing subscription."
            response = {"statusCode": "201", "ksid": item["ksid"]["S"], "message": message}
            return {"subscriptionResponse": response}
    return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
