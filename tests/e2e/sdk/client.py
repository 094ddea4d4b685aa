"""The messaging clients of the vendors' SDKs: what each generation sends, and what it makes of an answer.

Our own code, after the tables of docs/spec/engagement-v1.md#4-createmodify-request and
docs/spec/engagement-v1.md#5-createmodify-answers; the vendors' SDKs may not be copied.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from tests.support.calls import Answer

Platform = Literal["native", "web"]
Send = Callable[[str, str, Mapping[str, str], bytes | None], Answer]
# What encodeURIComponent leaves as it is (ECMA-262).
_UNRESERVED = "-_.!~*'()"


class FailureError(Exception):
    """The SDK calls the app's failure callback with this."""


@dataclass(frozen=True)
class Generation:
    """How the SDKs of some versions behave.

    `form` is what a web build sends around the JSON; `unregister_method` is how a registration ends.
    """

    name: str
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    form: str | None = "postdata={}"
    unregister_method: Literal["body", "override", "DELETE"] = "body"
    needs_200: bool = False
    sends_auth_token: bool = True
    sends_request_id: bool = False
    # Whether the stored KSID goes before the server has answered.
    forgets_first: bool = False

    def __str__(self) -> str:
        """Return the name, for pytest."""
        return self.name


_CHARSET = "application/json;charset=utf-8"
GENERATIONS = (
    Generation(
        "pre-1.0", unregister_method="override", needs_200=True, sends_auth_token=False, forgets_first=True, form=None
    ),
    Generation(
        "PhoneGap",
        headers={"Accept": "application/json"},
        form=None,
        unregister_method="DELETE",
        sends_auth_token=False,
        forgets_first=True,
    ),
    Generation("1.0.0.0", needs_200=True, sends_auth_token=False, forgets_first=True),
    Generation("7.0.1 to 7.1.0", needs_200=True, forgets_first=True),
    Generation("7.2.0.1 to 8.2.19", forgets_first=True),
    Generation("8.3.0"),
    Generation("8.4.0 to 8.4.301", _CHARSET),
    Generation("9.5.25 to 9.5.31", _CHARSET, form=None),
    Generation("202404.0.0", _CHARSET, form=None, sends_request_id=True),
    Generation("kony.net.invokeServiceAsync", form="postdata={}&channel=rc&"),
    Generation("kony.net.invokeServiceAsync with httpconfig", form="httpconfig=%5Bobject%20Object%5D&postdata={}&"),
)


class MessagingClient:
    """One app on one device. `ksid` is what the SDK has stored."""

    def __init__(self, send: Send, base: str, generation: Generation, platform: Platform, app_id: str) -> None:
        self._send = send
        self._base = base
        self._generation = generation
        self._platform = platform
        self._app_id = app_id
        self.ksid: str | None = None
        self.auth_token: str | None = None

    def register(self, os_type: str, device_id: str, sid: str, ufid: str) -> dict[str, Any]:
        """Subscribe and store the KSID; FailureError as the app would get it."""
        form = {"sid": sid, "appId": self._app_id, "ufid": ufid, "osType": os_type, "deviceId": device_id}
        answer = self._post("/subscribers", {"subscriptionService": {"subscribe": self._sign(form)}})
        self.ksid = answer["id"]
        return answer

    def unregister(self) -> dict[str, Any]:
        """Unsubscribe by the stored KSID, which goes."""
        ksid = self.ksid
        if self._generation.forgets_first:
            self.ksid = None
        if self._generation.unregister_method == "body":
            answer = self._post("/subscribers", {"subscriptionService": {"unsubscribe": self._sign({"ksid": ksid})}})
        elif self._generation.unregister_method == "override":
            answer = self._call("POST", f"/subscribers/{ksid}", {"X-HTTP-Method-Override": "DELETE"}, b"")
        else:
            answer = self._call("DELETE", f"/subscribers/{ksid}", {}, b"null")
        self.ksid = None
        return answer

    def update_location(self, latitude: str | float, longitude: str | float, name: str) -> dict[str, Any]:
        """Report where the device is."""
        form = {"ksid": self.ksid, "latitude": latitude, "longitude": longitude, "locname": name}
        return self._post("/location", self._sign(form))

    def _sign(self, form: dict[str, Any]) -> dict[str, Any]:
        sends = self._generation.sends_auth_token and self.auth_token is not None
        return {**form, "authToken": self.auth_token} if sends else form

    def _post(self, path: str, data: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        if self._platform == "web" and self._generation.form is not None:
            text = self._generation.form.format(quote(text, safe=_UNRESERVED))
        return self._call("POST", path, {}, text.encode())

    def _call(self, method: str, path: str, more: Mapping[str, str], body: bytes) -> dict[str, Any]:
        headers = {"Content-Type": self._generation.content_type, **self._generation.headers, **more}
        if self._generation.sends_request_id:
            headers["X-Kony-RequestId"] = str(uuid.uuid4())
        return self._read(*self._send(method, self._base + path, headers, body))

    def _read(self, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        try:
            data = json.loads(body)
        except ValueError as error:
            raise FailureError({"errcode": 1013, "errmsg": "Invalid Json response was returned"}) from error
        is_success = status == 200 if self._generation.needs_200 else 200 <= status < 300
        if not is_success or data.get("opstatus", 0) != 0:
            raise FailureError({**data, "httpStatusCode": status})
        assert isinstance(data, dict)
        return data
