"""The local stack over HTTP: requests per second, p50 and p99, one caller or sixteen, new tokens or known ones."""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

from bench.figures import table
from bench.scenarios import PLACE


def run(url: str, seconds: float) -> tuple[str, dict[str, Any]]:
    """Return the table and the figures."""
    data: dict[str, Any] = {}
    for kind in ("new", "refresh"):
        for callers in (1, 16):
            data[f"{kind}, {callers} at once"] = measure_load(url, kind == "refresh", callers, seconds)
    rows = [(name, *values.values()) for name, values in data.items()]
    return table(("places PUT over HTTP", "requests/s", "p50 ms", "p99 ms"), rows), data


def measure_load(url: str, known: bool, callers: int, seconds: float) -> dict[str, float]:
    """Return requests per second and percentiles in milliseconds of so many callers, each with a connection."""
    spent: list[float] = []
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=_call, args=(url, known, until, spent)) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent.sort()
    return {
        "rps": round(len(spent) / seconds),
        "p50_ms": round(spent[len(spent) // 2] * 1000, 1),
        "p99_ms": round(spent[len(spent) * 99 // 100] * 1000, 1),
    }


def _call(url: str, known: bool, until: float, spent: list[float]) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    headers = {"Authorization": "Bearer demo-places-key", "Content-Type": "application/json"}
    own = uuid.uuid4().hex
    while time.monotonic() < until:
        token = own if known else uuid.uuid4().hex
        started = time.perf_counter()
        connection.request("PUT", f"/dts/places/{PLACE}/subscriptions", json.dumps({"device_token": token}), headers)
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise RuntimeError(f"the stack answered {response.status}")
        spent.append(time.perf_counter() - started)
    connection.close()
