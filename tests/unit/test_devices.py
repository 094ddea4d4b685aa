from __future__ import annotations

from pushreg.models.kazoo import Content, Subscription
from pushreg.stores.devices import SubscriptionCache
from tests.support.calls import kazoo_data

MOMENT = "2024-01-01T00:00:00Z"


def seen(device_id: str) -> Subscription:
    return Subscription(device_id, Content.from_data(kazoo_data("phone"), "app"), 3, MOMENT, MOMENT, None)


def test_subscription_cache_drops_document() -> None:
    cache = SubscriptionCache()
    cache.keep("account", seen("desk"))
    cached = cache.get_cached("account", "desk")
    assert cached is not None
    assert cached.revision == seen("desk").revision
    assert cached.content.mobile_device_id == "phone"
    assert cached.content.document == {}


def test_subscription_cache_separates_accounts_and_devices() -> None:
    cache = SubscriptionCache()
    cache.keep("account", seen("desk"))
    assert cache.get_cached("other", "desk") is None
    assert cache.get_cached("account", "den") is None


def test_subscription_cache_is_bounded() -> None:
    cache = SubscriptionCache()
    for number in range(2500):
        cache.keep("account", seen(f"desk-{number}"))
        assert cache.get_cached("account", f"desk-{number}") is not None
    assert sum(cache.get_cached("account", f"desk-{number}") is not None for number in range(2500)) <= 1000
