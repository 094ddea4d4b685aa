"""Every generation of the vendors' SDKs goes through a device's life on a local stack, with one KSID."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

import pytest

from pushreg.schema import SUBSCRIBERS, device_claim_key, digest, ksid_key
from pushreg_local.client import connect_endpoint
from pushreg_local.demo import AUTH_TOKEN, OPEN_APPLICATIONS, SECURE_APPLICATION
from tests.e2e.sdk.client import GENERATIONS, FailureError, Generation, MessagingClient, Platform
from tests.support.stack import Stack
from tests.support.stored import Stored

BASES = ("/api/v1", "/vpns/api/v1", "/kpns/api/v1")


@dataclass(frozen=True)
class Device:
    """A device as no other test knows it."""

    device_id: str
    sid: str
    ufid: str


@pytest.fixture
def device() -> Device:
    """A new device."""
    name = uuid4().hex
    return Device(f"device {name}", f"sid:{name}/ü+&=%", f"{name}@example.com")


@pytest.fixture
def stored(stack: Stack) -> Stored:
    """What the stack stores."""
    return Stored(connect_endpoint(stack.endpoint))


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("platform", ["native", "web"])
@pytest.mark.parametrize("generation", GENERATIONS, ids=str)
def test_sdk_device_life_has_one_ksid(
    generation: Generation, platform: Platform, base: str, stack: Stack, stored: Stored, device: Device
) -> None:
    client = MessagingClient(stack.send, base, generation, platform, OPEN_APPLICATIONS[0])
    assert client.register("androidgcm", device.device_id, device.sid, device.ufid)["message"] == (
        "Subscription successful. "
    )
    ksid = client.ksid
    assert isinstance(ksid, str)
    steps = [
        (device.sid, device.ufid),  # the same again
        (f"{device.sid}-2", device.ufid),  # a new push token
        (f"{device.sid}-2", f"new-{device.ufid}"),  # another person
        (f"{device.sid}-2", ""),  # nobody
    ]
    for sid, ufid in steps:
        assert client.register("androidgcm", device.device_id, sid, ufid)["message"] == " Update successful. "
        assert client.ksid == ksid
        item = stored.get(SUBSCRIBERS, ksid_key(ksid))
        assert item is not None
        assert (item["sid"], item.get("ufid"), item["active"]) == (sid, ufid or None, True)
    assert client.update_location("15.22", 15.22, "home")["message"] == "Updated Successfully"
    assert client.unregister() == {"id": ksid, "message": "Unsubscription successful. "}
    item = stored.get(SUBSCRIBERS, ksid_key(ksid))
    assert item is not None
    assert item["active"] is False
    # SDKs up to 8.2 keep the KSID in memory and send it again.
    client.ksid = ksid
    assert client.unregister() == {"id": ksid, "message": "Already unsubscribed. "}
    client.register("androidgcm", device.device_id, f"{device.sid}-3", device.ufid)
    assert client.ksid == ksid
    claim = stored.get(SUBSCRIBERS, device_claim_key(OPEN_APPLICATIONS[0], digest(device.device_id)))
    assert claim is not None
    assert claim["ksid"] == ksid


@pytest.mark.parametrize("platform", ["native", "web"])
@pytest.mark.parametrize("generation", [each for each in GENERATIONS if each.sends_auth_token], ids=str)
def test_sdk_with_auth_token_registers_at_secure_application(
    generation: Generation, platform: Platform, stack: Stack, device: Device
) -> None:
    client = MessagingClient(stack.send, BASES[0], generation, platform, SECURE_APPLICATION)
    with pytest.raises(FailureError, match="Unauthorized request"):
        client.register("iphone", device.device_id, device.sid, "")
    client.auth_token = AUTH_TOKEN
    client.register("iphone", device.device_id, device.sid, "")
    client.update_location(1, 2, "x")
    ksid = client.ksid
    assert client.unregister()["id"] == ksid


@pytest.mark.parametrize("generation", GENERATIONS, ids=str)
def test_sdk_reads_why_registration_failed(generation: Generation, stack: Stack, device: Device) -> None:
    client = MessagingClient(stack.send, "/kpns/api/v1", generation, "web", "no such app")
    with pytest.raises(FailureError) as raised:
        client.register("iphone", device.device_id, device.sid, "")
    (error,) = raised.value.args
    assert error == {"id": "", "message": "Invalid Kony application ID", "httpStatusCode": 400}
    assert client.ksid is None


@pytest.mark.parametrize("generation", [each for each in GENERATIONS if each.unregister_method == "body"], ids=str)
def test_sdk_without_stored_ksid_fails_to_unregister(generation: Generation, stack: Stack) -> None:
    # Up to 8.2.x the KSID is kept under the server's URL, so an app that moved here has none until it registers.
    client = MessagingClient(stack.send, BASES[0], generation, "native", OPEN_APPLICATIONS[0])
    with pytest.raises(FailureError, match="Invalid KSID"):
        client.unregister()
