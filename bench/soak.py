"""`python -m bench.soak`: the local stack under mixed load, watched for leaks, errors and broken invariants."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from pushreg_local.client import connect_endpoint
from pushreg_local.demo import ACCOUNT_TOKEN, PLACES_KEY
from tests.support.calls import kazoo_data, kazoo_path, places_path
from tests.support.stack import Stack, run_temporary_stack
from tests.support.stored import CHECKS, Stored

LEVELS = (1, 2, 4, 8, 16, 32, 64)
# Each level comes several times, so that a trend can be told from the level's own needs; the first round is warm-up.
ROUNDS = 4
MIX = {"refresh": 80, "new": 10, "move": 5, "delete": 5}
MAX_GROWTH = 2.0  # MB a minute
MAX_HANDLES = 8
LONG = 120


@dataclass
class Traffic:
    """Requests as clients send them: mostly what is there already."""

    random: random.Random
    numbers: Any = field(default_factory=itertools.count)
    known: dict[str, list[int]] = field(default_factory=lambda: {"kazoo": [], "engagement": [], "places": []})

    def choose(self) -> tuple[str, str, dict[str, str], dict[str, Any]]:
        """Return the next request: method, path, headers, body."""
        family = self.random.choice(list(self.known))
        kind = self.random.choices(list(MIX), list(MIX.values()))[0]
        known = self.known[family]
        if kind == "new" or not known:
            kind, number = "new", next(self.numbers)
            known.append(number)
        elif kind == "delete":
            number = known.pop(self.random.randrange(len(known)))
        else:
            number = self.random.choice(known)
        return getattr(self, f"_{family}")(kind, number)  # type: ignore[no-any-return]

    def _kazoo(self, kind: str, number: int) -> tuple[str, str, dict[str, str], dict[str, Any]]:
        method = {"new": "PUT", "delete": "DELETE"}.get(kind, "POST")
        mobile = next(self.numbers) if kind == "move" else number
        data = kazoo_data(f"mobile-{mobile}")
        return method, kazoo_path(f"device-{number}"), {"x-auth-token": ACCOUNT_TOKEN}, {"data": data}

    def _engagement(self, kind: str, number: int) -> tuple[str, str, dict[str, str], dict[str, Any]]:
        form = {"appId": "demo-app", "deviceId": f"device-{number}"}
        if kind == "delete":
            return "POST", "/vpns/subscription", {}, {"subscriptionService": {"unsubscribe": form}}
        sid = f"sid-{number}-{next(self.numbers)}" if kind == "move" else f"sid-{number}"
        form |= {"sid": sid, "osType": "androidgcm"}
        return "POST", "/vpns/subscription", {}, {"subscriptionService": {"subscribe": form}}

    def _places(self, kind: str, number: int) -> tuple[str, str, dict[str, str], dict[str, Any]]:
        method = "DELETE" if kind == "delete" else "PUT"
        headers = {"authorization": f"Bearer {PLACES_KEY}"}
        return method, places_path(), headers, {"device_token": f"token-{number}"}


@dataclass(frozen=True)
class Sample:
    """What the process held at a moment."""

    seconds: float
    level: int
    memory: float
    handles: int
    requests: int


async def soak(stack: Stack, seconds: float) -> tuple[list[Sample], Counter[int]]:
    """Return the samples and the count of each status."""
    samples: list[Sample] = []
    statuses: Counter[int] = Counter()
    traffic = Traffic(random.Random(1))
    started = time.monotonic()
    share = seconds / ROUNDS / len(LEVELS)
    async with httpx.AsyncClient(base_url=stack.url, timeout=60) as client:

        async def call_until(moment: float) -> None:
            while time.monotonic() < moment:
                method, path, headers, body = traffic.choose()
                statuses[(await client.request(method, path, headers=headers, json=body)).status_code] += 1

        for index, level in enumerate(LEVELS * ROUNDS):
            ends = started + share * (index + 1)
            await asyncio.gather(*(call_until(ends) for _ in range(level)))
            memory, handles = _measure(stack.process_id)
            samples.append(Sample(time.monotonic() - started, level, memory, handles, statuses.total()))
    return samples, statuses


def _measure(process_id: int) -> tuple[float, int]:
    status = Path(f"/proc/{process_id}/status").read_text("ascii")
    memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return memory / 1024, len(list(Path(f"/proc/{process_id}/fd").iterdir()))


def growth(samples: list[Sample]) -> float:
    """Return the slope of the memory after the first round, in MB a minute, by least squares."""
    warm = samples[len(LEVELS) :]
    mean_time = sum(each.seconds for each in warm) / len(warm)
    mean = sum(each.memory for each in warm) / len(warm)
    above = sum((each.seconds - mean_time) * (each.memory - mean) for each in warm)
    return 60 * above / sum((each.seconds - mean_time) ** 2 for each in warm)


def count_violations(endpoint: str) -> tuple[int, int]:
    """Return how many items the tables hold and how many violations of the invariants."""
    stored = Stored(connect_endpoint(endpoint))
    tables = {name: stored.items(name) for name in CHECKS}
    violations = [each for name, check in CHECKS.items() for each in check(tables[name])]
    for violation in violations[:10]:
        print(violation)
    return sum(map(len, tables.values())), len(violations)


def plot(samples: list[Sample]) -> str:
    """Return an SVG of memory (line) and file handles (dashes) over time."""
    width, height, left, top = 640, 240, 48, 16
    end, most = samples[-1].seconds, max(each.memory for each in samples) * 1.1
    handles = max(each.handles for each in samples) * 1.1

    def points(values: list[tuple[float, float]]) -> str:
        return " ".join(f"{left + x * width:.1f},{top + (1 - y) * height:.1f}" for x, y in values)

    memory_line = points([(each.seconds / end, each.memory / most) for each in samples])
    handle_line = points([(each.seconds / end, each.handles / handles) for each in samples])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 112} {height + 56}" font-family="sans-serif"'
        f' font-size="12" fill="none"><rect x="{left}" y="{top}" width="{width}" height="{height}" stroke="#999"/>'
        f'<polyline points="{memory_line}" stroke="#1f77b4" stroke-width="2"/>'
        f'<polyline points="{handle_line}" stroke="#d62728" stroke-dasharray="4 3"/>'
        f'<g fill="#333"><text x="4" y="{top + 10}">{most:.0f} MB</text><text x="16" y="{top + height}">0</text>'
        f'<text x="{left + width + 4}" y="{top + 10}">{handles:.0f} handles</text>'
        f'<text x="{left}" y="{top + height + 20}">resident memory (line) and file handles (dashes) over {end:.0f} s,'
        f" concurrency {LEVELS[0]} to {LEVELS[-1]}, {ROUNDS} times</text></g></svg>\n"
    )


def main() -> None:
    """Soak, print the figures and end with 1 if anything leaked, failed or broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--plot", type=Path, help="where to write the SVG")
    options = parser.parse_args()
    with run_temporary_stack() as stack:
        samples, statuses = asyncio.run(soak(stack, options.seconds))
        items, violations = count_violations(stack.endpoint)
    warm = samples[len(LEVELS) - 1]
    figures = {
        "seconds": round(samples[-1].seconds),
        "requests": statuses.total(),
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "memory_mb": {"after_warm_up": round(warm.memory, 1), "end": round(samples[-1].memory, 1)},
        "growth_mb_per_minute": round(growth(samples), 2),
        "handles": {"after_warm_up": warm.handles, "end": samples[-1].handles},
        "items": items,
        "violations": violations,
    }
    print(json.dumps(figures, indent=2))
    if options.plot:
        options.plot.write_text(plot(samples), "utf-8")
    failures = sum(count for status, count in statuses.items() if status >= 500)
    # A slope over a few seconds says nothing.
    # Connections are made as concurrency asks for them: the second round has met it all.
    more_handles = samples[-1].handles - samples[2 * len(LEVELS) - 1].handles
    leaks = options.seconds >= LONG and (growth(samples) > MAX_GROWTH or more_handles > MAX_HANDLES)
    if failures or violations or leaks:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
