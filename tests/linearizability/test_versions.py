"""The last release and this version at once on the same tables, as during a canary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pushreg_ops.records.invariants import Rule
from tests.linearizability.conftest import CLIENTS, Report
from tests.linearizability.dialect_engagement import Engagement
from tests.linearizability.dialect_kazoo import Kazoo
from tests.linearizability.dialect_places import Places
from tests.linearizability.histories import CALLS, LIFETIME, AnyDialect, History, judge, make_client, record
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


@pytest.mark.parametrize(
    "dialect",
    [Kazoo(), Engagement(LIFETIME, is_modern=False), Places(LIFETIME)],
    ids=lambda dialect: dialect.name,
)
def test_histories_of_two_versions_are_linearizable(
    dialect: AnyDialect, client: Any, released_clients: list[Send], stored: Stored, report: Report
) -> None:
    clients = [*released_clients, *(make_client(client) for _ in range(CLIENTS - len(released_clients)))]
    for number in range(HISTORIES):
        history = record(dialect, clients, f"versions {dialect.name} {number}", stored)
        if dialect.name == "engagement":
            history = mark_released(history, len(released_clients))
        problems = judge(dialect, history, UNKNOWN_TO_RELEASE)
        assert not problems, "\n".join([f"history {number}:", *problems])
        assert history.unanswered == 0
    report(
        f"{dialect.name}: {HISTORIES} histories of {CALLS} calls, half of the {CLIENTS} clients on"
        f" {find_release()[0]}, all linearizable"
    )


def mark_released(history: History, released: int) -> History:
    """Return the history with the calls of the first clients under the rules of the last release."""
    events = (
        replace(event, call=event.call._replace(is_released=True)) if event.client < released else event
        for event in history.events
    )
    return replace(history, events=tuple(events))
