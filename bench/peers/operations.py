"""What the peers share, so that only their frameworks differ: the schema, the one DynamoDB call, the answer.

They know their one caller, as Pushreg does once its cache is warm. boto3 is as it comes, as most services have it.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from datetime import UTC, datetime
from html import escape
from typing import Annotated, Any, Literal
from xml.etree import ElementTree

import boto3
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

KEYS = {hashlib.sha256(b"demo-places-key").hexdigest(), hashlib.sha256(b"demo-kazoo-token").hexdigest()}
LIFETIME = 270 * 86_400

client: Any = boto3.client("dynamodb")
Text = Annotated[str, StringConstraints(min_length=1)]


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


class Wishes(BaseModel):
    """How one registration token wants to be notified."""

    model_config = ConfigDict(extra="allow")

    notification_preferences: list[Literal["chat", "incoming_call", "new_unowned_voicemail", "new_voicemail"]]
    notification_type: Literal["apns", "fcm"]


class Device(BaseModel):
    """A Kazoo subscription; members beyond these are kept."""

    model_config = ConfigDict(extra="allow")

    mobile_device_id: Text
    notification_registration_ids: dict[Text, Wishes]
    platform: Literal["android", "ios"]
    sip_proxy_server: Text

    @model_validator(mode="after")
    def check_preferences(self) -> Device:
        """Let no preference come twice, and none for calls through anything but APNs on iOS."""
        wishes = self.notification_registration_ids.values()
        counts = Counter(name for each in wishes for name in each.notification_preferences)
        if any(count > 1 for count in counts.values()):
            raise ValueError("a preference comes twice")
        if self.platform == "ios" and any(
            "incoming_call" in each.notification_preferences and each.notification_type != "apns" for each in wishes
        ):
            raise ValueError("calls on iOS need apns")
        return self


class Posted(BaseModel):
    """The envelope around a device's subscription."""

    data: Device


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
    item = _get(account_id, device_id)
    if item is None or item["app_name"]["S"] != app_name:
        return None
    return _envelope(secret, json.loads(item["document"]["S"]), item)


def post(account_id: str, app_name: str, device_id: str, data: dict[str, Any], secret: str) -> dict[str, Any] | None:
    """Return the envelope of a replaced subscription, or None where one call more would be needed to know.

    Which of the two calls it takes, Pushreg knows by what it last saw of the device; here the document tells.
    """
    document = {**data, "app_name": app_name}
    if "build" in document:
        return _replace(account_id, device_id, document, secret)
    item = _get(account_id, device_id)
    if item is None or json.loads(item["document"]["S"]) != document:
        return None
    return _envelope(secret, document, item)


def _get(account_id: str, device_id: str) -> dict[str, Any] | None:
    key = {"account_id": {"S": account_id}, "record": {"S": f"device#{device_id}"}}
    found: dict[str, Any] | None = client.get_item(TableName="Devices", Key=key, ConsistentRead=True).get("Item")
    return found


def _envelope(secret: str, document: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    return {
        "data": document,
        "revision": f"{item['writes']['N']}-{item['digest']['S']}",
        "status": "success",
        "auth_token": secret,
        "node": "S1BLrPtcQnnG6rrFRuGh6A",
        "request_id": uuid.uuid4().hex,
        "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "version": "1.0.0",
    }


def _replace(account_id: str, device_id: str, document: dict[str, Any], secret: str) -> dict[str, Any]:
    """Replace a device's subscription by one transaction, which a lost answer cannot make happen twice."""
    moment = datetime.now(UTC)
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    written = {"writes": {"N": "8"}, "digest": {"S": hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}}
    update = {
        "TableName": "Devices",
        "Key": {"account_id": {"S": account_id}, "record": {"S": f"device#{device_id}"}},
        "UpdateExpression": (
            "SET app_name = :app, document = :document, digest = :digest, writes = :count, "
            "updated_at = :moment, refreshed_at = :moment REMOVE expires_at"
        ),
        "ConditionExpression": (
            "mobile_device_id = :mobile AND digest <> :none AND writes < :most "
            "AND (attribute_not_exists(expires_at) OR expires_at > :epoch)"
        ),
        "ExpressionAttributeValues": {
            ":app": {"S": document["app_name"]},
            ":document": {"S": text},
            ":digest": written["digest"],
            ":moment": {"S": f"{moment:%Y-%m-%dT%H:%M:%SZ}"},
            ":epoch": {"N": str(int(moment.timestamp()))},
            ":count": written["writes"],
            ":none": {"S": ""},
            ":most": {"N": "1000000000"},
            ":mobile": {"S": document["mobile_device_id"]},
        },
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    client.transact_write_items(TransactItems=[{"Update": update}], ClientRequestToken=uuid.uuid4().hex)
    return _envelope(secret, document, written)


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


def from_xml(text: str | bytes) -> dict[str, Any]:
    """Return the members of the subscribe request that an XML document holds."""
    form = ElementTree.fromstring(text).find("subscribe")
    return {} if form is None else {each.tag: each.text for each in form}


def to_xml(answer: dict[str, Any]) -> str:
    """Return an answer in the servers' XML, whose duplicate text has a word more."""
    members = to_xml_members(answer)
    inner = "".join(f"<{name}>{escape(value, quote=False)}</{name}>" for name, value in members.items())
    return f"<subscriptionResponse>{inner}</subscriptionResponse>"


def to_xml_members(answer: dict[str, Any]) -> dict[str, str]:
    """Return the members of an answer as XML has them."""
    members: dict[str, str] = {**answer["subscriptionResponse"]}
    return {**members, "message": members["message"].replace("has ID", "has the ID")}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
