"""Six clients at once on few shared ids: what they see is what some order of atomic calls would show."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.support.stored import Stored
from tests.trust.conftest import CLIENTS, Report
from tests.trust.histories import CALLS, AnyFamily, judge, list_families, make_client, record

HISTORIES = int(os.environ.get("TRUST_HISTORIES", "100"))

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("family", list_families(), ids=lambda family: family.name)
def test_histories_are_linearizable(family: AnyFamily, client: Any, stored: Stored, report: Report) -> None:
    clients = [make_client(client) for _ in range(CLIENTS)]
    unanswered = 0
    for number in range(HISTORIES):
        history = record(family, clients, f"{family.name} {number}", stored)
        problems = judge(family, history)
        assert not problems, "\n".join([f"history {number}:", *problems])
        unanswered += history.unanswered
    report(
        f"{family.name}: {HISTORIES} histories of {CALLS} calls by {CLIENTS} clients, all linearizable; "
        f"{unanswered} calls answered 5xx"
    )
