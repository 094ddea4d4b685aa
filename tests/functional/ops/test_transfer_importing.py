"""Complete imports: results, reject files, dry runs, memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pushreg.schema import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS
from pushreg_local.demo import PLACE_ID
from pushreg_local.errors import OperatorError
from pushreg_ops.auditing import read_audit
from pushreg_ops.migrate.files import Checkpoint, RejectFile
from pushreg_ops.migrate.formats.candidates import Candidate
from pushreg_ops.migrate.formats.engagement import EngagementConverter
from pushreg_ops.migrate.formats.places import PlacesConverter
from pushreg_ops.migrate.formats.pushreg import PushregConverter
from pushreg_ops.migrate.formats.rows import ImportRun
from pushreg_ops.migrate.importing import Importer
from pushreg_ops.migrate.merging import Outcome
from pushreg_ops.migrate.sources import Row
from pushreg_ops.registry import Registry
from tests.support.stored import Stored
from tests.support.transfer import EARLIER, create_job, document, read_all, read_lines, run, write_dump, write_lines

pytestmark = pytest.mark.engine


def test_import_of_kazoo_dump_creates_subscriptions(registry: Registry, stored: Stored, tmp_path: Path) -> None:
    others = [{"_id": "callflow", "pvt_type": "callflow"}, {"_id": "_design/x"}]
    path = write_dump(tmp_path / "dump.json", [*others, *map(document, range(150))])
    assert run(create_job(registry, path)) == {"created": 150, "skipped": 2}
    assert len(stored.settled(DEVICES)) == 300
    assert [each.name for each in tmp_path.iterdir()] == ["dump.json"]
    assert run(create_job(registry, path)) == {"unchanged": 150, "skipped": 2}


def test_import_rejected_rows_are_written_with_reason(registry: Registry, stored: Stored, tmp_path: Path) -> None:
    rows: list[Any] = [{"place_id": PLACE_ID, "device_token": f"t{number}"} for number in range(5)]
    rows[1]["device_token"] = ""
    rows[3]["place_id"] = "2ee68c4e-7008-4227-a92d-e1b13ac64f30"
    path = write_lines(tmp_path / "tokens.jsonl", rows)
    path.write_text(path.read_text() + "{no json\n")
    job = create_job(registry, path, PlacesConverter)
    assert run(job) == {"created": 3, "refused": 3}
    rejects = read_lines(job.rejects_path)
    assert [(each["row"], each["record"]) for each in rejects] == [(2, rows[1]), (4, rows[3]), (6, "{no json")]
    assert rejects[0]["reason"] == "device_token: stands for no token"
    assert "pushreg places add" in rejects[1]["reason"]
    assert job.rejects_path.stat().st_mode & 0o777 == 0o600
    again = create_job(registry, job.rejects_path, PlacesConverter, adds_missing=True)
    assert run(again) == {"created": 1, "refused": 2}
    assert stored.get(DIRECTORY, {"record": f"place#{rows[3]['place_id']}"}) is not None
    assert len(stored.settled(PLACES)) == 4


def test_import_counts_rejections_by_reason_and_names_lines(registry: Registry, tmp_path: Path) -> None:
    unknown = "2ee68c4e-7008-4227-a92d-e1b13ac64f3"
    rows = [{"place_id": f"{unknown}{number}", "device_token": "t"} for number in range(3)]
    path = write_lines(tmp_path / "tokens.jsonl", [*rows, {"place_id": "x", "device_token": "t"}])
    path.write_text("\n\n" + path.read_text())
    job = create_job(registry, path, PlacesConverter)
    checkpoint = job.open_checkpoint(restart=False)
    job.run(checkpoint)
    assert checkpoint.reasons == {"unknown place": 3, "place_id: not a UUID": 1}
    assert [(each["row"], each["line"]) for each in read_lines(job.rejects_path)] == [(1, 3), (2, 4), (3, 5), (4, 6)]


def test_import_dry_run_keeps_reject_file_of_import(registry: Registry, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "tokens.jsonl", [{"place_id": "x", "device_token": "t"}])
    job = create_job(registry, path, PlacesConverter)
    assert run(job) == {"refused": 1}
    before = job.rejects_path.read_bytes()
    dry = create_job(registry, write_lines(path, [{"place_id": "y"}] * 2), PlacesConverter, dry_run=True)
    assert run(dry) == {"refused": 2}
    assert job.rejects_path.read_bytes() == before
    assert len(read_lines(dry.rejects_path)) == 2


def test_import_without_rows_leaves_no_empty_reject_file(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.touch()
    with pytest.raises(OperatorError, match="has no rows"):
        run(create_job(registry, path, PlacesConverter))
    assert [each.name for each in tmp_path.iterdir()] == ["empty.jsonl"]


def test_import_of_mobile_device_held_twice_keeps_later_device(
    registry: Registry, stored: Stored, tmp_path: Path
) -> None:
    """The original may keep two; here one has to go, and is kept in a file before it does."""
    documents = [document(number) for number in range(3)] + [document(9, mobile=1)]
    job = create_job(registry, write_dump(tmp_path / "dump.json", documents))
    assert run(job) == {"created": 3, "updated": 1, "displaced": 1}
    assert stored.holder("m1") == "device-9"
    assert len(stored.settled(DEVICES)) == 6
    (line,) = read_lines(job.superseded_path)
    assert line["record"]["device_id"] == "device-1"
    # What was superseded can be read again, and finds that it still has to wait.
    assert run(create_job(registry, job.superseded_path, PushregConverter)) == {"refused": 1}


def test_import_rows_of_same_item_keep_order(registry: Registry, stored: Stored, tmp_path: Path) -> None:
    rows = []
    for number in range(40):
        common = {"ksid": 10**18 + number, "appId": "demo-app", "deviceId": f"d{number}", "osType": "androidgcm"}
        rows += [{**common, "sid": f"first-{number}"}, {**common, "sid": f"second-{number}"}]
    path = write_lines(tmp_path / "subscribers.jsonl", rows)
    assert run(create_job(registry, path, EngagementConverter, workers=8)) == {"created": 40, "refused": 40}
    sids = {item["sid"] for item in stored.settled(SUBSCRIBERS) if "sid" in item}
    assert sids == {f"first-{number}" for number in range(40)}


def test_import_dry_run_reports_without_writing(registry: Registry, tmp_path: Path) -> None:
    path = write_dump(tmp_path / "dump.json", [document(1), document(2, platform="web")])
    before = read_all(registry)
    job = create_job(registry, path, dry_run=True)
    assert run(job) == {"created": 1, "refused": 1}
    assert read_all(registry) == before
    assert not job.checkpoint_path.exists()
    assert len(read_lines(job.rejects_path)) == 1


def test_import_source_without_rows_is_refused(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    for text in ("", '{"rows": []}', '{"documents":\n[]}'):
        path.write_text(text)
        with pytest.raises(OperatorError, match="does --from name the right format"):
            run(create_job(registry, path))
    path.write_text('{"documents": []}')
    assert run(create_job(registry, path)) == {"refused": 1}


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


def test_import_memory_is_independent_of_source_size(tmp_path: Path) -> None:
    def measure(count: int) -> int:
        rejects = RejectFile(tmp_path / "rejected", 0)
        accepting: Any = Accepting()
        tracemalloc.start()
        importer = Importer(
            Endless(count), PlacesConverter(ImportRun(0, {})), accepting, accepting, Checkpoint({}, 0), None, rejects
        )
        assert importer.run() == {"created": count, "displaced": 0}
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        rejects.close()
        return peak

    measure(300)
    assert measure(5000) < 1.5 * measure(1500)


def test_import_writes_audit_entries_for_what_it_adds_to_directory(registry: Registry, tmp_path: Path) -> None:
    place = PLACE_ID.replace("1", "2")
    accounts = [f"{number:032x}" for number in range(120)]
    rows = [
        *({"family": "directory", "entry": {"record": f"account#{each}", "created_at": EARLIER}} for each in accounts),
        {"family": "places", "place_id": place, "device_token": "t1"},
    ]
    path = write_lines(tmp_path / "all.jsonl", rows)
    dry = create_job(registry, path, PushregConverter, adds_missing=True, dry_run=True)
    assert run(dry) == {"created": 121}
    assert read_audit(registry) == []
    assert run(create_job(registry, path, PushregConverter, adds_missing=True)) == {"created": 121}
    written = {(each["action"], each["kind"], each["entry"], each["detail"]) for each in read_audit(registry)}
    assert written == {("add", "account", each, "by import") for each in accounts} | {
        ("add", "place", place, "by import")
    }
    assert len(read_audit(registry)) == 121
    assert run(create_job(registry, path, PushregConverter, adds_missing=True)) == {"unchanged": 121}
    assert len(read_audit(registry)) == 121
