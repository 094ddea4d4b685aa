"""Cold init: a fresh interpreter, Lambda's runtime client imported, then the function's module and its client made."""

from __future__ import annotations

import statistics
import subprocess
from functools import partial
from typing import Any

from bench.figures import median_ratio, shuffle_rounds, table
from bench.interpreter import FUNCTIONS, command, environment

PROGRAM = """
import time
import awslambdaric.bootstrap
started = time.process_time_ns()
{work}
print(time.process_time_ns() - started)
"""
BASE = "boto3.client"
WORK = {
    BASE: ("floor", "places", "import boto3; boto3.client('dynamodb')"),
    **{
        f"pushreg {family}": ("pushreg", family, f"from {family}.lambda_entry import handler; handler.prepare()")
        for family in FUNCTIONS
    },
    "Powertools": ("powertools", "places", "from bench.peers.powertools_app import handler"),
    "FastAPI + Mangum": ("fastapi", "places", "from bench.peers.fastapi_mangum import handler"),
    "Chalice": ("chalice", "places", "from bench.peers.chalice_app import handler"),
}


def measure(name: str) -> float:
    """Return the processor time of one init in milliseconds."""
    variant, family, work = WORK[name]
    done = subprocess.run(
        command("-c", PROGRAM.format(work=work)),
        env=environment(variant, family, None),
        capture_output=True,
        check=True,
        text=True,
    )
    return int(done.stdout) / 1e6


def run(rounds: int) -> tuple[str, dict[str, Any]]:
    """Return the table and the figures."""
    for name in WORK:
        measure(name)
    figures = shuffle_rounds({name: partial(measure, name) for name in WORK}, rounds)
    data = {
        name: {
            "cpu_ms": round(statistics.median(values), 1),
            "ratio": round(median_ratio(values, figures[BASE]), 2),
            "ratio_to_fastapi": round(median_ratio(values, figures["FastAPI + Mangum"]), 2),
        }
        for name, values in figures.items()
    }
    rows = [(name, *values.values()) for name, values in data.items()]
    text = table(("cold init", "CPU ms", f"to {BASE}", "to FastAPI + Mangum"), rows)
    return f"{text}\n\nMedians of {rounds} rounds, each a fresh process per row, in shuffled order.", data
