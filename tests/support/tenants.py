"""Two tenants of each family, their secrets, and requests for the resources of the first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from pushreg.models.directory import (
    EVERY_ACCOUNT,
    EVERY_APPLICATION,
    EVERY_PLACE,
    Account,
    Application,
    Credential,
    Entry,
    Place,
    Scope,
)
from pushreg.schema import digest
from pushreg_ops.directory_writer import DirectoryWriter
from tests.support.calls import engagement_form, kazoo_data
from tests.support.issuers import kazoo_issuer, places_issuer

MOMENT = "2024-01-01T00:00:00Z"
ACCOUNT, FOREIGN_ACCOUNT, UNKNOWN_ACCOUNT = "a" * 32, "b" * 32, "c" * 32
PLACE, FOREIGN_PLACE, UNKNOWN_PLACE = (
    f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in "123"
)
APPLICATION, FOREIGN_APPLICATION, UNKNOWN_APPLICATION = "first-app", "second-app", "third-app"
APP, DEVICE_ID, SUBSCRIBER = "com.example.app", "device-1", "device-of-subscriber"


def secret(name: str) -> str:
    """Return a secret that no other text looks like."""
    return "secret" + sha256(f"secret {name}".encode()).hexdigest()[:40]


def push_token(name: str) -> str:
    """Return a push token that no other text looks like."""
    return "push" + sha256(f"token {name}".encode()).hexdigest()[:40]


def list_entries() -> list[Entry]:
    """Return who may call; each secret is named after what it opens."""
    entries: list[Entry] = [Account(each, MOMENT) for each in (ACCOUNT, FOREIGN_ACCOUNT)]
    entries += [Place(each, MOMENT) for each in (PLACE, FOREIGN_PLACE)]
    entries += [Application(each, MOMENT, digest(secret(each))) for each in (APPLICATION, FOREIGN_APPLICATION)]
    for scope in ("read", "write", "admin"):
        for account in (ACCOUNT, FOREIGN_ACCOUNT):
            entries.append(kazoo_credential(secret(f"{account} {scope}"), scope, account))
        for place in (PLACE, FOREIGN_PLACE):
            entries.append(places_credential(secret(f"{place} {scope}"), scope, place))
    everything = {"account_id": EVERY_ACCOUNT, "places": frozenset({EVERY_PLACE})}
    entries += [
        sender_credential(secret("sender"), **everything, applications=frozenset({EVERY_APPLICATION})),
        sender_credential(secret("sender for applications"), applications=frozenset({APPLICATION})),
        sender_credential(secret(f"{FOREIGN_PLACE} sender"), places=frozenset({FOREIGN_PLACE})),
    ]
    return entries


def kazoo_credential(value: str, scope: Scope, account_id: str = ACCOUNT) -> Credential:
    """Return the credential of an account."""
    return Credential(digest(value), "kazoo", scope, MOMENT, account_id=account_id)


def places_credential(value: str, scope: Scope, place_id: str = PLACE) -> Credential:
    """Return the credential of a place."""
    return Credential(digest(value), "places", scope, MOMENT, places=frozenset({place_id}))


def sender_credential(value: str, **reach: Any) -> Credential:
    """Return the credential of a sender."""
    return Credential(digest(value), "senders", "sender", MOMENT, **reach)


def install(client: Any) -> DirectoryWriter:
    """Fill the directory; what was revoked has been there before."""
    writer = DirectoryWriter(client, "DirectoryTable")
    for entry in list_entries():
        writer.add(entry)
    for revoked in (
        kazoo_credential(secret("revoked"), "admin"),
        places_credential(secret("revoked"), "admin"),
        sender_credential(secret("revoked"), places=frozenset({EVERY_PLACE})),
    ):
        writer.add(revoked)
        assert writer.remove("credential", revoked.secret_digest)
    for issuer in (
        kazoo_issuer(),
        places_issuer(f"Courier=write:{PLACE}", f"Reader=read:{PLACE}", f"Foreign=admin:{FOREIGN_PLACE}"),
    ):
        writer.add(issuer)
    for removed in (kazoo_issuer("removed-key"), places_issuer(kid="removed-key")):
        writer.add(removed)
        assert writer.remove("issuer", "removed-key")
    # An application has one token: setting another revokes it.
    writer.add(Application(APPLICATION, MOMENT, digest(secret("revoked"))))
    writer.add(Application(APPLICATION, MOMENT, digest(secret(APPLICATION))))
    return writer


@dataclass(frozen=True)
class Attempt:
    """How a credential is presented: in headers, in the query string, in the body's members."""

    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    members: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """What a request is for."""

    account_id: str = ACCOUNT
    device_id: str = DEVICE_ID
    place_id: str = PLACE
    application: str = APPLICATION
    ksid: str = "1000000000000000001"
    token: str = push_token("stored")


def build(
    path: str, attempt: Attempt, target: Target, request_id: str = "0123456789"
) -> tuple[str, dict[str, str], bytes]:
    """Return path, headers and body of a request that lacks nothing but perhaps a credential, for any method."""
    filled = path.format(
        account_id=target.account_id,
        app=APP,
        device_id=target.device_id,
        place_id=target.place_id,
        ksid=target.ksid,
    ) + (f"?{attempt.query}" if attempt.query else "")
    body: dict[str, Any]
    if path.startswith("/v2/"):
        body = {"data": kazoo_data("mobile-1", token=target.token), **attempt.members}
    elif path.startswith("/dts/"):
        body = {"device_token": target.token, **attempt.members}
    elif path.startswith("/pushreg/"):
        report = {"place_id": target.place_id, "device_token": target.token, "provider": "fcm", "code": "UNREGISTERED"}
        results = [{**report, "at": "2024-01-01T00:00:00Z"}]
        body = {"results": results, "addresses": [{"place_id": target.place_id}], **attempt.members}
    else:
        body = {"subscriptionService": {"subscribe": {**form(target), **attempt.members}}}
    headers = {"content-type": "application/json", "x-request-id": request_id, **attempt.headers}
    return filled, headers, json.dumps(body).encode()


def form(target: Target) -> dict[str, Any]:
    """Return an engagement subscription's form."""
    return engagement_form(SUBSCRIBER, target.token, target.application)


def right_attempts() -> Iterator[tuple[str, str, Attempt]]:
    """Yield for each family the function, the creating method and a credential that is good for it."""
    yield "KazooFunction", "PUT", Attempt({"x-auth-token": secret(f"{ACCOUNT} write")})
    yield "PlacesFunction", "PUT", Attempt({"authorization": f"Bearer {secret(f'{PLACE} write')}"})
    yield "EngagementFunction", "POST", Attempt(members={"authToken": secret(APPLICATION)})
    yield "SendersFunction", "POST", Attempt({"authorization": f"Bearer {secret('sender')}"})
