"""Dollars per million operations, and per month for so many devices, from measured figures and list prices."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import table

PRICES = json.loads((Path(__file__).parent / "prices.json").read_text(encoding="utf-8"))
# Lambda gives one whole processor at this memory size (AWS docs, "Configure Lambda function memory").
MEMORY_OF_ONE_PROCESSOR = 1769
MEMORY_SIZES = (256, 384, 512, 768, 1024, 1769)
MEMORY = 512
# Assumed, since no AWS was reached: DynamoDB's "single-digit milliseconds" for a call from Lambda.
CALL_MS = 5.0
LOG_BYTES = 900
OPERATIONS = {
    "refresh (places)": ("places PUT refresh", "places PUT refresh"),
    "new (places)": ("places PUT new", "places PUT refresh"),
    "read (kazoo)": ("kazoo GET", "kazoo GET"),
    "duplicate (engagement)": ("engagement duplicate", "engagement duplicate JSON"),
    "new (engagement)": ("engagement new", "engagement duplicate JSON"),
}


@dataclass(frozen=True)
class Usage:
    """What one operation consumes; CPU in milliseconds of a whole processor."""

    cpu_ms: float
    calls: int
    read: float
    written: float


def duration_ms(usage: Usage, memory: int) -> int:
    """Return the billed duration: the processor time at this memory's share, and the wait for the database."""
    share = min(1.0, memory / MEMORY_OF_ONE_PROCESSOR)
    return math.ceil(usage.cpu_ms / share + usage.calls * CALL_MS)


def dollars_per_million(usage: Usage, memory: int = MEMORY) -> dict[str, float]:
    """Return the price of a million operations by service."""
    compute = duration_ms(usage, memory) / 1000 * memory / 1024 * PRICES["lambda_per_gb_second"] * 1e6
    return {
        "API Gateway": PRICES["http_api_per_million_requests"],
        "Lambda": PRICES["lambda_per_million_requests"] + compute,
        "DynamoDB": usage.read * PRICES["dynamodb_per_million_read_units"]
        + usage.written * PRICES["dynamodb_per_million_write_units"],
        "logs": LOG_BYTES * 1e6 / 1e9 * PRICES["logs_per_gb"],
    }


def run(units: dict[str, Any], warm: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the tables and the figures, from those of the units and of the warm requests from memory."""
    usages = {}
    for name, (operation, scenario) in OPERATIONS.items():
        calls, read, written = list(units[operation].values())[-1]
        usages[name] = Usage(warm[scenario]["pushreg"]["us"] / 1000, calls, read, written)
    prices = {name: dollars_per_million(usage) for name, usage in usages.items()}
    services = list(next(iter(prices.values())))
    by_operation = table(
        ("$ per million", *services, "total", "ms billed"),
        [
            (name, *(f"{each[service]:.2f}" for service in services), f"{sum(each.values()):.2f}",
             duration_ms(usages[name], MEMORY))
            for name, each in prices.items()
        ],
    )  # fmt: skip
    refresh = usages["refresh (places)"]
    lambda_prices = {memory: dollars_per_million(refresh, memory)["Lambda"] for memory in MEMORY_SIZES}
    sweep = table(
        ("memory MB", *MEMORY_SIZES),
        [
            ("ms billed per refresh", *(duration_ms(refresh, memory) for memory in MEMORY_SIZES)),
            ("$ of Lambda per million", *(f"{price:.2f}" for price in lambda_prices.values())),
        ],
    )
    per_refresh = sum(prices["refresh (places)"].values()) / 1e6
    devices = {count: count * 30 * per_refresh for count in (1_000, 1_000_000, 100_000_000)}
    rows = [(f"{count:,}", f"{price:,.2f}") for count, price in devices.items()]
    monthly = table(("devices, each refreshing daily", "$ per month"), rows)
    text = (
        f"{by_operation}\n\nAt {MEMORY} MB arm64, {CALL_MS:g} ms assumed for a DynamoDB call; list prices of "
        f"{PRICES['date']}, {PRICES['region']}, free tiers left out.\n\n{sweep}\n\n{monthly}"
    )
    return text, {"per_million": prices, "per_month": devices}
