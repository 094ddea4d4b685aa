"""The directory entries of a case, and the check of what it expects to be stored."""

from __future__ import annotations

from collections.abc import Iterator

from pushreg.models.directory import Account, Application, Credential, Entry, Place
from pushreg.schema import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS, digest
from pushreg_ops.directory_writer import DirectoryWriter
from tests.support.contract.cases import Given, StoredItem
from tests.support.contract.filling import fill
from tests.support.contract.matching import MISSING, Bindings, differences
from tests.support.stored import Stored

CREATED_AT = "2024-01-01T00:00:00Z"
# The tables under the names that cases give them.
TABLES = {"devices": DEVICES, "subscribers": SUBSCRIBERS, "places": PLACES}


def install(stored: Stored, given: Given) -> None:
    """Add the case's entries to the directory."""
    entries: list[Entry] = [Account(each, CREATED_AT) for each in given.accounts]
    entries += [Place(each, CREATED_AT) for each in given.places]
    for application in given.applications:
        token = application.get("auth_token")
        flags = application.get("duplicate_as_update"), application.get("strict", False)
        entries.append(Application(application["id"], CREATED_AT, digest(token) if token else None, *flags))
    for key in given.keys:
        places, applications = frozenset(key.get("places", ())), frozenset(key.get("applications", ()))
        credential = Credential(
            digest(key["value"]), key["family"], key["scope"], CREATED_AT, key.get("account"), places, applications
        )
        entries.append(credential)
    writer = DirectoryWriter(stored.client, DIRECTORY)
    for entry in entries:
        writer.add(entry)


def check(stored: Stored, wanted: StoredItem, bindings: Bindings) -> Iterator[str]:
    """Yield a line for each difference between the stored item and the expected one."""
    key = fill(wanted.key, bindings)
    item = stored.get(TABLES[wanted.table], key)
    if wanted.absent or item is None:
        if wanted.absent != (item is None):
            yield f"{wanted.table} {key}: wanted {'nothing' if wanted.absent else 'a row'}"
        return
    for name, value in fill(wanted.item, bindings).items():
        yield from differences(value, item.get(name, MISSING), bindings, f"{wanted.table} {key}.{name}")
