"""Six concurrent clients on few shared ids: some order of atomic calls explains what they saw."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.linearizability.conftest import CLIENTS, Report
from tests.linearizability.histories import CALLS, AnyDialect, judge, list_days, list_dialects, make_client, record
from tests.support.stored import Stored

HISTORIES = int(os.environ.get("HISTORIES", "100"))

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("dialect", list_dialects(), ids=lambda dialect: dialect.name)
def test_histories_of_concurrent_clients_are_linearizable(
    dialect: AnyDialect, client: Any, stored: Stored, report: Report
) -> None:
    days = list_days(CLIENTS)
    clients = [make_client(client, day) for day in days]
    unanswered = 0
    for number in range(HISTORIES):
        history = record(dialect, clients, f"{dialect.name} {number}", stored, days)
        problems = judge(dialect, history)
        assert not problems, "\n".join([f"history {number}:", *problems])
        unanswered += history.unanswered
    report(
        f"{dialect.name}: {HISTORIES} histories of {CALLS} calls by {CLIENTS} clients, all linearizable; "
        f"{unanswered} calls answered 5xx"
    )
