"""What changed about a registration, from one record of a table's stream (docs/sending.md#change-feed).

No token and no user leaves this module, only their digests.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from pushreg.clock import to_iso
from pushreg.codecs import json
from pushreg.dynamodb import from_attributes
from pushreg.schema import (
    DEVICE_PREFIX,
    DEVICES,
    KSID_PREFIX,
    OPERATOR_WRITE,
    PLACES,
    SUBSCRIBERS,
    TAKEN,
    Item,
    digest,
    is_alive,
)

VERSION = 1
# Who deletes expired items, in the record's `userIdentity` (DynamoDB Developer Guide, "DynamoDB Streams and Time to
# Live").
EXPIRER = "dynamodb.amazonaws.com"

Kind = Literal["created", "changed", "moved", "removed"]
# None: the record does not show it.
Reason = Literal["app", "feedback", "takeover", "expired", "operator"] | None


class Change(NamedTuple):
    """One change; `detail` is that of the event `registration.<kind>`."""

    kind: Kind
    detail: dict[str, Any]


def read_change(table: str, record: Mapping[str, Any]) -> Change | None:
    """Return the change in a stream record of the table, given by its logical id; None for a mere refresh."""
    stream = record["dynamodb"]
    moment = stream["ApproximateCreationDateTime"]
    at = moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)
    old, new = (from_attributes(stream[name]) if stream.get(name) else None for name in ("OldImage", "NewImage"))
    # What has expired counts as absent before DynamoDB deletes it.
    was_alive, is_new_alive = (is_alive((each or {}).get("expires_at"), int(at.timestamp())) for each in (old, new))
    if not is_new_alive:
        return None
    found = _READERS[table](old if was_alive or new is None else None, new)
    item = new or old
    if found is None or item is None:
        return None
    kind, reason = found
    identity = record.get("userIdentity") or {}
    if kind == "removed" and identity.get("principalId", identity.get("PrincipalId")) == EXPIRER:
        reason = "expired"
    elif reason in ("app", "feedback") and _is_operators(old, new):
        reason = "operator"
    detail = {
        "version": VERSION,
        **_describe(table, item),
        "reason": reason,
        "at": to_iso(at),
        "sequence": stream["SequenceNumber"],
    }
    if kind == "moved" and old is not None and "device_id" in old:
        detail["previous_device_id"] = old["device_id"]
    return Change(kind, detail)


def _is_operators(old: Item | None, new: Item | None) -> bool:
    mark = (new or {}).get(OPERATOR_WRITE)
    return mark is not None and mark != (old or {}).get(OPERATOR_WRITE)


def _read_place(old: Item | None, new: Item | None) -> tuple[Kind, Reason] | None:
    if new is None:
        return "removed", None
    # A PUT over an expired row that is still there registers anew.
    return ("created", "app") if old is None or old["created_at"] != new["created_at"] else None


def _read_subscriber(old: Item | None, new: Item | None) -> tuple[Kind, Reason] | None:
    item: Item = new or old or {}
    if not item["record"].startswith(KSID_PREFIX):
        return None
    was_living, is_living = _is_living(old), _is_living(new)
    if not is_living:
        return ("removed", _find_end(new)) if was_living else None
    if old is None or new is None or not was_living:
        return "created", "app"
    differing = {name for name in ("sid", "deviceId", "osType", "ufid", "deviceName") if old.get(name) != new.get(name)}
    if not differing:
        return None
    return ("moved" if differing == {"deviceId"} else "changed"), "app"


def _find_end(new: Item | None) -> Reason:
    """Return why a living subscriber is none any more."""
    if new is None:
        # The API deletes inactive subscribers alone, and a verdict deletes none.
        return "operator"
    if TAKEN in (new["sid"], new["deviceId"]):
        return "takeover"
    return "feedback" if new["active"] else "app"


def _read_device(old: Item | None, new: Item | None) -> tuple[Kind, Reason] | None:
    item: Item = new or old or {}
    if not item["record"].startswith(DEVICE_PREFIX):
        # A claim that names another device from now on is a takeover.
        is_takeover = old is not None and new is not None and old["device_id"] != new["device_id"]
        return ("moved", "takeover") if is_takeover else None
    if old is None:
        return "created", "app"
    if new is None:
        return "removed", None
    if (old["document"], old["app_name"]) == (new["document"], new["app_name"]):
        return None
    # Feedback leaves the time of the registration.
    is_verdict = old["updated_at"] == new["updated_at"] and _list_tokens(new) < _list_tokens(old)
    return "changed", "feedback" if is_verdict else "app"


_READERS = {PLACES: _read_place, SUBSCRIBERS: _read_subscriber, DEVICES: _read_device}


def _describe(table: str, item: Item) -> dict[str, Any]:
    if table == PLACES:
        return _detail("places", {"place_id": item["place_id"]}, [item["token_digest"]])
    if table == SUBSCRIBERS:
        ufid = item.get("ufid")
        digests = [digest(item["sid"])] if item["sid"] else []
        return _detail("engagement", {"ksid": item["ksid"]}, digests, item["appId"], ufid and digest(ufid))
    key = {"account_id": item["account_id"], "device_id": item["device_id"]}
    return _detail("kazoo", key, sorted(_list_tokens(item)), item.get("app_name"))


def _detail(
    family: str, key: dict[str, str], digests: list[str], application: str | None = None, ufid: str | None = None
) -> dict[str, Any]:
    return {
        "family": family,
        "key": key,
        "token_digests": digests,
        "application": application,
        "ufid_digest": ufid,
    }


def _is_living(item: Item | None) -> bool:
    return item is not None and bool(item["active"]) and bool(item.get("cloud", True))


def _list_tokens(item: Item) -> frozenset[str]:
    if "document" not in item:
        return frozenset()
    return frozenset(map(digest, json.decode(item["document"].encode())["notification_registration_ids"]))
