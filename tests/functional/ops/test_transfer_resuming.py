"""Interrupted imports resume from their checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pushreg.schema import DEVICES
from pushreg_local.errors import OperatorError
from pushreg_ops.migrate.files import RejectFile
from pushreg_ops.registry import Registry
from tests.support.clients import ProcessKilledError, act_before_writes, die_at_write
from tests.support.stored import Stored
from tests.support.transfer import create_job, document, read_all, read_lines, run, write_dump

pytestmark = pytest.mark.engine


def with_client(registry: Registry, client: Any) -> Registry:
    return Registry(registry.description, client, registry.tables)


@pytest.mark.parametrize("applied", [False, True], ids=["before the write", "after the write"])
@pytest.mark.parametrize("is_kept", [False, True], ids=["checkpoint lost", "checkpoint kept"])
def test_import_interrupted_at_any_write_resumes_to_same_result(
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
        broken = create_job(with_client(registry, die_at_write(registry.client, at, applied)), path)
        with pytest.raises(ProcessKilledError):
            run(broken)
        stored.settled(DEVICES)
        if not is_kept:
            # As after a kill: an older checkpoint, here the oldest, and more in the reject file than it knows of.
            broken.checkpoint_path.unlink(missing_ok=True)
        counts = run(create_job(registry, path))
        assert read_all(registry) == items
        # Row 1 or 41 is refused if it comes again when it has been displaced already.
        rejected = [each["row"] for each in read_lines(job.rejects_path)]
        assert [row for row in rejected if row not in (1, 41)] == invalid
        assert len(rejected) == len(set(rejected)) == counts["refused"]
        assert {each["record"]["device_id"] for each in read_lines(job.superseded_path)} == {"device-0", "device-40"}
        assert sum(counts[word] for word in ("created", "updated", "unchanged", "refused")) == len(documents)
        assert not job.checkpoint_path.exists()


def test_import_checkpoint_of_other_import_is_refused(registry: Registry, other: Registry, tmp_path: Path) -> None:
    path = write_dump(tmp_path / "dump.json", [document(number) for number in range(120)])
    with pytest.raises(ProcessKilledError):
        run(create_job(with_client(registry, die_at_write(registry.client, 1, applied=False)), path, workers=1))
    elsewhere = create_job(other, path, adds_missing=True)
    with pytest.raises(OperatorError, match="another import"):
        elsewhere.open_checkpoint(restart=False)
    with pytest.raises(OperatorError, match="another import"):
        create_job(registry, path, stale_after_days=5).open_checkpoint(restart=False)
    assert create_job(registry, path).open_checkpoint(restart=False).rows > 0
    assert run(elsewhere, restart=True) == {"created": 120}


def test_import_reject_file_that_cannot_be_written_names_option(registry: Registry, tmp_path: Path) -> None:
    job = create_job(registry, write_dump(tmp_path / "dump.json", [document(1)]))
    job.rejects_path.mkdir()
    with pytest.raises(OperatorError, match="cannot be written: Is a directory: name another folder with --state"):
        run(job)


def test_import_invalid_checkpoint_is_refused(registry: Registry, tmp_path: Path) -> None:
    job = create_job(registry, write_dump(tmp_path / "dump.json", [document(1)]))
    others = ('{"version": 1, "identity": {}, "epoch": 1, "more": 2}', '{"version": 1, "identity": [], "epoch": 1}')
    for text in ("", "[]", '{"version": 1}', *others):
        job.checkpoint_path.write_text(text)
        with pytest.raises(OperatorError, match="is not a checkpoint"):
            job.open_checkpoint(restart=False)
    assert job.open_checkpoint(restart=True).rows == 0


def test_import_running_twice_is_refused(registry: Registry, tmp_path: Path) -> None:
    job = create_job(registry, write_dump(tmp_path / "dump.json", [document(1)]))
    other = RejectFile(job.rejects_path, 0)
    with pytest.raises(OperatorError, match="another import"):
        run(job)
    other.close()
    assert run(job) == {"created": 1}


def test_import_store_error_is_retried_with_backoff(registry: Registry, stored: Stored, tmp_path: Path) -> None:
    path = write_dump(tmp_path / "dump.json", [document(number) for number in range(60)])
    pauses: list[float] = []

    def refuse() -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "TransactWriteItems")

    refusing = act_before_writes(registry.client, refuse, refuse, refuse)
    busy = create_job(with_client(registry, refusing), path, workers=1, sleep=pauses.append)
    assert run(busy) == {"created": 60}
    assert pauses == [0.5, 1.0, 2.0]
    assert len(stored.settled(DEVICES)) == 120
