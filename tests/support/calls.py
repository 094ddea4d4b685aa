"""Callers of the families, with requests that are valid by default."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from pushreg_local.demo import ACCOUNT_ID, ACCOUNT_TOKEN, ENGAGEMENT_KEY, PLACE_ID, PLACES_KEY, SENDER_KEY

Answer = tuple[int, Mapping[str, str], bytes]
Send = Callable[[str, str, Mapping[str, str], bytes | None], Answer]

APP = "com.example.softphone"
APPLICATION = "demo-app"


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's data."""
        return json.loads(self.body)


class Kazoo:
    """Devices of an account, the demo's by default."""

    def __init__(self, send: Send, token: str | None = ACCOUNT_TOKEN, account_id: str = ACCOUNT_ID) -> None:
        self._send = send
        self._token = token
        self._account_id = account_id

    def call(self, method: str, device_id: str, data: Any = None, app: str = APP, **headers: str) -> Reply:
        """Send the verb; header names are written with underscores."""
        path = kazoo_path(device_id, app, self._account_id)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self._token is not None:
            sent["x-auth-token"] = self._token
        body = None if data is None else json.dumps({"data": data}).encode()
        return Reply(*self._send(method, path, {"content-type": "application/json", **sent}, body))

    def put(self, device_id: str, mobile_device_id: str, **headers: str) -> Reply:
        """Subscribe the device."""
        return self.call("PUT", device_id, kazoo_data(mobile_device_id), **headers)

    def post(self, device_id: str, mobile_device_id: str, proxy: str = "192.0.2.9", **headers: str) -> Reply:
        """Replace the device's subscription; another proxy makes it another content."""
        return self.call("POST", device_id, kazoo_data(mobile_device_id, proxy), **headers)

    def get(self, device_id: str, **headers: str) -> Reply:
        """Fetch the device's subscription."""
        return self.call("GET", device_id, **headers)

    def delete(self, device_id: str, **headers: str) -> Reply:
        """Remove the device's subscription."""
        return self.call("DELETE", device_id, **headers)


class Engagement:
    """Subscribers of an application that is open to all."""

    def __init__(self, send: Send, application: str = APPLICATION) -> None:
        self._send = send
        self._application = application

    def subscribe(self, device_id: str, sid: str, **fields: Any) -> Reply:
        """Subscribe the device and sid; `fields` are laid over the form."""
        return self.call("subscribe", engagement_form(device_id, sid, self._application, **fields))

    def unsubscribe(self, **form: Any) -> Reply:
        """Unsubscribe by whatever the form names."""
        return self.call("unsubscribe", form)

    def call(self, action: str, form: Mapping[str, Any]) -> Reply:
        """Send the form as JSON."""
        body = json.dumps({"subscriptionService": {action: form}}).encode()
        return Reply(*self._send("POST", "/vpns/subscription", {"content-type": "application/json"}, body))


class Modern:
    """Subscribers of an open application by the modern engagement API, and their management by the demo's key."""

    def __init__(self, send: Send, application: str = APPLICATION, key: str = ENGAGEMENT_KEY) -> None:
        self._send = send
        self._application = application
        self._key = key

    def subscribe(self, device_id: str, sid: str, **fields: Any) -> Reply:
        """Subscribe the device and sid; `fields` are laid over the form."""
        form = engagement_form(device_id, sid, self._application, **fields)
        return self.call("POST", "", {"subscriptionService": {"subscribe": form}})

    def unsubscribe(self, ksid: str) -> Reply:
        """Unsubscribe by KSID."""
        return self.call("POST", "", {"subscriptionService": {"unsubscribe": {"ksid": ksid}}})

    def read(self, ksid: str) -> Reply:
        """Read one subscriber."""
        return self.call("GET", f"/{ksid}")

    def list(self, **query: Any) -> Reply:
        """List the application's subscribers, or those of another `appId`."""
        return self.call("GET", "?" + urlencode({"appId": self._application, **query}))

    def set_active(self, ksid: str, active: bool) -> Reply:
        """Activate or inactivate one subscriber."""
        return self.call("POST", f"/{ksid}/{'activate' if active else 'inactivate'}")

    def delete(self, *ksids: str) -> Reply:
        """Delete inactive subscribers."""
        return self.call("POST", "/delete/ksids", {"ksids": ksids})

    def call(self, method: str, path: str, data: Any = None) -> Reply:
        """Send a request below `/subscribers`."""
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._key}"}
        body = None if data is None else json.dumps(data).encode()
        return Reply(*self._send(method, f"/api/v1/subscribers{path}", headers, body))


class Places:
    """Tokens of a place, the demo's by default."""

    def __init__(self, send: Send, key: str | None = PLACES_KEY, place_id: str = PLACE_ID) -> None:
        self._send = send
        self._headers = {"authorization": f"Bearer {key}"} if key is not None else {}
        self._path = places_path(place_id)

    def put(self, token: str) -> Reply:
        """Register the token."""
        return self._call("PUT", token)

    def delete(self, token: str) -> Reply:
        """Remove the token."""
        return self._call("DELETE", token)

    def _call(self, method: str, token: str) -> Reply:
        headers = {"content-type": "application/json", **self._headers}
        return Reply(*self._send(method, self._path, headers, json.dumps({"device_token": token}).encode()))


class Senders:
    """What a sender asks and reports, with the demo's key by default."""

    def __init__(self, send: Send, key: str | None = SENDER_KEY) -> None:
        self._send = send
        self._headers = {"authorization": f"Bearer {key}"} if key is not None else {}

    def report(self, *results: Any) -> Reply:
        """Report the results."""
        return self._call("feedback", {"results": list(results)})

    def look_up(self, *addresses: Any, cursor: str | None = None) -> Reply:
        """Look the addresses up."""
        return self._call("lookup", {"addresses": list(addresses), "cursor": cursor})

    def list_place(self, place_id: str = PLACE_ID, query: str = "") -> Reply:
        """List the tokens of a place."""
        return Reply(*self._send("GET", f"{places_path(place_id)}{query}", self._headers, None))

    def _call(self, operation: str, data: Any) -> Reply:
        headers = {"content-type": "application/json", **self._headers}
        return Reply(*self._send("POST", f"/pushreg/v1/{operation}", headers, json.dumps(data).encode()))


def kazoo_path(device_id: str, app: str = APP, account_id: str = ACCOUNT_ID) -> str:
    """Return the path of a device's subscription."""
    return f"/v2/accounts/{account_id}/push_notification_subscriptions/{quote(app)}/{quote(device_id)}"


def kazoo_data(
    mobile_device_id: str, proxy: str = "192.0.2.9", token: str | None = None, **changes: Any
) -> dict[str, Any]:
    """Return the `data` of a valid Kazoo subscription with the changes laid over it."""
    registration = {"notification_preferences": ["incoming_call", "chat"], "notification_type": "fcm"}
    return {
        "mobile_device_id": mobile_device_id,
        "notification_registration_ids": {token or f"token-of-{mobile_device_id}": registration},
        "platform": "android",
        "sip_proxy_server": proxy,
        **changes,
    }


def engagement_form(device_id: str, sid: str, application: str = APPLICATION, **fields: Any) -> dict[str, Any]:
    """Return the members of a valid subscribe request with the fields laid over them."""
    return {"appId": application, "deviceId": device_id, "sid": sid, "osType": "androidgcm", **fields}


def places_path(place_id: str = PLACE_ID) -> str:
    """Return the path of a place's subscriptions."""
    return f"/dts/places/{place_id}/subscriptions"


def answered(reply: Reply) -> tuple[str, str, str]:
    """Return status, KSID and message of an engagement answer."""
    response = reply.json["subscriptionResponse"]
    return response["statusCode"], response["ksid"], response["message"]
