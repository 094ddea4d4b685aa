from __future__ import annotations

from pushreg.models.kazoo import Content, Subscription
from pushreg.stores.devices import Memory
from tests.support.calls import subscription

MOMENT = "2024-01-01T00:00:00Z"


def seen(device_id: str) -> Subscription:
    return Subscription(device_id, Content.from_data(subscription("phone"), "app"), 3, MOMENT)


def test_a_subscription_is_remembered_without_its_document() -> None:
    memory = Memory()
    memory.keep("account", seen("desk"))
    recalled = memory.recall("account", "desk")
    assert recalled is not None
    assert recalled.revision == seen("desk").revision
    assert recalled.content.mobile_device_id == "phone"
    assert recalled.content.document == {}


def test_accounts_and_devices_are_apart() -> None:
    memory = Memory()
    memory.keep("account", seen("desk"))
    assert memory.recall("other", "desk") is None
    assert memory.recall("account", "den") is None


def test_memory_is_bounded() -> None:
    memory = Memory()
    for number in range(2500):
        memory.keep("account", seen(f"desk-{number}"))
        assert memory.recall("account", f"desk-{number}") is not None
    assert sum(memory.recall("account", f"desk-{number}") is not None for number in range(2500)) <= 1000
