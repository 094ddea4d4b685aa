"""An import during live traffic keeps every acknowledged write."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path

import pytest

from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS
from pushreg_ops.migrate.formats.pushreg import PushregConverter
from pushreg_ops.registry import Registry
from tests.support.calls import APP, Engagement, Kazoo, Places, answered, engagement_form, kazoo_data
from tests.support.gateway import Gateway
from tests.support.stored import Stored
from tests.support.transfer import create_job, run

pytestmark = pytest.mark.engine

ROWS, CALLS = 300, 60
# Long before any call of the test.
TIMES = {"created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z"}
ACCOUNT = {"account_id": "c0ffee00c0ffee00c0ffee00c0ffee00", "writes": 1}
PLACE = {"place_id": "1ee68c4e-7008-4227-a92d-e1b13ac64f30"}


def write_rows(path: Path) -> None:
    lines: list[dict[str, object]] = []
    for number in range(ROWS):
        data = kazoo_data(f"m{number}", app_name=APP)
        form = engagement_form(f"dev{number}", f"sid{number}")
        lines += [
            {"family": "kazoo", **ACCOUNT, "device_id": f"d{number}", "data": data, **TIMES},
            {"family": "engagement", "ksid": str(10**18 + number), **form, "active": True, **TIMES},
            {"family": "places", **PLACE, "device_token": f"t{number}", **TIMES},
        ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("seed", range(3))
def test_import_during_live_traffic_keeps_acknowledged_writes(
    registry: Registry, gateway: Gateway, stored: Stored, tmp_path: Path, seed: int
) -> None:
    """Each device calls once at most, so that its last answer is known."""
    chance = random.Random(seed)
    write_rows(tmp_path / "rows.jsonl")
    kazoo, engagement, places = Kazoo(gateway.send), Engagement(gateway.send), Places(gateway.send)
    job = create_job(registry, tmp_path / "rows.jsonl", PushregConverter, workers=3)
    importing = threading.Thread(target=run, args=(job,))
    importing.start()
    moved: dict[str, str] = {}
    kept: dict[str, tuple[str, str]] = {}
    tokens: list[str] = []
    for number in chance.sample(range(ROWS), CALLS):
        match number % 3:
            case 0:
                # A mobile device of the file registers with a device that is not in it.
                assert kazoo.put(f"live{number}", f"m{number}").status == 201
                moved[f"m{number}"] = f"live{number}"
            case 1:
                status, ksid, _ = answered(engagement.subscribe(f"dev{number}", f"live{number}"))
                assert status == "200"
                kept[f"dev{number}"] = (ksid, f"live{number}")
            case _:
                assert places.put(f"t{number}").status == 200
                tokens.append(f"t{number}")
    importing.join()
    for table in (DEVICES, SUBSCRIBERS, PLACES):
        stored.settled(table)
    for mobile, holder in moved.items():
        assert stored.holder(mobile) == holder
    for device, (ksid, sid) in kept.items():
        assert answered(engagement.subscribe(device, sid))[:2] == ("201", ksid)
    for token in tokens:
        assert (stored.token(token) or {})["updated_at"] > TIMES["updated_at"]
    assert not job.superseded_path.exists()
    # All the others are there as in the file.
    for number in range(ROWS):
        if f"m{number}" not in moved:
            assert stored.holder(f"m{number}") == f"d{number}"
