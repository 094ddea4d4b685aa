"""Sixty-four callers that all change one device, one mobile device or one token: nobody waits long or asks often.

The bounds are those that hold on any machine: answers, outcomes and calls. docs/decisions/contention.md has the times.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from statistics import mean
from typing import Any

import pytest

from pushreg.dynamodb import MAX_REFUSALS
from pushreg.http import MAX_CALLS
from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS
from tests.support.calls import Reply
from tests.support.clients import connect_functions
from tests.support.contention import Act, register, subscribe, take_over
from tests.support.gateway import Gateway
from tests.support.scenarios import Api, warm_up
from tests.support.stored import Stored

pytestmark = pytest.mark.engine

CALLERS = 64
EACH = 4
# With which a machine that is busy with the callers themselves never runs into a limit of time.
PATIENCE = 60.0


@pytest.fixture
def lines() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def api(endpoint: str, lines: list[dict[str, Any]]) -> Api:
    client = connect_functions(endpoint, patience=PATIENCE)
    gateway = Gateway(
        client,
        sleep=time.sleep,
        timer=lambda: time.monotonic() / 100,
        emit=lambda line: lines.append(json.loads(line)),
    )
    api = Api.over(gateway.send)
    warm_up(api)
    return api


@pytest.mark.parametrize(
    ("act", "table", "fine"),
    [
        (subscribe, SUBSCRIBERS, {"created", "updated"}),
        (take_over, DEVICES, {"takeover", "moved", "updated", "missing"}),
        (register, PLACES, {"created", "refreshed", "deleted", "missing"}),
    ],
    ids=["engagement device", "kazoo mobile device", "places token"],
)
def test_many_callers_of_one_registration_are_bounded(
    act: Act, table: str, fine: set[str], api: Api, lines: list[dict[str, Any]], empty: Stored
) -> None:
    if act is take_over:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda caller: api.kazoo.put(f"desk-{caller}", f"phone-{caller}"), range(CALLERS)))
    lines.clear()

    def call(caller: int) -> list[Reply]:
        return [act(api, caller, turn) for turn in range(EACH)]

    with ThreadPoolExecutor(CALLERS) as pool:
        replies = [reply for each in pool.map(call, range(CALLERS)) for reply in each]
    outcomes = Counter(line["outcome"] for line in lines)
    assert outcomes.keys() <= fine | {"contended"}, outcomes
    assert outcomes["contended"] < len(replies)
    assert {reply.status for reply in replies if reply.status >= 500} <= {503}
    assert {reply.headers["retry-after"] for reply in replies if reply.status == 503} <= {"1"}
    calls = [line["calls"] for line in lines]
    print(f"{act.__name__}: mean {mean(calls):.2f}, at most {max(calls)}, {outcomes}")  # noqa: T201
    assert max(calls) <= min(MAX_CALLS, MAX_REFUSALS + 3)
    assert sum(line["Faults"] for line in lines) == 0
    assert sum(line["Contended"] for line in lines) == outcomes["contended"]
    empty.settled(table)


@pytest.mark.parametrize("act", [subscribe, take_over, register], ids=["engagement", "kazoo", "places"])
def test_caller_of_other_registration_is_not_refused(
    act: Act, api: Api, lines: list[dict[str, Any]], empty: Stored
) -> None:
    """Beside the many, somebody with a registration of their own makes the same calls as if alone."""
    hot = ThreadPoolExecutor(CALLERS)
    turns = [hot.submit(act, api, caller, 0) for caller in range(CALLERS)]
    while not all(turn.done() for turn in turns):
        api.engagement.subscribe("cool", f"cool-{time.monotonic_ns()}")
    hot.shutdown()
    own = [line for line in lines if line["operation"] == "subscribe" and line["outcome"] in ("created", "updated")]
    assert own
    assert act is subscribe or {line["calls"] for line in own} <= {2, 3}
