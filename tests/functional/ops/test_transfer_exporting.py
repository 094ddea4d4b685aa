"""Exports, and registries imported from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pushreg.schema import PLACES, digest
from pushreg_local.demo import PLACE_ID
from pushreg_ops.migrate.exporting import Exporter
from pushreg_ops.migrate.formats.pushreg import PushregConverter
from pushreg_ops.registry import Registry
from tests.support.calls import Engagement, Kazoo, Places, answered
from tests.support.gateway import Gateway
from tests.support.stored import Stored
from tests.support.transfer import EPOCH, create_job, read_all, run, write_lines

pytestmark = pytest.mark.engine


def test_export_then_import_copies_registry_exactly(
    registry: Registry, other: Registry, gateway: Gateway, tmp_path: Path
) -> None:
    """Byte for byte: what an import writes is what the functions write."""
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
    dry = create_job(other, path, PushregConverter, stale_after_days={PLACES: 270}, dry_run=True)
    assert run(dry) == {"unchanged": lines}


def _read_directory(registry: Registry) -> dict[str, Any]:
    return {item["record"]: item for item in Stored(registry.client).items(registry.directory)}


def test_export_writes_directory_first(registry: Registry, other: Registry, gateway: Gateway, tmp_path: Path) -> None:
    assert Places(gateway.send).put("t1").status == 200
    lines = list(Exporter(registry, 0, lambda count: None).read(("places", "directory")))
    path = write_lines(tmp_path / "all.jsonl", lines)
    dry = create_job(other, path, PushregConverter, stale_after_days={PLACES: 270}, dry_run=True)
    assert run(dry) == {"created": len(lines)}
    assert not any("credential" in json.dumps(line) for line in lines)


def test_export_skips_expired_and_unreadable_items(registry: Registry, stored: Stored) -> None:
    row = {"place_id": PLACE_ID, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    for text, end in (("old", EPOCH - 1), ("last", EPOCH), ("living", EPOCH + 1)):
        stored.put(PLACES, {**row, "token_digest": digest(text), "device_token": text, "expires_at": end})
    stored.put(PLACES, {"place_id": PLACE_ID, "token_digest": "x"})
    exporter = Exporter(registry, EPOCH, lambda count: None)
    assert [line["device_token"] for line in exporter.read(["places"])] == ["living"]
    assert exporter.counts == {"places": 1, "expired": 2, "unreadable": 1}
