"""Imports from beginning to end, stopped anywhere, and what they leave behind."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pushreg.models.directory import digest
from pushreg_ops.demo import ACCOUNT_ID, PLACE_ID
from pushreg_ops.errors import OperatorError
from pushreg_ops.importers.engagement import EngagementConverter
from pushreg_ops.importers.kazoo import GREGORIAN_EPOCH, MEMBER, KazooConverter
from pushreg_ops.importers.places import PlacesConverter
from pushreg_ops.importers.pushreg import PushregConverter
from pushreg_ops.importers.rows import Converter, Run
from pushreg_ops.importers.sources import Files, Row
from pushreg_ops.targets import Registry
from pushreg_ops.transfer.checkpoint import Checkpoint, Refusals
from pushreg_ops.transfer.entities import Candidate
from pushreg_ops.transfer.exporting import Exporter
from pushreg_ops.transfer.importing import Importer
from pushreg_ops.transfer.job import Job
from pushreg_ops.transfer.merging import Outcome
from tests.contract.in_process import Gateway
from tests.support.calls import APP, Engagement, Kazoo, Places, answered, subscription
from tests.support.stored import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS, Stored

pytestmark = pytest.mark.engine

DATA_TABLES = (DEVICES, SUBSCRIBERS, PLACES)


def document(number: int, mobile: int | None = None, **changes: Any) -> dict[str, Any]:
    data = {**subscription(f"m{number if mobile is None else mobile}"), "app_name": APP, **changes}
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
    converter: Callable[[Run], Converter] = KazooConverter,
    stale_after_days: int = 0,
    **options: Any,
) -> Job:
    member = {KazooConverter: "rows", EngagementConverter: "subscribers"}.get(converter)  # type: ignore[call-overload]
    options = {"sleep": lambda seconds: None, **options}
    return Job(registry, Files([path], member), converter, {}, path, stale_after_days, **options)


def run(job: Job, restart: bool = False) -> Counter[str]:
    return Counter({word: count for word, count in job.run(job.open_checkpoint(restart=restart)).items() if count})


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def read_all(registry: Registry) -> dict[str, list[Any]]:
    stored = Stored(registry.client)
    return {
        table: sorted(stored.items(registry.tables[table]), key=lambda item: sorted(map(str, item.values())))
        for table in DATA_TABLES
    }


def test_a_dump_of_an_account_becomes_its_subscriptions(registry: Registry, stored: Stored, tmp_path: Path) -> None:
    others = [{"_id": "callflow", "pvt_type": "callflow"}, {"_id": "_design/x"}]
    path = write_dump(tmp_path / "dump.json", [*others, *map(document, range(150))])
    assert run(create_job(registry, path)) == {"created": 150, "skipped": 2}
    assert len(stored.settled(DEVICES)) == 300
    assert [each.name for each in tmp_path.iterdir()] == ["dump.json"]
    assert run(create_job(registry, path)) == {"unchanged": 150, "skipped": 2}


def test_rows_that_cannot_be_taken_are_kept_with_the_reason_and_can_be_mended(
    registry: Registry, stored: Stored, tmp_path: Path
) -> None:
    rows: list[Any] = [{"place_id": PLACE_ID, "device_token": f"t{number}"} for number in range(5)]
    rows[1]["device_token"] = ""
    rows[3]["place_id"] = "2ee68c4e-7008-4227-a92d-e1b13ac64f30"
    path = write_lines(tmp_path / "tokens.jsonl", rows)
    path.write_text(path.read_text() + "{no json\n")
    job = create_job(registry, path, PlacesConverter)
    assert run(job) == {"created": 3, "refused": 3}
    rejects = read_lines(job.rejects_path)
    assert [(each["row"], each["record"]) for each in rejects] == [(2, rows[1]), (4, rows[3]), (6, "{no json")]
    assert "device_token" in rejects[0]["reason"]
    assert "pushreg places add" in rejects[1]["reason"]
    assert job.rejects_path.stat().st_mode & 0o777 == 0o600
    again = create_job(registry, job.rejects_path, PlacesConverter, adds_missing=True)
    assert run(again) == {"created": 1, "refused": 2}
    assert stored.get(DIRECTORY, {"record": f"place#{rows[3]['place_id']}"}) is not None
    assert len(stored.settled(PLACES)) == 4


def test_the_later_of_two_devices_of_a_dump_keeps_the_mobile_device(
    registry: Registry, stored: Stored, tmp_path: Path
) -> None:
    """The original may keep two; here one has to go, and is kept in a file before it does."""
    documents = [document(number) for number in range(3)] + [document(9, mobile=1)]
    job = create_job(registry, write_dump(tmp_path / "dump.json", documents))
    assert run(job) == {"created": 3, "updated": 1, "displaced": 1}
    assert stored.holder("m1") == "device-9"
    assert len(stored.settled(DEVICES)) == 6
    (line,) = read_lines(job.displaced_path)
    assert line["record"]["device_id"] == "device-1"
    # What was displaced can be read again, and finds that it still has to wait.
    assert run(create_job(registry, job.displaced_path, PushregConverter)) == {"refused": 1}


def test_rows_of_the_same_item_keep_their_order(registry: Registry, stored: Stored, tmp_path: Path) -> None:
    rows = []
    for number in range(40):
        common = {"ksid": 10**18 + number, "appId": "demo-app", "deviceId": f"d{number}", "osType": "androidgcm"}
        rows += [{**common, "sid": f"first-{number}"}, {**common, "sid": f"second-{number}"}]
    path = write_lines(tmp_path / "subscribers.jsonl", rows)
    assert run(create_job(registry, path, EngagementConverter, workers=8)) == {"created": 40, "refused": 40}
    sids = {item["sid"] for item in stored.settled(SUBSCRIBERS) if "sid" in item}
    assert sids == {f"first-{number}" for number in range(40)}


def test_a_dry_run_reports_and_leaves_nothing(registry: Registry, tmp_path: Path) -> None:
    path = write_dump(tmp_path / "dump.json", [document(1), document(2, platform="web")])
    before = read_all(registry)
    job = create_job(registry, path, dry_run=True)
    assert run(job) == {"created": 1, "refused": 1}
    assert read_all(registry) == before
    assert not job.checkpoint_path.exists()
    assert len(read_lines(job.rejects_path)) == 1


def test_a_source_without_rows_is_a_mistake(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    for text in ("", '{"rows": []}', '{"documents":\n[]}'):
        path.write_text(text)
        with pytest.raises(OperatorError, match="is it what --from says"):
            run(create_job(registry, path))
    path.write_text('{"documents": []}')
    assert run(create_job(registry, path)) == {"refused": 1}


class Breaking:
    """A client that breaks down at one transaction, before or after it is made, and for good."""

    def __init__(self, client: Any, at: int, applied: bool) -> None:
        self._client = client
        self._left = at
        self._applied = applied

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def transact_write_items(self, **parameters: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            if self._left == -1 and self._applied:
                self._client.transact_write_items(**parameters)
            raise BrokenError
        return self._client.transact_write_items(**parameters)


class BrokenError(Exception):
    """The process is gone, as far as the importer can tell."""


def with_client(registry: Registry, client: Any) -> Registry:
    return Registry(registry.description, client, registry.tables)


@pytest.mark.parametrize("applied", [False, True], ids=["before the write", "after the write"])
@pytest.mark.parametrize("is_kept", [False, True], ids=["checkpoint lost", "checkpoint kept"])
def test_broken_off_anywhere_it_goes_on_to_the_same_end(
    registry: Registry, stored: Stored, tmp_path: Path, applied: bool, is_kept: bool
) -> None:
    documents = [document(number, platform="web" if number % 50 == 7 else "android") for number in range(110)]
    documents += [document(500 + number, mobile=number * 40) for number in range(2)]
    path = write_dump(tmp_path / "dump.json", documents)
    job = create_job(registry, path)
    assert run(job) == {"created": 107, "updated": 2, "refused": 3, "displaced": 2}
    items = read_all(registry)
    invalid = [each["row"] for each in read_lines(job.rejects_path)]
    for at in range(5):
        stored.clear(DEVICES)
        broken = create_job(with_client(registry, Breaking(registry.client, at, applied)), path)
        with pytest.raises(BrokenError):
            run(broken)
        stored.settled(DEVICES)
        if not is_kept:
            # As after a kill: an older checkpoint, here the oldest, and more in the reject file than it knows of.
            broken.checkpoint_path.unlink()
        counts = run(create_job(registry, path))
        assert read_all(registry) == items
        # Row 1 or 41 is refused if it comes again when it has been displaced already.
        rejected = [each["row"] for each in read_lines(job.rejects_path)]
        assert [row for row in rejected if row not in (1, 41)] == invalid
        assert len(rejected) == len(set(rejected)) == counts["refused"]
        assert {each["record"]["device_id"] for each in read_lines(job.displaced_path)} == {"device-0", "device-40"}
        assert sum(counts[word] for word in ("created", "updated", "unchanged", "refused")) == len(documents)
        assert not job.checkpoint_path.exists()


def test_another_import_does_not_go_on_from_the_checkpoint(registry: Registry, other: Registry, tmp_path: Path) -> None:
    path = write_dump(tmp_path / "dump.json", [document(number) for number in range(120)])
    with pytest.raises(BrokenError):
        run(create_job(with_client(registry, Breaking(registry.client, 1, applied=False)), path, workers=1))
    elsewhere = create_job(other, path, adds_missing=True)
    with pytest.raises(OperatorError, match="another import"):
        elsewhere.open_checkpoint(restart=False)
    with pytest.raises(OperatorError, match="another import"):
        create_job(registry, path, stale_after_days=5).open_checkpoint(restart=False)
    assert create_job(registry, path).open_checkpoint(restart=False).rows > 0
    assert run(elsewhere, restart=True) == {"created": 120}


def test_a_checkpoint_that_is_none_is_not_taken_for_one(registry: Registry, tmp_path: Path) -> None:
    job = create_job(registry, write_dump(tmp_path / "dump.json", [document(1)]))
    for text in ("", "[]", '{"version": 1}', '{"version": 1, "identity": {}, "epoch": 1, "more": 2}'):
        job.checkpoint_path.write_text(text)
        with pytest.raises(OperatorError, match="is no checkpoint"):
            job.open_checkpoint(restart=False)
    assert job.open_checkpoint(restart=True).rows == 0


def test_two_imports_do_not_write_to_the_same_files(registry: Registry, tmp_path: Path) -> None:
    job = create_job(registry, write_dump(tmp_path / "dump.json", [document(1)]))
    other = Refusals(job.rejects_path, 0)
    with pytest.raises(OperatorError, match="another import"):
        run(job)
    other.close()
    assert run(job) == {"created": 1}


class Throttled:
    """A client whose first transactions are throttled, or all."""

    def __init__(self, client: Any, count: int) -> None:
        self._client = client
        self.count = count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def transact_write_items(self, **parameters: Any) -> Any:
        if self.count:
            self.count -= 1
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "TransactWriteItems")
        return self._client.transact_write_items(**parameters)


def test_a_store_without_answer_is_waited_for(registry: Registry, stored: Stored, tmp_path: Path) -> None:
    path = write_dump(tmp_path / "dump.json", [document(number) for number in range(60)])
    pauses: list[float] = []
    busy = create_job(with_client(registry, Throttled(registry.client, 3)), path, workers=1, sleep=pauses.append)
    assert run(busy) == {"created": 60}
    assert pauses == [0.5, 1.0, 2.0]
    assert len(stored.settled(DEVICES)) == 120


def test_what_handlers_stored_is_the_same_in_another_registry(
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
    assert run(create_job(other, path, PushregConverter)) == {"created": lines}
    assert read_all(other) == read_all(registry)
    assert _read_directory(other) == _read_directory(registry)
    dry = create_job(other, path, PushregConverter, dry_run=True)
    assert run(dry) == {"unchanged": lines}


def _read_directory(registry: Registry) -> dict[str, Any]:
    return {item["record"]: item for item in Stored(registry.client).items(registry.directory)}


def test_the_directory_comes_before_what_needs_it_even_when_nothing_is_written(
    registry: Registry, other: Registry, gateway: Gateway, tmp_path: Path
) -> None:
    assert Places(gateway.send).put("t1").status == 200
    lines = list(Exporter(registry, 0, lambda count: None).read(("places", "directory")))
    path = write_lines(tmp_path / "all.jsonl", lines)
    dry = create_job(other, path, PushregConverter, dry_run=True)
    assert run(dry) == {"created": len(lines)}
    assert not any("credential" in json.dumps(line) for line in lines)


def test_what_has_expired_or_cannot_be_read_is_not_exported(registry: Registry, stored: Stored) -> None:
    row = {"place_id": PLACE_ID, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    for text, end in (("old", 99), ("last", 100), ("living", 101)):
        stored.put(PLACES, {**row, "token_digest": digest(text), "device_token": text, "expires_at": end})
    stored.put(PLACES, {"place_id": PLACE_ID, "token_digest": "x"})
    exporter = Exporter(registry, 100, lambda count: None)
    assert [line["device_token"] for line in exporter.read(["places"])] == ["living"]
    assert exporter.counts == {"places": 1, "expired": 2, "unreadable": 1}


class Endless:
    """As many rows as are asked for, none of them kept."""

    name, size, fingerprint = "rows", None, ""

    def __init__(self, count: int) -> None:
        self._count = count

    def read(self, skip: int) -> Iterator[Row]:
        for number in range(skip, self._count):
            yield Row({"place_id": PLACE_ID, "device_token": f"{number:0500}"}, number)


class Accepting:
    """What takes everything at once."""

    def merge(self, candidates: Sequence[Candidate], token: str) -> list[Outcome]:
        return [Outcome("created")] * len(candidates)

    def find_unknown(self, candidates: Mapping[int, Candidate]) -> dict[int, str]:
        return {}

    def note(self, candidates: Any) -> None:
        """Take note of nothing."""


def test_memory_does_not_grow_with_the_source(tmp_path: Path) -> None:
    def measure(count: int) -> int:
        refusals = Refusals(tmp_path / "rejected", 0)
        accepting: Any = Accepting()
        tracemalloc.start()
        importer = Importer(
            Endless(count), PlacesConverter(Run(0, 0)), accepting, accepting, Checkpoint({}, 0), None, refusals
        )
        assert importer.run() == {"created": count, "displaced": 0}
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        refusals.close()
        return peak

    measure(300)
    assert measure(5000) < 1.5 * measure(1500)
