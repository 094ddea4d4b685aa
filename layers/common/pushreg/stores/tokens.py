"""Tokens that senders may use, read from the three tables.

Left out are expired registrations, subscribers that are inactive or whose sid is dead, and of the rows of one place
those of the same Firebase installation but the newest (docs/sending.md#tokens-of-one-installation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pushreg.codecs import json
from pushreg.dynamodb import Session
from pushreg.models.senders import PLACES_PROVIDER, PROVIDERS, installation_of
from pushreg.schema import (
    DEVICES,
    PLACES,
    SUBSCRIBERS,
    TAKEN,
    USER_INDEX,
    USER_INDEX_PARTITION,
    USER_INDEX_SORT,
    Item,
    Key,
    device_claim_key,
    device_key,
    digest,
    is_alive,
    ksid_key,
    parse_record,
    place_key_of_digest,
    user_index_key,
    user_index_prefix,
)

# A token as senders get it: the members by which it is reported, its provider, and what a message to it needs.
Token = dict[str, Any]


class Part(NamedTuple):
    """Tokens of one address, each with its position; `following` is the position to go on behind, None at the end."""

    tokens: Sequence[tuple[str, Token]]
    following: str | None = None


class Tokens:
    """The tokens in the tables, given by their logical ids.

    `reaches` tells the applications whose subscribers the caller may see.
    """

    def __init__(self, session: Session, tables: Mapping[str, str], epoch: int, reaches: Callable[[str], bool]) -> None:
        self._session = session
        self._tables = tables
        self._epoch = epoch
        self._reaches = reaches

    def of_place(self, place_id: str, after: str | None) -> Part:
        """Return the tokens of one page, at most 1 MB of rows, behind the token digest `after`."""
        start = None if after is None else place_key_of_digest(place_id, after)
        page = self._session.query(
            self._tables[PLACES], "place_id = :place", start, ConsistentRead=True, place=place_id
        )
        tokens = [(item["token_digest"], _place_token(item)) for item in self._list_current(page.items)]
        return Part(tokens, None if page.last is None else page.last["token_digest"])

    def of_user(self, app_id: str, ufid: str, after: str | None) -> Part:
        """Return the subscribers of one page of the user index, eventually consistent, behind the KSID `after`."""
        start = None if after is None else user_index_key(app_id, ufid, after)
        condition = f"{USER_INDEX_PARTITION} = :app AND begins_with({USER_INDEX_SORT}, :user)"
        page = self._session.query(
            self._tables[SUBSCRIBERS], condition, start, IndexName=USER_INDEX, app=app_id, user=user_index_prefix(ufid)
        )
        tokens = [(item["ksid"], _subscriber_token(item)) for item in page.items if self._is_reachable(item)]
        return Part(tokens, None if page.last is None else parse_record(page.last["record"])[1])

    def of_subscribers(self, ksids: Sequence[str]) -> list[Part]:
        """Return the subscribers in the order of their KSIDs."""
        items = self._get_many(SUBSCRIBERS, [ksid_key(ksid) for ksid in ksids])
        return [self._to_part(item) for item in items]

    def of_application_devices(self, devices: Sequence[tuple[str, str]]) -> list[Part]:
        """Return the subscribers of an application's devices, given as pairs of both, in their order."""
        claims = self._get_many(SUBSCRIBERS, [device_claim_key(app_id, digest(device)) for app_id, device in devices])
        ksids = [claim["ksid"] for claim in claims if claim is not None]
        items = {
            (item["appId"], item["deviceId"]): item
            for item in self._get_many(SUBSCRIBERS, [ksid_key(ksid) for ksid in ksids])
            if item is not None
        }
        return [self._to_part(items.get(device)) for device in devices]

    def of_devices(self, devices: Sequence[tuple[str, str, str | None]]) -> list[Part]:
        """Return the registrations of Kazoo devices, given as account, device and the digest to begin behind."""
        items = self._get_many(DEVICES, [device_key(account_id, device_id) for account_id, device_id, _ in devices])
        return [
            Part([] if item is None else list(self._list_registrations(item, after or "")))
            for item, (_, _, after) in zip(items, devices, strict=True)
        ]

    def _get_many(self, table: str, keys: Sequence[Key]) -> list[Item | None]:
        distinct = list({tuple(key.items()): key for key in keys}.values())
        items = self._session.get_many(self._tables[table], distinct)
        found = {tuple(key.items()): item for key, item in zip(distinct, items, strict=True)}
        return [found[tuple(key.items())] for key in keys]

    def _list_current(self, rows: Sequence[Item]) -> Iterator[Item]:
        """Yield the living rows; of those of one Firebase installation only the newest, several if of one second."""
        living = [row for row in rows if is_alive(row.get("expires_at"), self._epoch)]
        installations = [installation_of(row["device_token"]) for row in living]
        known = frozenset(installations)
        newest: dict[str, str] = {}
        for row, installation in zip(living, installations, strict=True):
            # Apps that register installation ids send the id alone.
            name = installation or row["device_token"]
            if name in known:
                newest[name] = max(newest.get(name, ""), row["updated_at"])
        for row, installation in zip(living, installations, strict=True):
            name = installation or row["device_token"]
            if name not in known or newest[name] == row["updated_at"]:
                yield row

    def _to_part(self, subscriber: Item | None) -> Part:
        if subscriber is None or not self._is_reachable(subscriber):
            return Part([])
        return Part([("", _subscriber_token(subscriber))])

    def _is_reachable(self, subscriber: Item) -> bool:
        is_living = subscriber["active"] and subscriber.get("cloud", True) and subscriber["sid"] != TAKEN
        is_current = is_living and is_alive(subscriber.get("expires_at"), self._epoch)
        return bool(is_current) and self._reaches(subscriber["appId"])

    def _list_registrations(self, item: Item, after: str) -> Iterator[tuple[str, Token]]:
        if not is_alive(item.get("expires_at"), self._epoch):
            return
        document = json.decode(item["document"].encode())
        registrations = sorted(
            (digest(name), name, each) for name, each in document["notification_registration_ids"].items()
        )
        for position, registration_id, registration in registrations:
            if position > after:
                yield position, _registration_token(item, document, registration_id, registration)


def _place_token(item: Item) -> Token:
    return {
        "place_id": item["place_id"],
        "device_token": item["device_token"],
        "provider": PLACES_PROVIDER,
        "created_at": item["created_at"],
        "updated_at": item["updated_at"],
    }


def _subscriber_token(item: Item) -> Token:
    return {
        "ksid": item["ksid"],
        "sid": item["sid"],
        "provider": PROVIDERS[item["osType"]],
        "platform": item["osType"],
        "application": item["appId"],
        "device_id": item["deviceId"],
        "ufid": item.get("ufid"),
        "created_at": item["created_at"],
        "updated_at": item["updated_at"],
    }


def _registration_token(item: Item, document: Mapping[str, Any], registration_id: str, registration: Any) -> Token:
    return {
        "account_id": item["account_id"],
        "device_id": item["device_id"],
        "registration_id": registration_id,
        "provider": registration["notification_type"],
        "platform": document["platform"],
        "preferences": registration["notification_preferences"],
        "app_name": item["app_name"],
        "sip_proxy_server": document["sip_proxy_server"],
        "created_at": item["created_at"],
        "updated_at": item["updated_at"],
    }
