"""Exports, and registries imported from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pushreg.models.directory import Account, Application, Credential, Entry, Place
from pushreg.schema import (
    AUDIT_PREFIX,
    DEVICES,
    DIRECTORY,
    OPERATOR_WRITE,
    PLACES,
    REGISTRATION_PREFIXES,
    SUBSCRIBERS,
    digest,
)
from pushreg.stores.directory import to_item
from pushreg_local.demo import PLACE_ID
from pushreg_ops.migrate.exporting import Exporter
from pushreg_ops.migrate.formats.pushreg import PushregConverter
from pushreg_ops.registry import Registry
from tests.support.calls import Engagement, Kazoo, Places, answered
from tests.support.gateway import Gateway
from tests.support.issuers import kazoo_issuer, places_issuer
from tests.support.stored import Stored
from tests.support.transfer import EPOCH, create_job, read_all, run, write_lines

pytestmark = pytest.mark.engine


def test_export_then_import_copies_registry_exactly(
    registry: Registry, other: Registry, gateway: Gateway, tmp_path: Path
) -> None:
    """Byte for byte but for the mark of an operator's write: what an import writes is what the functions write."""
    kazoo, engagement, places = Kazoo(gateway.send), Engagement(gateway.send), Places(gateway.send)
    assert kazoo.put("d1", "m1").status == 201
    assert kazoo.post("d1", "m1", proxy="198.51.100.7").status == 200
    assert kazoo.put("d2", "m2").status == 201
    ksids = [answered(engagement.subscribe(f"dev{number}", f"sid{number}", ufid="u"))[1] for number in range(2)]
    assert answered(engagement.subscribe("dev9", "sid9"))[0] == "200"
    assert answered(engagement.unsubscribe(ksid=ksids[0]))[0] == "200"
    assert answered(engagement.subscribe("dev1", "rotated", ufid="u"))[1] == ksids[1]
    assert [places.put(token).status for token in ("t1", "t2")] == [200, 200]
    exporter = Exporter(registry, 0, lambda count: None, with_keys=True)
    families = ("kazoo", "engagement", "places", "directory")
    path = write_lines(tmp_path / "all.jsonl", list(exporter.read(families)))
    lines = sum(exporter.counts.values())
    assert exporter.counts["kazoo"] == 2
    assert exporter.counts["engagement"] == 3
    assert run(create_job(other, path, PushregConverter, stale_after_days={PLACES: 270})) == {"created": lines}
    assert read_all(other) == read_all(registry)
    assert _read_directory(other) == _read_directory(registry)
    for table in (DEVICES, SUBSCRIBERS, PLACES):
        for item in Stored(other.client).items(other.tables[table]):
            is_registration = item.get("record", "").startswith(REGISTRATION_PREFIXES.get(table, ""))
            assert (OPERATOR_WRITE in item) is is_registration
    dry = create_job(other, path, PushregConverter, stale_after_days={PLACES: 270}, dry_run=True)
    assert run(dry) == {"unchanged": lines}


def test_export_then_import_keeps_subscribers_whose_claims_were_taken(
    registry: Registry, other: Registry, gateway: Gateway, tmp_path: Path
) -> None:
    engagement = Engagement(gateway.send)
    inactive, active = (
        [answered(engagement.subscribe(f"{kind}-dev{number}", f"{kind}-sid{number}"))[1] for number in range(3)]
        for kind in ("old", "new")
    )
    for ksid in inactive:
        assert answered(engagement.unsubscribe(ksid=ksid))[0] == "200"
    # The active ones take the sid of the first, the device of the second, and both of the third.
    for number, (device_id, sid) in enumerate(
        [("new-dev0", "old-sid0"), ("old-dev1", "new-sid1"), ("old-dev2", "new-sid2"), ("old-dev2", "old-sid2")]
    ):
        assert answered(engagement.subscribe(device_id, sid))[1] == active[min(number, 2)]
    lines = list(Exporter(registry, 0, lambda count: None).read(("engagement",)))
    kept = {line["ksid"]: (line["deviceId"], line["sid"]) for line in lines}
    assert [kept[ksid] for ksid in inactive] == [("old-dev0", ""), ("", "old-sid1"), ("", "")]
    path = write_lines(tmp_path / "all.jsonl", lines)
    assert run(create_job(other, path, PushregConverter, adds_missing=True)) == {"created": len(lines)}
    assert read_all(other) == read_all(registry)
    absent = [{name: value for name, value in line.items() if value != ""} for line in lines]
    path = write_lines(tmp_path / "absent.jsonl", absent)
    assert run(create_job(other, path, PushregConverter)) == {"unchanged": len(lines)}


def _every_entry() -> list[Entry]:
    """Return entries of every kind, with every attribute set and with none."""
    moment = "2026-01-01T00:00:00Z"
    issuer = places_issuer("Courier=write:all", f"Manager=admin:{PLACE_ID}", source="https://login.example.com/keys")
    reach: dict[str, Any] = {"account_id": "a" * 32, "places": frozenset({PLACE_ID}), "applications": frozenset({"x"})}
    return [
        Account("a" * 32, moment),
        Place(PLACE_ID.replace("1", "2"), moment),
        Application("plain", moment),
        Application("full#1", moment, digest("token"), duplicate_as_update=False, is_strict=True),
        Credential(digest("1"), "kazoo", "write", moment, account_id="a" * 32),
        Credential(digest("2"), "places", "read", moment, places=frozenset({"all"}), expires_at=EPOCH, name="till 1"),
        Credential(digest("3"), "engagement", "admin", moment, applications=frozenset({"x", "y"}), issued_by="me"),
        Credential(digest("4"), "senders", "sender", moment, **reach),
        kazoo_issuer(),
        issuer,
    ]


@pytest.mark.parametrize("entry", _every_entry(), ids=lambda entry: type(entry).__name__)
def test_export_then_import_keeps_directory_entry(
    registry: Registry, other: Registry, stored: Stored, tmp_path: Path, entry: Entry
) -> None:
    stored.put(DIRECTORY, to_item(entry))
    (line,) = [
        line
        for line in Exporter(registry, 0, lambda count: None, with_keys=True).read(("directory",))
        if line["entry"]["record"] == to_item(entry)["record"]
    ]
    path = write_lines(tmp_path / "all.jsonl", [line])
    for outcome in ("created", "unchanged"):
        assert run(create_job(other, path, PushregConverter)) == {outcome: 1}
    (item,) = _read_directory(other).values()
    assert item in stored.items(DIRECTORY)
    # Another entry at the same key stays as it is.
    line["entry"]["created_at"] = "2027-01-01T00:00:00Z"
    line["entry"] |= {"public_key": "another"} if "public_key" in item else {"auth_token_digest": digest("another")}
    path = write_lines(tmp_path / "changed.jsonl", [line])
    run(create_job(other, path, PushregConverter))
    assert list(_read_directory(other).values()) == [item]


def _read_directory(registry: Registry) -> dict[str, Any]:
    items = Stored(registry.client).items(registry.directory)
    return {item["record"]: item for item in items if not item["record"].startswith(AUDIT_PREFIX)}


def test_export_writes_directory_first(registry: Registry, other: Registry, gateway: Gateway, tmp_path: Path) -> None:
    assert Places(gateway.send).put("t1").status == 200
    lines = list(Exporter(registry, 0, lambda count: None).read(("places", "directory")))
    path = write_lines(tmp_path / "all.jsonl", lines)
    assert run(create_job(other, path, PushregConverter, stale_after_days={PLACES: 270})) == {"created": len(lines)}
    assert not any("credential" in json.dumps(line) for line in lines)


def test_export_skips_expired_and_unreadable_items(registry: Registry, stored: Stored) -> None:
    row = {"place_id": PLACE_ID, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    for text, end in (("old", EPOCH - 1), ("last", EPOCH), ("living", EPOCH + 1)):
        stored.put(PLACES, {**row, "token_digest": digest(text), "device_token": text, "expires_at": end})
    stored.put(PLACES, {"place_id": PLACE_ID, "token_digest": "x"})
    exporter = Exporter(registry, EPOCH, lambda count: None)
    assert [line["device_token"] for line in exporter.read(["places"])] == ["living"]
    assert exporter.counts == {"places": 1, "expired": 2, "unreadable": 1}
