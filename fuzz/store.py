"""A database that is not there: it answers by the request alone, in the shapes that DynamoDB's client gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from pushreg.dynamodb import to_attributes
from pushreg.schema import KSID_PREFIX, OTHER_CLAIM_DIGEST, TABLE_KEYS, digest, parse_record
from pushreg.stores.directory import to_item
from pushreg_local.demo import list_entries

KSID, DEVICE_ID, APP, SID = "1000000000000000001", "device-1", "com.example.app", "sid-1"
TOKEN, REGISTRATION_ID = "token", "registration-1"
Attributes = dict[str, Any]
# Holds for every registration that a claim leads to.
_EXISTS = "attribute_exists(ksid)"

_DIRECTORY = {item["record"]: to_attributes(item) for item in map(to_item, list_entries())}


class Store:
    """Holds one registration if `filled`; refuses the first `refusals` writes by what it holds."""

    def __init__(self, filled: bool, refusals: int) -> None:
        self._filled = filled
        self._refusals = refusals
        # How many writes were accepted.
        self.written = 0

    def get_item(self, *, TableName: str, Key: Attributes, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Return the item under `Item`."""
        item = self._find(TableName, Key)
        return {} if item is None else {"Item": item}

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803
        """Return the items that there are."""
        found = {table: [self._find(table, key) for key in each["Keys"]] for table, each in RequestItems.items()}
        return {"Responses": {table: [item for item in items if item] for table, items in found.items()}}

    def transact_get_items(self, *, TransactItems: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Return the items in their order."""
        found = [self._find(each["Get"]["TableName"], each["Get"]["Key"]) for each in TransactItems]
        return {"Responses": [{"Item": item} if item else {} for item in found]}

    def update_item(self, *, TableName: str, Key: Attributes, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Accept or refuse the write."""
        if self._refuses():
            item = self._find(TableName, Key)
            raise _error("ConditionalCheckFailedException", **({"Item": item} if item else {}))
        self.written += 1
        return {}

    def transact_write_items(self, *, TransactItems: list[dict[str, Any]], **_: Any) -> dict[str, Any]:  # noqa: N803
        """Accept the writes, or refuse the first of them whose condition can fail on what this store holds."""
        bodies = [body for each in TransactItems for body in each.values()]
        conditions = [body.get("ConditionExpression", _EXISTS) for body in bodies]
        position = next((index for index, each in enumerate(conditions) if not each.startswith(_EXISTS)), None)
        if position is not None and self._refuses():
            body = bodies[position]
            item = self._find(body["TableName"], body.get("Key") or body["Item"])
            if item is not None and OTHER_CLAIM_DIGEST in item:
                # What another caller made of the claim meanwhile, or the condition would have held.
                item |= {"osType": {"S": "ipad" if self._refusals % 2 else "ipod"}}
            reasons: list[dict[str, Any]] = [{"Code": "None"} for _ in bodies]
            reasons[position] = {"Code": "ConditionalCheckFailed", **({"Item": item} if item else {})}
            raise _error("TransactionCanceledException", CancellationReasons=reasons)
        self.written += 1
        return {}

    def query(self, *, TableName: str, Select: str | None = None, **options: Any) -> dict[str, Any]:  # noqa: N803
        """Return the registration, or how many there are."""
        place_id = options["ExpressionAttributeValues"].get(":place")
        key = {"record": {"S": f"{KSID_PREFIX}{KSID}"}}
        if place_id is not None:
            key = {"place_id": place_id, "token_digest": {"S": digest(TOKEN)}}
        item = self._find(TableName, key)
        items = [] if item is None else [item]
        return {"Count": len(items), **({} if Select == "COUNT" else {"Items": items})}

    def _refuses(self) -> bool:
        self._refusals -= 1
        return self._refusals >= 0

    def _find(self, table: str, key: Attributes) -> Attributes | None:
        record = key.get("record", {}).get("S", "")
        if table == "DirectoryTable":
            return _DIRECTORY.get(record)
        return _stored(key, record) if self._filled else None


def _error(code: str, **members: Any) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": 400}, **members}
    return ClientError(response, "Write")


def _stored(key: Attributes, record: str) -> Attributes:
    kind, name = parse_record(record)
    moment = {"created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z"}
    item: dict[str, Any] = dict(moment)
    if "account_id" in key and kind == "device":
        document = (
            '{"mobile_device_id":"mobile-1","notification_registration_ids":'
            f'{{"{REGISTRATION_ID}":{{"notification_preferences":["chat"],"notification_type":"fcm"}}}},"platform":"ios",'
            f'"sip_proxy_server":"sip.example.com","app_name":"{APP}"}}'
        )
        item |= {"device_id": name, "app_name": APP, "mobile_device_id": "mobile-1", "document": document}
        item |= {"digest": "0" * 32, "writes": 1}
    elif "account_id" in key:
        item |= {"device_id": "device-2"}
    elif kind == "ksid":
        item |= {
            "ksid": name,
            "appId": "demo-app",
            "deviceId": DEVICE_ID,
            "sid": SID,
            "active": True,
            "osType": "iphone",
        }
    elif kind in ("device", "sid"):
        own: dict[str, Any] = {"osType": "iphone", "active": True} if kind == "device" else {}
        item |= {"ksid": KSID, OTHER_CLAIM_DIGEST: digest(SID if kind == "device" else DEVICE_ID), **own}
    else:
        item |= {"device_token": TOKEN}
    return {**to_attributes(item), **{name: value for name, value in key.items() if name in _KEYS}}


_KEYS = {name for names in TABLE_KEYS.values() for name in names}
