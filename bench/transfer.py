"""`python -m bench.transfer`: how fast an import is, beside writing the same items without it."""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.figures import table
from pushreg.dynamodb import to_attributes
from pushreg_local.client import connect_endpoint
from pushreg_local.demo import ACCOUNT_ID, PLACE_ID, list_entries
from pushreg_local.engines import HOST
from pushreg_local.engines.bundle import find_bundle
from pushreg_local.engines.dynamodb_local import DynamoDbLocal
from pushreg_local.engines.java import find_java
from pushreg_local.tables import TABLES, create_missing
from pushreg_local.template import Template, find_template, load_template
from pushreg_ops.migrate.formats.engagement import EngagementConverter
from pushreg_ops.migrate.formats.kazoo import GREGORIAN_EPOCH, MEMBER, KazooConverter
from pushreg_ops.migrate.formats.places import PlacesConverter
from pushreg_ops.migrate.formats.rows import Converter, ImportRun
from pushreg_ops.migrate.importing import MAX_WRITES
from pushreg_ops.migrate.job import ImportJob
from pushreg_ops.migrate.sources import FileSource
from pushreg_ops.provision import Provisioner
from pushreg_ops.records.entities import StoredClaim, StoredEntity, create, table_of, to_item
from pushreg_ops.registry import STALE_PARAMETERS, Registry

WORKERS = 4
# The most that one BatchWriteItem takes.
MAX_BATCH = 25
DAYS = 270


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.transfer", description=__doc__)
    parser.add_argument("--rows", type=int, default=2000, help="rows of each family")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the data goes; on a disk by default")
    parser.add_argument("--json", action="store_true", help="the table and the figures, for `make bench`")
    options = parser.parse_args()
    measured = run(options.rows, options.rounds, options.folder)
    print(json.dumps(measured) if options.json else measured[0])


def run(rows: int, rounds: int, folder: Path | None = None) -> tuple[str, dict[str, Any]]:
    """Return the table and the figures: items a second, medians of rounds in which the ways of writing alternate."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=folder) as data, _serve(Path(data)) as registry:
        for family, (write, member, converter) in FAMILIES.items():
            path = Path(data) / family
            path = path.with_suffix(".csv" if family == "places" else ".json")
            write(path, rows)
            source = FileSource([path], member)
            lifetimes = dict.fromkeys(STALE_PARAMETERS, DAYS * 86_400)
            records = list(_convert(source, converter(ImportRun(4_000_000_000, lifetimes))))
            # All of a family's are in one table.
            name = table_of(records[0])
            items = [to_attributes(to_item(record)) for record in records]
            creations = [create(registry.tables[name], record) for record in records]
            job = ImportJob(
                registry, source, converter, {}, path, dict.fromkeys(STALE_PARAMETERS, DAYS), workers=WORKERS
            )
            ways: dict[str, Callable[[], None]] = {
                "batches": partial(_write_batches, registry, name, items),
                "transactions": partial(_write_transactions, registry, creations),
                "import": partial(_import, job, rows),
            }
            times: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(rounds):
                for way, work in ways.items():
                    times[way].append(_time(registry, work))
            rates = {way: len(items) / statistics.median(spent) for way, spent in times.items()}
            figures[family] = {"items": len(items), "rows_per_second": rates["import"] * rows / len(items), **rates}
    header = ("items/s", "in batches", "in transactions", "by the import", "to batches", "to transactions", "rows/s")
    lines = [
        (
            family,
            *(f"{each[way]:,.0f}" for way in ("batches", "transactions", "import")),
            *(f"{each['import'] / each[way]:.2f}" for way in ("batches", "transactions")),
            f"{each['rows_per_second']:,.0f}",
        )
        for family, each in figures.items()
    ]
    note = f"The same items written in three ways, {WORKERS} calls at once; {rows} rows, medians over rounds: {rounds}."
    return f"{table(header, lines)}\n\n{note}", figures


def _write_devices(path: Path, count: int) -> None:
    registration = {"notification_preferences": ["chat", "new_voicemail"], "notification_type": "fcm"}
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{"total_rows":{count},"offset":0,"rows":[\n')
        for number in range(count):
            moment = GREGORIAN_EPOCH + 1_700_000_000 + number
            data = {
                "app_name": "com.example.softphone",
                "mobile_device_id": f"mobile-{number:032}",
                "notification_registration_ids": {f"{number:0150}": registration},
                "platform": "android",
                "sip_proxy_server": "sip.example.com",
            }
            common = {"pvt_type": "device", "pvt_account_id": ACCOUNT_ID, "pvt_created": moment, "pvt_modified": moment}
            document = {"_id": f"{number:032x}", "_rev": "3-x", "sip": {"username": "u" * 20}, MEMBER: data, **common}
            row = {"id": document["_id"], "key": document["_id"], "value": {"rev": "3-x"}, "doc": document}
            file.write(json.dumps(row) + (",\n" if number < count - 1 else "\n"))
        file.write("]}\n")


def _write_subscribers(path: Path, count: int) -> None:
    rows = [
        {
            "ksid": 10**18 + number,
            "appId": "demo-app",
            "ufid": f"user{number}@example.com",
            "deviceId": f"device-{number:032}",
            "deviceName": "Phone",
            "sid": f"{number:0150}",
            "osType": "androidgcm",
            "createdDateStr": "06/22/2016 12:42:20 PM IST",
            "userAgent": "agent",
            "ipAddress": "192.0.2.1",
            "subscriptionStatus": True,
            "cloudStatus": True,
        }
        for number in range(count)
    ]
    pages = [{"total": count, "subscribers": rows[start : start + 500]} for start in range(0, count, 500)]
    path.write_text("\n".join(map(json.dumps, pages)), encoding="utf-8")


def _write_tokens(path: Path, count: int) -> None:
    rows = "".join(f"{PLACE_ID},{number:0150}\n" for number in range(count))
    path.write_text(f"place_id,device_token\n{rows}", encoding="utf-8")


FAMILIES: dict[str, tuple[Callable[[Path, int], None], str | None, Callable[[ImportRun], Converter]]] = {
    "kazoo": (_write_devices, "rows", KazooConverter),
    "engagement": (_write_subscribers, "subscribers", EngagementConverter),
    "places": (_write_tokens, None, PlacesConverter),
}


def _convert(source: FileSource, convert: Converter) -> Iterator[StoredEntity | StoredClaim]:
    for row in source.read(0):
        candidate = convert(row.content)
        if candidate is not None:
            yield from candidate.records


def _write_batches(registry: Registry, table: str, items: Sequence[dict[str, Any]]) -> None:
    """Write as fast as DynamoDB takes it, over whatever is there."""

    def write(batch: Sequence[dict[str, Any]]) -> None:
        puts = [{"PutRequest": {"Item": item}} for item in batch]
        answer = registry.client.batch_write_item(RequestItems={registry.tables[table]: puts})  # type: ignore[attr-defined]
        assert not answer["UnprocessedItems"]

    _write(items, MAX_BATCH, write)


def _write_transactions(registry: Registry, creations: Sequence[dict[str, Any]]) -> None:
    """Write as an import has to: registrations with their claims or not at all, and over nothing."""
    _write(creations, MAX_WRITES, lambda batch: registry.client.transact_write_items(TransactItems=batch))


def _write(items: Sequence[Any], size: int, write: Callable[[Sequence[Any]], object]) -> None:
    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(write, [items[start : start + size] for start in range(0, len(items), size)]):
            pass


def _import(job: ImportJob, rows: int) -> None:
    counts = job.run(job.open_checkpoint(restart=True))
    assert counts["created"] == rows, counts


def _time(registry: Registry, work: Callable[[], None]) -> float:
    _reset(registry)
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _load() -> Template:
    return load_template(find_template(Path(__file__)).read_text("utf-8"))


def _reset(registry: Registry) -> None:
    for name in registry.client.list_tables()["TableNames"]:
        registry.client.delete_table(TableName=name)
    create_missing(registry.client, _load().tables)
    for entry in list_entries():
        Provisioner(registry).add(entry)


@contextmanager
def _serve(folder: Path) -> Iterator[Registry]:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    engine = DynamoDbLocal(port, folder / "data", find_java(os.environ), find_bundle(os.environ))
    engine.start()
    try:
        engine.wait()
        yield Registry(
            "the bench", connect_endpoint(engine.endpoint), {name: _load().name_table(name) for name in TABLES}
        )
    finally:
        engine.stop()


if __name__ == "__main__":
    main()
