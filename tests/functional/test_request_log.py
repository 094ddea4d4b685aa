"""The log line of each request: which key called, for which tenant, and takeovers."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ConnectionClosedError
from moto import mock_aws

from pushreg.models.directory import Account, Application, Credential, Place
from pushreg.schema import DIRECTORY, digest
from pushreg_ops.directory_writer import DirectoryWriter
from tests.support.callers import Breaking
from tests.support.calls import Kazoo
from tests.support.gateway import Gateway
from tests.support.stored import Stored
from tests.support.time import Time

ACCOUNT, OTHER_ACCOUNT = "a" * 32, "b" * 32
PLACE = "11111111-1111-4111-8111-111111111111"
APPLICATION = "an-app"
MOMENT = "2024-01-01T00:00:00Z"
ENTRIES = (
    Account(ACCOUNT, MOMENT),
    Place(PLACE, MOMENT),
    Application(APPLICATION, MOMENT),
    Credential(digest("kazoo key"), "kazoo", "write", MOMENT, account_id=ACCOUNT),
    Credential(digest("places key"), "places", "write", MOMENT, places=frozenset({PLACE})),
)
KEY_IDS = {entry.secret_digest: entry.key_id for entry in ENTRIES if isinstance(entry, Credential)}
DOCS = Path(__file__).parents[2] / "docs"
Line = dict[str, Any]


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def send(log: list[str]) -> Iterator[Callable[..., Line]]:
    """Sends a request and returns the line that it left."""
    with mock_aws():
        client: Any = boto3.client("dynamodb", region_name="us-east-1")
        Stored.create(client)
        writer = DirectoryWriter(client, DIRECTORY)
        for entry in ENTRIES:
            writer.add(entry)
        gateway = Gateway(client, emit=log.append)

        def call(method: str, path: str, headers: Mapping[str, str], data: Any = None) -> Line:
            gateway.send(method, path, headers, None if data is None else json.dumps(data).encode())
            line: Line = json.loads(log[-1])
            return line

        yield call


def device(mobile: str) -> dict[str, Any]:
    registration = {"notification_type": "fcm", "notification_preferences": ["chat"]}
    return {
        "data": {
            "mobile_device_id": mobile,
            "notification_registration_ids": {f"token of {mobile}": registration},
            "platform": "android",
            "sip_proxy_server": "sip.example.com",
        }
    }


def kazoo_path(name: str, account: str = ACCOUNT) -> str:
    return f"/v2/accounts/{account}/push_notification_subscriptions/app/{name}"


KAZOO = {"x-auth-token": "kazoo key"}
PLACES = {"authorization": "Bearer places key"}


def test_kazoo_line_has_key_and_account(send: Callable[..., Line]) -> None:
    line = send("PUT", kazoo_path("desk"), KAZOO, device("phone"))
    assert (line["outcome"], line["key_id"], line["tenant"]) == ("created", KEY_IDS[digest("kazoo key")], ACCOUNT)


def test_kazoo_line_of_foreign_account_has_key_that_tried(send: Callable[..., Line]) -> None:
    line = send("GET", kazoo_path("desk", OTHER_ACCOUNT), KAZOO)
    assert (line["outcome"], line["key_id"]) == ("denied", KEY_IDS[digest("kazoo key")])
    assert line["tenant"] == OTHER_ACCOUNT


def test_places_line_has_key_and_place(send: Callable[..., Line]) -> None:
    line = send("PUT", f"/dts/places/{PLACE}/subscriptions", PLACES, {"device_token": "secret token"})
    assert (line["outcome"], line["key_id"], line["tenant"]) == ("created", KEY_IDS[digest("places key")], PLACE)
    assert "secret token" not in json.dumps(line)


def test_engagement_line_has_application(send: Callable[..., Line]) -> None:
    form = {"appId": APPLICATION, "deviceId": "device", "sid": "sid", "osType": "androidgcm"}
    line = send("POST", "/subscription", {}, {"subscriptionService": {"subscribe": form}})
    assert (line["outcome"], line["tenant"]) == ("created", APPLICATION)
    assert "key_id" not in line


def test_line_of_unknown_names_has_neither(send: Callable[..., Line]) -> None:
    form = {"appId": "x" * 4000, "deviceId": "device", "sid": "sid", "osType": "androidgcm"}
    line = send("POST", "/subscription", {}, {"subscriptionService": {"subscribe": form}})
    assert {"key_id", "tenant"}.isdisjoint(line)
    line = send("PUT", kazoo_path("desk", "x" * 4000), {"x-auth-token": "wrong"}, device("phone"))
    assert {"key_id", "tenant"}.isdisjoint(line)


def test_kazoo_takeover_is_an_outcome_of_its_own(send: Callable[..., Line]) -> None:
    assert send("PUT", kazoo_path("desk"), KAZOO, device("phone"))["outcome"] == "created"
    line = send("PUT", kazoo_path("lobby"), KAZOO, device("phone"))
    assert (line["status"], line["outcome"], line["Takeovers"], line["Registrations"]) == (201, "takeover", 1, 0)
    assert send("PUT", kazoo_path("attic"), KAZOO, device("tablet"))["outcome"] == "created"
    assert send("POST", kazoo_path("attic"), KAZOO, device("phone"))["outcome"] == "takeover"
    assert send("GET", kazoo_path("lobby"), KAZOO)["outcome"] == "missing"
    assert send("POST", kazoo_path("attic"), KAZOO, device("watch"))["outcome"] == "moved"


def evaluate(query: str, lines: list[Line]) -> dict[tuple[Any, ...], int]:
    """Do what Logs Insights does with `filter FIELD = "VALUE" | stats count(*) by FIELDS`; a field may be bin(5m)."""
    match = re.fullmatch(
        r'filter (\w+) = "([^"]*)" \| stats count\(\*\)(?: as \w+)? by ([^|]+?)(?: \| sort .*)?', query
    )
    assert match is not None
    chosen = [line for line in lines if line.get(match[1]) == match[2]]
    return dict(Counter(tuple(read_field(line, name) for name in match[3].split(", ")) for line in chosen))


def read_field(line: Line, name: str) -> Any:
    # The event's time is the metric's; a field that a line lacks is empty.
    return line["_aws"]["Timestamp"] // 300_000 if name == "bin(5m)" else line.get(name)


def find_query(guide: str, start: str) -> str:
    """Return the guide's only query that starts so."""
    (query,) = re.findall(rf"^ *({re.escape(start)} .*)$", (DOCS / guide).read_text("utf-8"), re.MULTILINE)
    return str(query)


def test_leaked_keys_requests_are_found_by_documented_query(send: Callable[..., Line]) -> None:
    lines = [
        send("PUT", kazoo_path("desk"), KAZOO, device("phone")),
        send("GET", kazoo_path("desk"), KAZOO),
        send("GET", kazoo_path("desk"), KAZOO),
        send("GET", kazoo_path("desk", OTHER_ACCOUNT), KAZOO),
        send("GET", kazoo_path("desk"), {"x-auth-token": "wrong"}),
        send("PUT", f"/dts/places/{PLACE}/subscriptions", PLACES, {"device_token": "token"}),
    ]
    query = find_query("operations.md", 'filter key_id = "KEY_ID"')
    assert evaluate(query.replace("KEY_ID", KEY_IDS[digest("kazoo key")]), lines) == {
        ("put", "created", ACCOUNT): 1,
        ("get", "found", ACCOUNT): 2,
        ("get", "denied", OTHER_ACCOUNT): 1,
    }


def test_faults_are_found_by_documented_query() -> None:
    log: list[str] = []
    for error, status in ((ConnectionClosedError, 503), (RuntimeError, 500)):
        gateway = Gateway(Breaking(error), emit=log.append, **Time().options())
        assert Kazoo(gateway.send).get("desk").status == status
    lines = [json.loads(each) for each in log]
    assert evaluate(find_query("operations.md", 'filter outcome = "fault"'), lines) == {
        ("kazoo", "get", "StoreError", "ConnectionClosedError"): 1,
        ("kazoo", "get", "RuntimeError", None): 1,
    }


def test_changed_sids_are_counted_by_documented_query(send: Callable[..., Line]) -> None:
    def subscribe(device_id: str, sid: str) -> Line:
        form = {"appId": APPLICATION, "deviceId": device_id, "sid": sid, "osType": "androidgcm"}
        return send("POST", "/subscription", {}, {"subscriptionService": {"subscribe": form}})

    lines = [subscribe("device", sid) for sid in ("one", "one", "two", "three")] + [subscribe("other", "four")]
    for line in lines:
        line["_aws"]["Timestamp"] = 600_001
    lines[-2]["_aws"]["Timestamp"] = 900_000
    query = find_query("threat-model.md", 'filter outcome = "updated"')
    assert evaluate(query, lines) == {(APPLICATION, 2): 1, (APPLICATION, 3): 1}
