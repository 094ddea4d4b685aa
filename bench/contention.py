"""`python -m bench.contention`: 64 callers of one registration over DynamoDB Local, and somebody beside them."""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from bench.figures import median_ratio, shuffle_rounds, table
from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS
from pushreg_local.client import connect_endpoint
from tests.support.calls import Reply
from tests.support.clients import connect_functions
from tests.support.contention import Act, register, subscribe, take_over
from tests.support.engine import run_engine
from tests.support.gateway import Gateway
from tests.support.scenarios import Api, warm_up
from tests.support.stored import Stored

CALLERS = 64
# Seconds that the client waits for an answer: the session's own limits are measured here.
PATIENCE = 60.0
# Seconds in which the callers beside somebody else make a request each.
PERIOD = 3.0


def spread(api: Api, caller: int, turn: int) -> Reply:
    """Give one of as many devices as there are callers another sid."""
    return api.engagement.subscribe(f"device-{caller}", f"sid-{caller}-{turn}")


CASES: dict[str, Act] = {
    "one engagement device, each with a sid of its own": subscribe,
    "one mobile device of Kazoo": take_over,
    "one token of a place": register,
}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=8, help="requests of each caller, one after the other")
    parser.add_argument("--rounds", type=int, default=11, help="rounds of the second table")
    options = parser.parse_args()
    with run_engine() as endpoint:
        stored = Stored.create(connect_endpoint(endpoint))
        rows = [(name, *measure(endpoint, stored, act, options.turns).values()) for name, act in CASES.items()]
        print(table(("all change", "slowest answer", "calls, mean", "calls, most", "told to try again"), rows), "\n")
        print(watch_bystander(endpoint, stored, options.rounds))


@contextmanager
def functions(endpoint: str, stored: Stored) -> Iterator[tuple[Api, list[dict[str, Any]]]]:
    """Yield warm functions over empty tables, and the lines that they log."""
    stored.clear(DEVICES, SUBSCRIBERS, PLACES)
    lines: list[dict[str, Any]] = []
    client = connect_functions(endpoint, patience=PATIENCE)
    gateway = Gateway(client, sleep=time.sleep, emit=lambda line: lines.append(json.loads(line)))
    api = Api.over(gateway.send)
    warm_up(api)
    lines.clear()
    yield api, lines


def measure(endpoint: str, stored: Stored, act: Act, turns: int) -> dict[str, str]:
    """Return a row: every caller makes its requests one after the other, all callers at once."""
    with functions(endpoint, stored) as (api, lines), ThreadPoolExecutor(CALLERS) as pool:
        if act is take_over:
            list(pool.map(lambda caller: api.kazoo.put(f"desk-{caller}", f"phone-{caller}"), range(CALLERS)))
            lines.clear()

        def call(caller: int) -> float:
            spent = []
            for turn in range(turns):
                started = time.monotonic()
                act(api, caller, turn)
                spent.append(time.monotonic() - started)
            return max(spent)

        slowest = max(pool.map(call, range(CALLERS)))
        if faults := sum(line["Faults"] for line in lines):
            raise RuntimeError(f"{faults} requests ended in a fault")
    calls = [line["calls"] for line in lines]
    refused = sum(line["Contended"] for line in lines) / len(lines)
    return {
        "slowest": f"{slowest:.1f} s",
        "mean": f"{statistics.mean(calls):.1f}",
        "most": str(max(calls)),
        "contended": f"{refused:.0%}",
    }


def watch_bystander(endpoint: str, stored: Stored, rounds: int) -> str:
    """Return how long one caller waits beside the others, when they change one device and when each has its own.

    In both cases the others start the same number of requests at the same rate, so the ratio shows contention alone.
    """
    with functions(endpoint, stored) as (api, _):
        turns = itertools.count()
        cases: dict[str, Act | None] = {"alone": None, "hot": subscribe, "spread": spread}
        measures = {name: partial(_watch, api, act, turns) for name, act in cases.items()}
        times = shuffle_rounds(measures, rounds)
    medians = {name: f"{1000 * statistics.median(values):.0f} ms" for name, values in times.items()}
    ratio = median_ratio(times["hot"], times["spread"])
    header = ("alone", f"beside {CALLERS} callers of one device", f"beside {CALLERS} callers of {CALLERS}", "ratio")
    return table(header, [(medians["alone"], medians["hot"], medians["spread"], f"{ratio:.2f}")])


def _watch(api: Api, act: Act | None, turns: Iterator[int]) -> float:
    """Return the bystander's median, in seconds, while each of the others makes one request at a random moment."""
    turn = next(turns)
    begun = time.monotonic()

    def call(caller: int) -> None:
        time.sleep(random.Random(caller).uniform(0, PERIOD))
        if act is not None:
            act(api, caller, turn)

    spent = []
    with ThreadPoolExecutor(CALLERS) as others:
        for caller in range(CALLERS):
            others.submit(call, caller)
        while time.monotonic() < begun + PERIOD:
            started = time.monotonic()
            api.engagement.subscribe("cool", f"cool-{time.monotonic_ns()}")
            spent.append(time.monotonic() - started)
            time.sleep(0.02)
    return statistics.median(spent)


if __name__ == "__main__":
    main()
