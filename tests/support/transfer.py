"""Rows and jobs for the tests of imports and exports."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pushreg.dynamodb import Client
from pushreg.schema import DEVICES, OPERATOR_WRITE, PLACES, SUBSCRIBERS, Item
from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from pushreg_ops.auditing import Auditor
from pushreg_ops.migrate.formats.candidates import Candidate
from pushreg_ops.migrate.formats.engagement import EngagementConverter, create_subscriber
from pushreg_ops.migrate.formats.kazoo import GREGORIAN_EPOCH, MEMBER, KazooConverter, create_device, read_content
from pushreg_ops.migrate.formats.places import create_token
from pushreg_ops.migrate.formats.rows import Converter, ImportRun
from pushreg_ops.migrate.job import ImportJob
from pushreg_ops.migrate.merging import Merger
from pushreg_ops.migrate.sources import FileSource
from pushreg_ops.records.entities import StoredEntity
from pushreg_ops.registry import STALE_PARAMETERS, Registry
from tests.support.calls import APP, engagement_form, kazoo_data
from tests.support.stored import Stored

# 2100-01-01T00:00:00Z: in the future, because DynamoDB Local deletes what has expired by its own clock.
EPOCH = 4_102_444_800
EARLIER, LATER, LATEST = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"
KSIDS = ("1000000000000000001", "1000000000000000002", "1000000000000000003")


DATA_TABLES = (DEVICES, SUBSCRIBERS, PLACES)


def device(
    name: str, mobile: str, moment: str = LATER, proxy: str = "192.0.2.9", writes: int = 3, timed: bool = True
) -> Candidate:
    content = read_content(kazoo_data(mobile, proxy), APP)
    entity = create_device(
        ACCOUNT_ID,
        name,
        content,
        writes=writes,
        created_at=EARLIER,
        updated_at=moment,
        refreshed_at=moment,
        expires_at=None,
    )
    return Candidate.from_entity(entity, ("account", ACCOUNT_ID), is_timed=timed)


def subscriber(
    ksid: str, device_id: str, sid: str, moment: str = LATER, expires_at: int | None = None, **fields: Any
) -> Candidate:
    form = engagement_form(device_id, sid, ksid=ksid, **fields)
    options = {
        "active": True,
        "is_timed": True,
        **{name: form.pop(name) for name in ("active", "is_timed") if name in form},
    }
    return create_subscriber(form, created_at=EARLIER, updated_at=moment, expires_at=expires_at, **options)


def token(text: str, moment: str = LATER, expires_at: int | None = None, timed: bool = True) -> Candidate:
    return create_token(PLACE_ID, text, created_at=EARLIER, updated_at=moment, expires_at=expires_at, is_timed=timed)


class Merge:
    """Merges into the registry behind the handlers, and remembers what was superseded."""

    def __init__(self, registry: Registry, client: Client | None = None, dry_run: bool = False) -> None:
        self.superseded: list[StoredEntity] = []
        self._merger = Merger(
            client or registry.client,
            registry.tables,
            EPOCH,
            self.superseded.append,
            Auditor(registry),
            dry_run=dry_run,
        )

    def __call__(self, *candidates: Candidate, token: str | None = None) -> list[str]:
        return [each.word for each in self._merger.merge(candidates, token or uuid.uuid4().hex)]

    def reason(self, candidate: Candidate) -> str:
        (outcome,) = self._merger.merge([candidate], uuid.uuid4().hex)
        assert outcome.word == "refused"
        assert outcome.reason is not None
        return outcome.reason


def document(number: int, mobile: int | None = None, **changes: Any) -> dict[str, Any]:
    data = kazoo_data(f"m{number if mobile is None else mobile}", **{"app_name": APP, **changes})
    moment = GREGORIAN_EPOCH + 1_600_000_000 + number
    common = {"pvt_type": "device", "pvt_account_id": ACCOUNT_ID, "pvt_created": moment, "pvt_modified": moment}
    return {"_id": f"device-{number}", "_rev": "1-x", MEMBER: data, **common}


def write_dump(path: Path, documents: Sequence[Mapping[str, Any]]) -> Path:
    rows = [{"id": each["_id"], "key": each["_id"], "value": {}, "doc": each} for each in documents]
    path.write_text(json.dumps({"total_rows": len(rows), "offset": 0, "rows": rows}, indent=0))
    return path


def write_lines(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def create_job(
    registry: Registry,
    path: Path,
    converter: Callable[[ImportRun], Converter] = KazooConverter,
    stale_after_days: int | Mapping[str, int] = 0,
    **options: Any,
) -> ImportJob:
    member = {KazooConverter: "rows", EngagementConverter: "subscribers"}.get(converter)  # type: ignore[call-overload]
    options = {"sleep": lambda seconds: None, **options}
    days = stale_after_days
    if isinstance(days, int):
        days = dict.fromkeys(STALE_PARAMETERS, days)
    return ImportJob(registry, FileSource([path], member), converter, {}, path, days, **options)


def run(job: ImportJob, restart: bool = False) -> Counter[str]:
    return Counter({word: count for word, count in job.run(job.open_checkpoint(restart=restart)).items() if count})


def read_lines(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as file:
        return [json.loads(line) for line in file]


def unmark(item: Item) -> Item:
    """Return the item without the mark of an operator's write."""
    return {name: value for name, value in item.items() if name != OPERATOR_WRITE}


def read_all(registry: Registry) -> dict[str, list[Any]]:
    """Return the items of all registrations in a fixed order, without marks."""
    stored = Stored(registry.client)
    return {
        table: sorted(
            map(unmark, stored.items(registry.tables[table])), key=lambda item: sorted(map(str, item.values()))
        )
        for table in DATA_TABLES
    }
