"""Warm requests: one process per variant, all of them asked in turn, in shuffled rounds."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bench.figures import median_ratio, shuffle_rounds, table
from bench.interpreter import command, environment
from bench.scenarios import SCENARIOS, Scenario

FLOOR_OF = {"engagement duplicate XML": "engagement duplicate JSON"}


class Worker:
    """A process of bench.worker."""

    def __init__(self, variant: str, scenario: Scenario, endpoint: str | None) -> None:
        self._process = subprocess.Popen(
            command("-m", "bench.worker", variant, scenario.name, "database" if endpoint else "memory"),
            env=environment(variant, scenario.family, endpoint),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, requests: int) -> dict[str, float]:
        """Return the processor time per request and the median time of one, in microseconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{requests}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a worker ended early; its words stand above")
        answer: dict[str, float] = json.loads(line)
        return answer

    def stop(self) -> None:
        """End the process."""
        self._process.communicate()


@contextmanager
def workers(endpoint: str | None) -> Iterator[dict[tuple[str, str], Worker]]:
    """Yield a worker for each scenario and variant."""
    with ExitStack() as stack:
        running = {}
        for scenario in SCENARIOS:
            floor = () if scenario.name in FLOOR_OF else ("floor",)
            for variant in ("pushreg", *floor, *scenario.peers):
                worker = Worker(variant, scenario, endpoint)
                stack.callback(worker.stop)
                running[scenario.name, variant] = worker
        yield running


def run(rounds: int, requests: int, endpoint: str | None) -> tuple[str, dict[str, Any]]:
    """Return the table and the figures: processor time from memory, or time on the wall where there is a database."""
    figure = "wall" if endpoint else "cpu"
    with workers(endpoint) as running:
        for worker in running.values():
            worker.ask(requests)
        measures = {key: (lambda worker=worker: worker.ask(requests)[figure]) for key, worker in running.items()}
        figures = shuffle_rounds(measures, rounds)
    data: dict[str, Any] = {}
    for (name, variant), values in figures.items():
        base = figures[FLOOR_OF.get(name, name), "floor"]
        data.setdefault(name, {})[variant] = {
            "us": round(statistics.median(values), 1),
            "ratio": round(median_ratio(values, base), 2),
        }
    json_name, xml_name = "engagement duplicate JSON", "engagement duplicate XML"
    data[xml_name]["pushreg"]["ratio_to_json"] = round(
        median_ratio(figures[xml_name, "pushreg"], figures[json_name, "pushreg"]), 2
    )
    for name, peers in data.items():
        if "fastapi" in peers:
            ratio = median_ratio(figures[name, "pushreg"], figures[name, "fastapi"])
            peers["pushreg"]["ratio_to_fastapi"] = round(ratio, 2)
    rows = [
        (name, *(_cell(data[name].get(variant)) for variant in ("pushreg", "floor", "fastapi", "chalice")))
        for name in data
    ]
    what = "on DynamoDB Local, µs on the wall" if endpoint else "answered from memory, µs of CPU"
    text = table((f"warm request, {what}", "Pushreg", "floor", "FastAPI + Mangum", "Chalice"), rows)
    return f"{text}\n\nIn brackets: to the floor. Medians of {rounds} shuffled rounds of {requests} requests.", data


def _cell(values: dict[str, float] | None) -> str:
    return f"{values['us']:.0f} ({values['ratio']:.2f})" if values else ""
