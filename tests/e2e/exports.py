"""Exports of all families, and a connection slow enough that an import can be interrupted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from tests.linearizability.faults import Fault
from tests.linearizability.proxy import Proxy
from tests.support.calls import APP, engagement_form, kazoo_data

MOMENT = "2026-01-02T03:04:05Z"
TIMES = {"created_at": "2025-01-02T03:04:05Z", "updated_at": MOMENT}


def rows(count: int) -> Iterator[dict[str, Any]]:
    """As many registrations, of all families by turns."""
    for number in range(count):
        match number % 3:
            case 0:
                data = kazoo_data(f"m{number}", app_name=APP)
                device = {"account_id": ACCOUNT_ID, "device_id": f"d{number}", "writes": number % 7 + 1}
                yield {"family": "kazoo", **device, **TIMES, "refreshed_at": MOMENT, "data": data}
            case 1:
                form = engagement_form(f"d{number}", f"s{number}")
                active = number % 2 == 0
                yield {"family": "engagement", "ksid": str(10**18 + number), **form, "active": active, **TIMES}
            case _:
                row = {"place_id": PLACE_ID, "device_token": f"t{number}", "expires_at": 4_000_000_000}
                yield {"family": "places", **row, **TIMES}


def write_rows(path: Path, count: int) -> list[str]:
    """Write them as an export, and return its lines as `read_lines` would."""
    lines = [json.dumps(row, sort_keys=True) for row in rows(count)]
    path.write_text("\n".join(lines) + "\n")
    return sorted(lines)


def read_lines(path: Path) -> list[str]:
    """Return an export's lines in an order that does not depend on the table's."""
    return sorted(json.dumps(json.loads(line), sort_keys=True) for line in path.read_text().split("\n") if line)


def find_difference(found: list[str], wanted: list[str]) -> tuple[list[str], list[str]]:
    """Return the first lines that only one of two exports has: pytest's own comparison of 100,000 takes minutes."""
    return sorted(set(found) - set(wanted))[:3], sorted(set(wanted) - set(found))[:3]


@contextmanager
def slow_wire(endpoint: str) -> Iterator[tuple[Proxy, str]]:
    """Give a way to the engine, and its address, on which each answer takes 40 ms until its `rate` is 0."""
    proxy = Proxy(endpoint, 1.0, "slow", 60.0, only=Fault.SLOW)
    with proxy.run() as address:
        yield proxy, address
