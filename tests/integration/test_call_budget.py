"""What each operation costs, counted where the functions' own client sends (docs/performance.md, "DynamoDB")."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.calls import Kazoo, Places
from tests.support.gateway import Gateway
from tests.support.scenarios import SCENARIOS, Api, Scenario, warm_up
from tests.support.stored import Stored
from tests.support.wire import Wire

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_call_budget_with_warm_cache_is_kept(scenario: Scenario, gateway: Gateway, wire: Wire, empty: Stored) -> None:
    api = Api.over(gateway.send)
    warm_up(api)
    prepared = scenario.prepare(api)
    wire.clear()
    assert scenario.call(api, prepared).status == scenario.status
    assert len(wire.calls) == scenario.calls, wire.calls


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_call_budget_with_cold_cache_is_kept(scenario: Scenario, gateway: Gateway, wire: Wire, empty: Stored) -> None:
    prepared = scenario.prepare(Api.over(Gateway(empty.client).send))
    assert scenario.call(Api.over(gateway.send), prepared).status == scenario.status
    assert len(wire.calls) == scenario.cold, wire.calls
    # Only a change of a Kazoo subscription has to look first at what it changes.
    assert scenario.cold <= scenario.calls + (2 if scenario.name.startswith("kazoo POST") else 1)


@pytest.mark.parametrize(
    ("family", "secret"), [("kazoo", None), ("kazoo", "unknown"), ("places", None), ("places", "unknown")]
)
def test_call_budget_of_unauthenticated_request_is_at_most_one(
    family: str, secret: str | None, client: Any, wire: Wire, empty: Stored
) -> None:
    gateway = Gateway(client)
    reply = (
        Kazoo(gateway.send, secret).put("desk", "phone")
        if family == "kazoo"
        else Places(gateway.send, secret).put("token")
    )
    assert reply.status == 401
    assert len(wire.calls) == (0 if secret is None else 1)
