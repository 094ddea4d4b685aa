"""The longest of many requests in one process: what a pause of the garbage collector would show in.

Each process is started as Lambda would start it, with DynamoDB answered from memory. Times are of the processor, so
that a busy machine adds nothing to them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

from bench import scenarios, worker
from bench.figures import table
from bench.interpreter import command, environment

REQUESTS = 20_000
WARM_UP = 100
SCENARIO = "kazoo GET"


def run(rounds: int) -> tuple[str, dict[str, Any]]:
    """Return the table and the figures, in milliseconds."""
    measured = [_measure() for _ in range(rounds)]
    data = {
        "median_ms": round(statistics.median(each["median"] for each in measured), 2),
        "longest_over_median_ms": round(statistics.median(each["longest"] - each["median"] for each in measured), 1),
        "worst_process_ms": round(max(each["longest"] - each["median"] for each in measured), 1),
    }
    header = (f"{REQUESTS:,} times {SCENARIO}, ms of CPU", "median", "longest, over the median", "in the worst process")
    return table(header, [(f"median of {rounds} processes", *data.values())]), data


def _measure() -> dict[str, float]:
    done = subprocess.run(
        command("-m", "bench.longest"),
        env=environment("pushreg", SCENARIO.partition(" ")[0], None),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _serve() -> None:
    """Answer the requests, and print the median and the longest."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 Log lines cost, but are not for reading.
    worker.answer_from_memory("pushreg")
    call = worker.load("pushreg", next(each for each in scenarios.SCENARIOS if each.name == SCENARIO))
    for number in range(WARM_UP):
        call(number)
    spent = []
    for number in range(REQUESTS):
        started = time.process_time_ns()
        call(number)
        spent.append(time.process_time_ns() - started)
    output.write(json.dumps({"median": statistics.median(spent) / 1e6, "longest": max(spent) / 1e6}))
    output.close()


if __name__ == "__main__":
    _serve()
