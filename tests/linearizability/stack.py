"""The functions' own client, and a directory with two tenants of each kind."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from pushreg.clock import to_iso
from pushreg.models.directory import Account, Application, Credential, Entry, Place
from pushreg.schema import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS, digest
from pushreg_ops.directory_writer import DirectoryWriter
from tests.support.clients import connect_functions
from tests.support.stored import Stored

# In the future: the engine knows nothing of a test's clock, and must not remove what expires by it.
FIRST_DAY = datetime(2100, 1, 1, tzinfo=UTC)
MOMENT = "2024-01-01T00:00:00Z"
ACCOUNTS = ("a" * 32, "b" * 32)
APPLICATIONS = ("first-app", "second-app")
PLACE_IDS = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")
MANAGER_KEY = "key of all applications"
ALL_PLACES_KEY = "key of all places"
# The one table that each family writes to.
TABLES = {"kazoo": DEVICES, "engagement": SUBSCRIBERS, "places": PLACES}


def to_moment(day: int) -> datetime:
    """Return the moment of a day of the trials."""
    return FIRST_DAY + timedelta(days=day)


def to_day(epoch: int | None) -> float:
    """Return the day of the trials that an expiry falls on, infinity for none."""
    return math.inf if epoch is None else (datetime.fromtimestamp(epoch, UTC) - FIRST_DAY) / timedelta(days=1)


def to_date(moment: str) -> int:
    """Return the day of the trials on which a stored moment is."""
    return (datetime.fromisoformat(moment) - FIRST_DAY).days


def draw_sending(random: Random, day: int) -> int:
    """Return the day on which the message was sent that a sender reports on the day."""
    return day if random.random() < 0.8 else day - 1


def verdict(verb: str, sent: int) -> dict[str, str]:
    """Return what a sender's REPORT or OK says about a message sent at the beginning of the day."""
    if verb == "OK":
        return {"code": "ok"}
    return {"provider": "fcm", "code": "UNREGISTERED", "at": to_iso(to_moment(sent))}


def write_lifetime(days: int) -> dict[str, str]:
    """Return the environment of functions that let registrations expire so many days after their refresh."""
    # The families' functions know their own lifetime, that of the senders all three.
    names = ("", "KAZOO_", "ENGAGEMENT_", "PLACES_")
    return {f"{name}STALE_AFTER_DAYS": str(days) for name in names}


def key_of(subject: str) -> str:
    """Return the secret that opens the account or the place."""
    return f"key of {subject}"


def list_entries() -> list[Entry]:
    """Return two of each, one key for each and one for all places."""
    entries: list[Entry] = []
    for account in ACCOUNTS:
        entries.append(Account(account, MOMENT))
        entries.append(Credential(digest(key_of(account)), "kazoo", "write", MOMENT, account_id=account))
    entries += [Application(application, MOMENT) for application in APPLICATIONS]
    for place in PLACE_IDS:
        entries.append(Place(place, MOMENT))
        entries.append(Credential(digest(key_of(place)), "places", "write", MOMENT, places=frozenset({place})))
    everywhere = frozenset({"all"})
    entries.append(Credential(digest(MANAGER_KEY), "engagement", "write", MOMENT, applications=everywhere))
    entries.append(Credential(digest(ALL_PLACES_KEY), "places", "write", MOMENT, places=everywhere))
    return entries


def install(client: Any) -> Stored:
    """Create the tables and fill the directory."""
    stored = Stored.create(client)
    writer = DirectoryWriter(client, DIRECTORY)
    for entry in list_entries():
        writer.add(entry)
    return stored


@contextmanager
def connect_to(endpoint: str, patience: float | None = None, transport: str = "direct") -> Iterator[Any]:
    """Give the functions' own client; with a `patience`, one that waits no longer than that for an answer."""
    client = connect_functions(endpoint, transport, patience)
    try:
        yield client
    finally:
        client.close()
