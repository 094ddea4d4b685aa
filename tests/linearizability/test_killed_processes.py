"""Processes killed during takeovers leave no partial write."""

from __future__ import annotations

import math
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import IO

import pytest

from pushreg.schema import DEVICES
from pushreg_local.template import find_template
from tests.linearizability.conftest import Report
from tests.linearizability.dialect_kazoo import Kazoo
from tests.linearizability.histories import AnyEvent, History, judge
from tests.linearizability.order_search import Event
from tests.linearizability.worker import Begun, Ended
from tests.support.stored import Stored

KILLS = int(os.environ.get("KILLS", "50"))
WORKERS = 3
LONGEST_WAIT = 0.06
ROOT = find_template(Path(__file__)).parent

pytestmark = pytest.mark.engine


class ForkServer:
    """Sends commands to the fork server."""

    def __init__(self, orders: IO[str], answers: IO[str]) -> None:
        self._orders = orders
        self._answers = answers
        assert self._answers.readline() == "ready\n"

    def order(self, *words: object) -> int:
        """Give the order and return its answer."""
        self._orders.write(" ".join(map(str, words)) + "\n")
        self._orders.flush()
        return int(self._answers.readline())


@pytest.fixture
def fork_server(endpoint: str) -> Iterator[ForkServer]:
    """A fork server that is stopped after the test."""
    command = [sys.executable, "-m", "tests.linearizability.fork_server", endpoint]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="ascii"
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield ForkServer(process.stdin, process.stdout)


def test_killed_processes_leave_no_partial_write(
    fork_server: ForkServer, stored: Stored, tmp_path: Path, report: Report
) -> None:
    random = Random("kills")
    kills = in_a_call = rounds = 0
    while in_a_call < KILLS:
        rounds += 1
        assert rounds <= 2 * KILLS, f"only {in_a_call} of {kills} kills struck during a call"
        logs = [tmp_path / f"{rounds}-{number}" for number in range(WORKERS)]
        workers = [fork_server.order("start", rounds, number, log) for number, log in enumerate(logs)]
        for log in logs:
            await_work(log)
        time.sleep(random.uniform(0, LONGEST_WAIT))
        # All of them: one that lived on would cover up what the others left half done.
        kills += sum(fork_server.order("kill", worker) == -signal.SIGKILL for worker in workers)
        events = [event for number, log in enumerate(logs) for event in read(number, log)]
        in_a_call += sum(event.end == math.inf for event in events)
        history = History(tuple(sorted(events, key=lambda event: event.start)), tuple(settle(stored)), 0.0)
        problems = judge(Kazoo(), history)
        assert not problems, "\n".join([f"round {rounds}:", *problems])
        stored.clear(DEVICES)
    report(f"kill -9: {kills} workers killed, {in_a_call} of them during a call; all histories linearizable")


def await_work(log: Path) -> None:
    """Return once the worker has begun its first call."""
    deadline = time.monotonic() + 60
    while not log.exists() or not log.stat().st_size:
        assert time.monotonic() < deadline, "the worker does not begin"
        time.sleep(0.002)


def read(number: int, log: Path) -> Iterator[AnyEvent]:
    """Yield what the worker saw; a call that it did not live to see the end of has no answer and no end."""
    begun: Begun | None = None
    with log.open("rb") as file:
        while True:
            try:
                record = pickle.load(file)
            except EOFError:
                break
            if isinstance(record, Ended):
                assert begun is not None
                yield Event(number, begun.call, record.answer, begun.moment, record.moment)
                begun = None
            else:
                begun = record
    if begun is not None:
        yield Event(number, begun.call, None, begun.moment, math.inf)


def settle(stored: Stored) -> list[dict[str, object]]:
    """Return the items once the engine has done what killed workers had asked of it."""
    items = stored.items(DEVICES)
    while True:
        time.sleep(0.05)
        again = stored.items(DEVICES)
        if again == items:
            return items
        items = again
