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

VARIANTS = {
    "pushreg": "Pushreg",
    "floor": "floor",
    "powertools": "Powertools",
    "fastapi": "FastAPI + Mangum",
    "chalice": "Chalice",
}


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

        self.answer = self._read()

    def ask(self, requests: int) -> dict[str, float]:
        """Return the processor time per request and the median time of one, in microseconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{requests}\n")
        self._process.stdin.flush()
        cost: dict[str, float] = self._read()
        return cost

    def stop(self) -> None:
        """End the process."""
        self._process.communicate()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a worker ended early; its words stand above")
        return json.loads(line)


@contextmanager
def workers(endpoint: str | None) -> Iterator[dict[tuple[str, str], Worker]]:
    """Yield a worker for each scenario and variant; from memory, all variants of a scenario must answer alike."""
    with ExitStack() as stack:
        running: dict[tuple[str, str], Worker] = {}
        for scenario in SCENARIOS:
            for variant in VARIANTS:
                worker = Worker(variant, scenario, endpoint)
                stack.callback(worker.stop)
                ours = running.setdefault((scenario.name, "pushreg"), worker)
                if endpoint is None and worker.answer != ours.answer:
                    raise RuntimeError(f"{scenario.name}: {variant} says {worker.answer}, Pushreg {ours.answer}")
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
        data.setdefault(name, {})[variant] = {
            "us": round(statistics.median(values), 1),
            "ratio": round(median_ratio(values, figures[name, "floor"]), 2),
        }
        ratio_to_fastapi = median_ratio(figures[name, "pushreg"], figures[name, "fastapi"])
        data[name]["pushreg"]["ratio_to_fastapi"] = round(ratio_to_fastapi, 2)
    ratio_to_json = median_ratio(
        figures["engagement duplicate XML", "pushreg"], figures["engagement duplicate JSON", "pushreg"]
    )
    data["engagement duplicate XML"]["pushreg"]["ratio_to_json"] = round(ratio_to_json, 2)
    rows = [(name, *(_cell(data[name][variant]) for variant in VARIANTS)) for name in data]
    what = "on DynamoDB Local, µs on the wall" if endpoint else "answered from memory, µs of CPU"
    text = table((f"warm request, {what}", *VARIANTS.values()), rows)
    to_fastapi = ", ".join(f"{each['pushreg']['ratio_to_fastapi']:.2f}" for each in data.values())
    notes = (
        f"In brackets: to the floor. Medians of {rounds} shuffled rounds of {requests} requests.\n"
        f"Pushreg to FastAPI + Mangum, row by row: {to_fastapi}. Its XML to its JSON: {ratio_to_json:.2f}."
    )
    return f"{text}\n\n{notes}", data


def _cell(values: dict[str, float]) -> str:
    return f"{values['us']:.0f} ({values['ratio']:.2f})"
