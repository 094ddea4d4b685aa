"""Histories with network faults: linearizable, within the function's time limit, few 5xx."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import pytest

from tests.linearizability.conftest import CLIENTS, Report
from tests.linearizability.dialect_engagement import Engagement
from tests.linearizability.dialect_kazoo import Kazoo
from tests.linearizability.dialect_places import Places
from tests.linearizability.faults import Fault
from tests.linearizability.histories import CALLS, AnyDialect, judge, list_days, list_dialects, make_client, record
from tests.linearizability.model_engagement import Subscribe
from tests.linearizability.model_kazoo import Call as KazooCall
from tests.linearizability.model_kazoo import Content
from tests.linearizability.model_places import Call as PlacesCall
from tests.linearizability.proxy import Proxy
from tests.linearizability.stack import ACCOUNTS, ALL_PLACES_KEY, APPLICATIONS, PLACE_IDS, connect_to
from tests.support.gateway import read_template
from tests.support.stored import Stored

HISTORIES = int(os.environ.get("HISTORIES", "100")) // 6
DIALECTS = list_dialects()
# In place of the functions' two seconds, so that silences do not take all the time that there is.
PATIENCE = 1.0
FUNCTION_SECONDS = min(function.timeout for function in read_template().functions)
LARGEST_SHARE = {0.05: 0.005}

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("transport", ["direct", "boto3"])
@pytest.mark.parametrize("rate", [0.05, 0.15, 0.4])
def test_histories_with_network_faults_are_linearizable(
    rate: float, transport: str, endpoint: str, stored: Stored, report: Report
) -> None:
    calls = unanswered = void = 0
    slowest = 0.0
    days = list_days(CLIENTS)
    proxy = Proxy(endpoint, rate, f"faults {rate}", PATIENCE)
    with proxy.run() as address, connect_to(address, PATIENCE, transport) as client:
        for dialect in DIALECTS:
            clients = [make_client(client, day) for day in days]
            for number in range(HISTORIES):
                overdue = proxy.overdue
                history = record(dialect, clients, f"{rate} {dialect.name} {number}", stored, days)
                if proxy.overdue > overdue:
                    # The engine was slower than the client's patience: a request may have overtaken its own repeat,
                    # which no client can know (docs/reliability.md).
                    void += 1
                    continue
                problems = judge(dialect, history, has_faults=True)
                assert not problems, "\n".join([f"{dialect.name}, history {number}:", *problems])
                calls += len(history.events)
                unanswered += history.unanswered
                slowest = max(slowest, history.slowest)
    judged = calls // CALLS
    share = unanswered / max(calls, 1)
    report(
        f"{transport}, {rate:.0%} faults ({proxy.faults.total()} in {proxy.requests} requests): {judged} histories, "
        f"all linearizable, {void} void; {unanswered} of {calls} calls answered 5xx ({share:.2%}); "
        f"slowest {slowest:.1f} s"
    )
    assert judged >= len(DIALECTS) * HISTORIES / 2
    assert set(proxy.faults) == set(Fault) or proxy.faults.total() < 1000
    assert slowest < FUNCTION_SECONDS
    assert share <= LARGEST_SHARE.get(rate, 1.0)


CALLS_OF_ALL: list[tuple[AnyDialect, Any]] = [
    (Kazoo(), KazooCall("PUT", ACCOUNTS[0], ACCOUNTS[0], "desk", Content("softphone", "phone", ("token 0",)))),
    (Engagement(), Subscribe("xml", APPLICATIONS[0], "handset", "red", "iphone", None)),
    (Places(), PlacesCall("PUT", ALL_PLACES_KEY, PLACE_IDS[0], "token 1")),
]


@pytest.mark.parametrize("transport", ["direct", "boto3"])
def test_call_to_unresponsive_database_ends_within_function_timeout(
    transport: str, endpoint: str, stored: Stored
) -> None:
    """Takes ten seconds: the one test that waits as long as the functions do."""
    answers: list[Any] = []
    proxy = Proxy(endpoint, 1.0, "silence", 2.0, only=Fault.SILENT)
    with proxy.run() as address, connect_to(address, transport=transport) as client:
        send = make_client(client)
        threads = [
            threading.Thread(target=lambda pair: answers.append(pair[0].perform(send, pair[1])), args=(pair,))
            for pair in CALLS_OF_ALL
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
    assert answers == [None] * len(CALLS_OF_ALL)
    assert took < FUNCTION_SECONDS
