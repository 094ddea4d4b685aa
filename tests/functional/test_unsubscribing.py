"""Which subscriber an unsubscribe request names (docs/spec/engagement.md#what-unsubscribe-requires)."""

from __future__ import annotations

from typing import Any

import pytest

from pushreg.schema import SUBSCRIBERS
from tests.support.calls import APPLICATION, Engagement, answered
from tests.support.gateway import Gateway
from tests.support.stored import Stored

OTHER_APPLICATION = "VoltMX Foundry MessagingDEV"
DONE, UNCLEAR, MISSING = "200", "403", "404"


@pytest.fixture
def engagement(client: Any, empty: Stored) -> Engagement:
    return Engagement(Gateway(client).send)


@pytest.mark.parametrize(
    ("application", "device_id", "code"),
    [
        (None, None, DONE),
        (APPLICATION, None, DONE),
        (None, "phone", DONE),
        (APPLICATION, "phone", DONE),
        (None, "other-phone", UNCLEAR),
        (None, "nobody-s-phone", UNCLEAR),
        (APPLICATION, "other-phone", UNCLEAR),
        (APPLICATION, "nobody-s-phone", UNCLEAR),
        (OTHER_APPLICATION, None, MISSING),
        (OTHER_APPLICATION, "phone", MISSING),
        ("nobody-s-app", None, MISSING),
    ],
)
def test_unsubscribe_by_ksid_with_other_ids_returns_expected_status(
    application: str | None, device_id: str | None, code: str, engagement: Engagement, empty: Stored
) -> None:
    ksid = answered(engagement.subscribe("phone", "sid"))[1]
    engagement.subscribe("other-phone", "other-sid")
    reply = engagement.unsubscribe(ksid=ksid, appId=application, deviceId=device_id)
    assert answered(reply)[:2] == (code, ksid if code == DONE else "-1")
    active = {item["deviceId"]: item["active"] for item in empty.settled(SUBSCRIBERS) if "sid" in item}
    assert active == {"phone": code != DONE, "other-phone": True}


@pytest.mark.parametrize("ksid", ["1" * 19, "1", "0" * 19, "x", "9" * 20])
@pytest.mark.parametrize("application", [None, APPLICATION])
@pytest.mark.parametrize("device_id", [None, "phone"])
def test_unsubscribe_by_unknown_ksid_returns_404(
    ksid: str, application: str | None, device_id: str | None, engagement: Engagement, empty: Stored
) -> None:
    engagement.subscribe("phone", "sid")
    before = empty.items(SUBSCRIBERS)
    assert answered(engagement.unsubscribe(ksid=ksid, appId=application, deviceId=device_id))[0] == MISSING
    assert empty.items(SUBSCRIBERS) == before


@pytest.mark.parametrize(
    ("subscribed", "named", "code"),
    [
        ("2100", "2100", DONE),
        ("2100", "0x2100", DONE),
        ("0x2100", "2100", DONE),
        ("0x2100", "0X2100", DONE),
        ("2100", "0x0x2100", MISSING),
    ],
)
def test_unsubscribe_blackberry_ignores_hex_prefix(
    subscribed: str, named: str, code: str, engagement: Engagement, empty: Stored
) -> None:
    engagement.subscribe(subscribed, "sid", osType="blackberry")
    assert answered(engagement.unsubscribe(appId=APPLICATION, deviceId=named))[0] == code
    empty.settled(SUBSCRIBERS)


def test_unsubscribe_other_os_type_respects_hex_prefix(engagement: Engagement, empty: Stored) -> None:
    engagement.subscribe("2100", "sid")
    assert answered(engagement.unsubscribe(appId=APPLICATION, deviceId="0x2100"))[0] == MISSING
    engagement.subscribe("0x2100", "other-sid")
    assert answered(engagement.unsubscribe(appId=APPLICATION, deviceId="0x2100"))[0] == DONE
    active = {item["deviceId"]: item["active"] for item in empty.settled(SUBSCRIBERS) if "sid" in item}
    assert active == {"2100": True, "0x2100": False}
