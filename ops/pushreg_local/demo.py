"""The demo data of a local stack, always the same, and one request per family that works with it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress

from pushreg.clock import Clock, now, to_iso
from pushreg.dynamodb import Client, Session, put
from pushreg.errors import ConditionFailedError
from pushreg.models.directory import (
    EVERY_ACCOUNT,
    EVERY_APPLICATION,
    EVERY_PLACE,
    Account,
    Application,
    Credential,
    Entry,
    Place,
)
from pushreg.schema import digest
from pushreg.stores.directory import to_item

ACCOUNT_ID = "c0ffee00c0ffee00c0ffee00c0ffee00"
ACCOUNT_TOKEN = "demo-kazoo-token"  # noqa: S105 Public, and never in a deployed stack.
PLACE_ID = "1ee68c4e-7008-4227-a92d-e1b13ac64f30"
PLACES_KEY = "demo-places-key"
ENGAGEMENT_KEY = "demo-engagement-key"
SENDER_KEY = "demo-sender-key"
OPEN_APPLICATIONS = ("demo-app", "VoltMX Foundry MessagingDEV", "Quantum MobileFabric MessagingDEV")
SECURE_APPLICATION = "demo-secure-app"
AUTH_TOKEN = "demo-auth-token"  # noqa: S105 As above.


def list_entries(clock: Clock = now) -> list[Entry]:
    """Return the directory entries of the demo."""
    moment = to_iso(clock())
    return [
        Account(ACCOUNT_ID, moment),
        Credential(digest(ACCOUNT_TOKEN), "kazoo", "write", moment, account_id=ACCOUNT_ID),
        Place(PLACE_ID, moment),
        Credential(digest(PLACES_KEY), "places", "write", moment, places=frozenset({EVERY_PLACE})),
        *(Application(name, moment) for name in OPEN_APPLICATIONS),
        Credential(digest(ENGAGEMENT_KEY), "engagement", "admin", moment, applications=frozenset({EVERY_APPLICATION})),
        Application(SECURE_APPLICATION, moment, digest(AUTH_TOKEN)),
        Credential(
            digest(SENDER_KEY),
            "senders",
            "sender",
            moment,
            account_id=EVERY_ACCOUNT,
            places=frozenset({EVERY_PLACE}),
            applications=frozenset({EVERY_APPLICATION}),
        ),
    ]


def store_entries(client: Client, table: str, *others: Entry) -> None:
    """Store the demo's entries and the others in the Directory table; entries that exist are left as they are."""
    for entry in [*list_entries(), *others]:
        with suppress(ConditionFailedError):
            write = put(table, to_item(entry), "attribute_not_exists(created_at)")
            Session(client).transact([write], uuid.uuid4().hex)


def list_credentials() -> list[tuple[str, str]]:
    """Return (family, credentials) lines for the greeting."""
    return [
        ("kazoo", f"account {ACCOUNT_ID}, X-Auth-Token: {ACCOUNT_TOKEN}"),
        ("engagement", f"applications {', '.join(OPEN_APPLICATIONS)}: open"),
        ("engagement", f"application {SECURE_APPLICATION}: authToken {AUTH_TOKEN}"),
        ("engagement", f"management, Authorization: Bearer {ENGAGEMENT_KEY}"),
        ("places", f"place {PLACE_ID}, Authorization: Bearer {PLACES_KEY}"),
        ("kazoo, places", "signed tokens for an hour: `pushreg demo-token --family kazoo`, or places"),
        ("senders", f"Authorization: Bearer {SENDER_KEY}"),
    ]


def list_secrets() -> dict[str, str]:
    """Return the secrets by the name of their security scheme in the OpenAPI document."""
    return {
        "kazooToken": ACCOUNT_TOKEN,
        "placesKey": PLACES_KEY,
        "engagementKey": ENGAGEMENT_KEY,
        "senderKey": SENDER_KEY,
    }


def list_commands(address: str) -> list[tuple[str, str]]:
    """Return (family, shell command) pairs; the stack at the address answers each with success, every time."""
    return [(family, f"curl -sS {build(address)}") for family, build in _REQUESTS]


def _kazoo(address: str) -> str:
    # A device has one subscription and a second PUT is refused, so each call uses a new device id.
    path = f"/v2/accounts/{ACCOUNT_ID}/push_notification_subscriptions/com.example.app/demo-$(date +%s)"
    data = (
        '{"data":{"platform":"android","mobile_device_id":"demo-phone","sip_proxy_server":"sip.example.com",'
        '"notification_registration_ids":{"demo-fcm-token":'
        '{"notification_type":"fcm","notification_preferences":["incoming_call"]}}}}'
    )
    return f"-X PUT \"{address}{path}\" -H 'X-Auth-Token: {ACCOUNT_TOKEN}' {_JSON} -d '{data}'"


def _engagement(address: str) -> str:
    data = (
        '{"subscriptionService":{"subscribe":{"sid":"demo-sid","appId":"demo-app","ufid":"me@example.com",'
        '"osType":"iphone","deviceId":"demo-phone"}}}'
    )
    return f"-X POST {address}/vpns/subscription {_JSON} -d '{data}'"


def _places(address: str) -> str:
    path = f"/dts/places/{PLACE_ID}/subscriptions"
    return f"-X PUT {address}{path} -H 'Authorization: Bearer {PLACES_KEY}' {_JSON} -d '{{\"device_token\":\"demo\"}}'"


def _senders(address: str) -> str:
    # What the places' command registered.
    data = f'{{"addresses":[{{"place_id":"{PLACE_ID}"}}]}}'
    return f"-X POST {address}/pushreg/v1/lookup -H 'Authorization: Bearer {SENDER_KEY}' {_JSON} -d '{data}'"


_JSON = "-H 'Content-Type: application/json'"
_REQUESTS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("kazoo", _kazoo),
    ("engagement", _engagement),
    ("places", _places),
    ("senders", _senders),
)
