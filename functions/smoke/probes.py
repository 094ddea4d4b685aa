"""A round trip for each family: register, find and remove, and be refused with a wrong credential.

`pushreg doctor` makes the same ones. What a probe registers it removes, whatever happens; an engagement subscriber
stays behind, inactive, since its KSID is never given to another.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Protocol

NAME = "pushreg-smoke"
LOOKUP, FEEDBACK = "/pushreg/v1/lookup", "/pushreg/v1/feedback"
# Reports of a token that was registered in the same second, and seconds between two of them.
REPORTS, PAUSE = 5, 0.5
MOBILE = {
    "notification_registration_ids": {NAME: {"notification_type": "fcm", "notification_preferences": ["chat"]}},
    "platform": "android",
    "sip_proxy_server": "sip.example.com",
}


class ProbeError(Exception):
    """The API did not answer as it should; the message says how and repeats no secret."""


class Call(Protocol):
    """Sends a request and returns the JSON of the answer; ProbeError unless its status is one of those wanted."""

    def __call__(self, method: str, path: str, headers: dict[str, str], data: Any, *wanted: int) -> dict[str, Any]: ...


def probe_kazoo(call: Call, account: str, secret: str | None, device: str = NAME) -> None:
    """Register a device of the account, find it and remove it; without a secret only be refused."""
    path = f"/v2/accounts/{account}/push_notification_subscriptions/{NAME}/{device}"
    call("GET", path, {"X-Auth-Token": "wrong"}, None, 401)
    if secret is None:
        return
    headers = {"X-Auth-Token": secret}
    data = {"data": {**MOBILE, "mobile_device_id": device}}
    with _cleaned(call, "DELETE", path, headers, None):
        call("PUT", path, headers, data, 201)
        found = call("GET", path, headers, None, 200)
        if found.get("data", {}).get("mobile_device_id") != device:
            raise ProbeError("GET does not return what was PUT")
        call("DELETE", path, headers, None, 200)
        call("GET", path, headers, None, 404)


def probe_engagement(call: Call, application: str, secret: str | None, device: str = NAME) -> None:
    """Subscribe and unsubscribe a device; without a secret only be refused."""

    def send(action: str, *wanted: str, **fields: str) -> str:
        form = {"appId": application, "deviceId": device, "sid": device, "osType": "androidgcm", **fields}
        # With EngagementAlwaysHttp200 the HTTP status is 200 whatever statusCode says.
        answer = call("POST", "/subscription", {}, {"subscriptionService": {action: form}}, *map(int, wanted), 200)
        response = answer.get("subscriptionResponse", {})
        if response.get("statusCode") not in wanted:
            raise ProbeError(f"{action} returned statusCode {response.get('statusCode')} instead of {wanted[0]}")
        return str(response.get("ksid"))

    # An application that nobody has added is answered with 404.
    send("subscribe", *(("401",) if secret is not None else ("401", "404")), authToken="wrong")
    if secret is None:
        return
    ksid = send("subscribe", "200", authToken=secret)
    if send("unsubscribe", "200", authToken=secret, ksid=ksid) != ksid:
        raise ProbeError("unsubscribe returned another KSID")


def probe_places(call: Call, place: str, secret: str | None, token: str = NAME) -> None:
    """Register and remove a token of the place; without a secret only be refused."""
    path = f"/dts/places/{place}/subscriptions"
    body = {"device_token": token}
    call("PUT", path, {"Authorization": "Bearer wrong"}, body, 401)
    if secret is None:
        return
    headers = {"Authorization": f"Bearer {secret}"}
    with _cleaned(call, "DELETE", path, headers, body):
        call("PUT", path, headers, body, 200)
        call("DELETE", path, headers, body, 200)
        call("DELETE", path, headers, body, 404)


def probe_senders(
    call: Call,
    place: str,
    secret: str | None,
    register: Call,
    register_secret: str | None,
    token: str = NAME,
    epoch: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Look a token up that `register` gave the place, report it dead and look again; without a secret only be refused.

    Without the other secret, that of the places family, only look the place up.
    """
    headers = {"Authorization": f"Bearer {secret}"}

    def find() -> list[str]:
        body = {"addresses": [{"place_id": place}]}
        results = call("POST", LOOKUP, headers, body, 200).get("results", [])
        if [each.get("status") for each in results] != ["ok"]:
            raise ProbeError("lookup does not find the place")
        return [each.get("device_token") for each in results[0].get("tokens", [])]

    call("POST", LOOKUP, {"Authorization": "Bearer wrong"}, {"addresses": [{"place_id": place}]}, 401)
    if secret is None:
        return
    if register_secret is None:
        find()
        return
    path, body = f"/dts/places/{place}/subscriptions", {"device_token": token}
    register_headers = {"Authorization": f"Bearer {register_secret}"}
    register("PUT", path, register_headers, body, 200)
    try:
        if token not in find():
            raise ProbeError("lookup does not return what was PUT")
        _report_dead(call, headers, {"place_id": place, "device_token": token}, epoch, sleep)
        if token in find():
            raise ProbeError("lookup returns a token that was reported dead")
    except ProbeError:
        with contextlib.suppress(ProbeError):
            register("DELETE", path, register_headers, body, 200, 404)
        raise


def _report_dead(
    call: Call,
    headers: dict[str, str],
    address: dict[str, str],
    epoch: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    # A verdict counts for registrations of an earlier second. A time ahead of the registry's is taken for its own.
    at = datetime.fromtimestamp(epoch() + 60, UTC).isoformat(timespec="seconds")
    body = {"results": [{**address, "provider": "fcm", "code": "UNREGISTERED", "at": at}]}
    status = None
    for _ in range(REPORTS):
        results = call("POST", FEEDBACK, headers, body, 200).get("results", [{}])
        status = results[0].get("status")
        if status != "newer":
            break
        sleep(PAUSE)
    if status != "removed":
        raise ProbeError(f"feedback returned {status} instead of removed")


@contextlib.contextmanager
def _cleaned(call: Call, method: str, path: str, headers: dict[str, str], data: Any) -> Iterator[None]:
    # Before, since a run that was killed may have left something behind.
    call(method, path, headers, data, 200, 404)
    try:
        yield
    except ProbeError:
        with contextlib.suppress(ProbeError):
            call(method, path, headers, data, 200, 404)
        raise
