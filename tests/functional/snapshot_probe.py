"""A function that is initialised once and restored twice, as SnapStart does it; run by test_snapshot.py."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

OPENED: list[str] = []
sys.addaudithook(lambda name, _: OPENED.append(name) if name == "socket.connect" else None)

from engagement import app as engagement  # noqa: E402 The hook has to see the import.
from kazoo import app as kazoo  # noqa: E402
from pushreg.schema import digest  # noqa: E402

ENVIRON = {"TABLE": "Table", "DIRECTORY_TABLE": "Directory"}
ACCOUNT = "c0ffee00c0ffee00c0ffee00c0ffee00"


class Database:
    """Knows one application and one key, and remembers the request tokens of what is written."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    def get_item(self, **_: Any) -> dict[str, Any]:
        """Return the application."""
        return {"Item": {"record": {"S": "application#app"}, "created_at": {"S": ""}}}

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 botocore's own name.
        """Return the key and its account, or that there are no claims."""
        created = {"created_at": {"S": ""}}
        key = {"family": {"S": "kazoo"}, "scope": {"S": "write"}, "account_id": {"S": ACCOUNT}}
        entries = [
            {"record": {"S": f"credential#{digest('key')}"}, **key, **created},
            {"record": {"S": f"account#{ACCOUNT}"}, **created},
        ]
        return {"Responses": {table: entries if table == "Directory" else [] for table in RequestItems}}

    def transact_write_items(self, ClientRequestToken: str, **_: Any) -> dict[str, Any]:  # noqa: N803 botocore's.
        """Take the write."""
        self.tokens.append(ClientRequestToken)
        return {}


def use() -> dict[str, Any]:
    """Return what one restored copy makes that nobody else may make."""
    before = len(database.tokens)
    form = {"appId": "app", "deviceId": "d", "sid": "s", "osType": "iphone"}
    subscribed = engagement_handler(
        _event("POST", engagement.RESOURCES[0], {"subscriptionService": {"subscribe": form}}, {}), None
    )
    data = {
        "mobile_device_id": "m",
        "platform": "ios",
        "sip_proxy_server": "x",
        "notification_registration_ids": {},
    }
    path = {"account_id": ACCOUNT, "app": "app", "device_id": "d"}
    created = kazoo_handler(_event("PUT", kazoo.RESOURCE, {"data": data}, path), None)
    return {
        "ksid": json.loads(subscribed["body"])["subscriptionResponse"]["ksid"],
        "request_id": json.loads(created["body"])["request_id"],
        "tokens": database.tokens[before:],
        "lines": len(LINES),
    }


def _event(method: str, resource: str, body: Any, path: dict[str, str]) -> dict[str, Any]:
    http = {"method": method}
    return {
        "routeKey": f"ANY {resource}",
        "rawPath": "/",
        "requestContext": {"http": http},
        "headers": {"x-auth-token": "key"},
        "pathParameters": path,
        "body": json.dumps(body),
    }


LINES: list[str] = []
database: Any = Database()
engagement_handler = engagement.create_handler({**ENVIRON, "FAMILY": "engagement"}, database, emit=LINES.append)
kazoo_handler = kazoo.create_handler({**ENVIRON, "FAMILY": "kazoo"}, database, emit=LINES.append)
engagement_handler.prepare()
kazoo_handler.prepare()
# The real client too, as the hook before the snapshot makes it.
engagement.create_handler({**ENVIRON, "FAMILY": "engagement"}).prepare()
sys.stdout.write(json.dumps({"opened": OPENED}) + "\n")
sys.stdout.flush()
for _ in range(2):
    child = os.fork()
    if child == 0:
        sys.stdout.write(json.dumps(use()) + "\n")
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
