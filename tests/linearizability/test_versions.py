"""The last release and this version at once on the same tables, as during a canary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pushreg_ops.records.invariants import Rule, check_subscribers
from tests.linearizability.conftest import CLIENTS, Report
from tests.linearizability.dialect_engagement import Engagement
from tests.linearizability.dialect_kazoo import Kazoo
from tests.linearizability.dialect_places import Places
from tests.linearizability.histories import CALLS, LIFETIME, AnyDialect, judge, make_client, record
from tests.linearizability.released import find_release, run_released, unpack_release
from tests.support.calls import Send
from tests.support.stored import Stored

HISTORIES = 20
# 1.0.0 has no index by user and leaves its attribute as it is; `pushreg verify --repair` corrects it afterwards.
UNKNOWN_TO_RELEASE = frozenset({Rule.INDEXED})

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_release(tmp_path_factory.mktemp("release"))


@pytest.fixture
def released_clients(release: Path, endpoint: str) -> Iterator[list[Send]]:
    """Half of the callers, each with functions of the last release."""
    with ExitStack() as stack:
        environment = {"STALE_AFTER_DAYS": str(LIFETIME)}
        yield [stack.enter_context(run_released(release, endpoint, environment)) for _ in range(CLIENTS // 2)]


@pytest.mark.parametrize("dialect", [Kazoo(), Places(LIFETIME)], ids=lambda dialect: dialect.name)
def test_histories_of_two_versions_are_linearizable(
    dialect: AnyDialect, client: Any, released_clients: list[Send], stored: Stored, report: Report
) -> None:
    clients = [*released_clients, *(make_client(client) for _ in range(CLIENTS - len(released_clients)))]
    for number in range(HISTORIES):
        history = record(dialect, clients, f"versions {dialect.name} {number}", stored)
        problems = judge(dialect, history)
        assert not problems, "\n".join([f"history {number}:", *problems])
        assert history.unanswered == 0
    report(
        f"{dialect.name}: {HISTORIES} histories of {CALLS} calls, half of the {CLIENTS} clients on"
        f" {find_release()[0]}, all linearizable"
    )


def test_histories_of_two_versions_keep_invariants_of_subscribers(
    client: Any, released_clients: list[Send], stored: Stored, report: Report
) -> None:
    # No one model explains both: 1.0.0 answers 403 where this version takes a sid from an inactive subscriber.
    clients = [*released_clients, *(make_client(client) for _ in range(CLIENTS - len(released_clients)))]
    for number in range(HISTORIES):
        history = record(Engagement(LIFETIME, is_modern=False), clients, f"versions engagement {number}", stored)
        violations = [each for each in check_subscribers(list(history.items), 0) if each.rule not in UNKNOWN_TO_RELEASE]
        assert violations == []
        assert history.unanswered == 0
        assert history.items
    report(
        f"engagement: {HISTORIES} histories of {CALLS} calls, half of the clients on {find_release()[0]}, none broken"
    )
