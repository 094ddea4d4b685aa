"""A signed-in round trip per family through the API, with data of its own that it takes away again."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Generator
from typing import Any

import urllib3

from pushreg.clock import now, to_iso
from pushreg.codecs import json
from pushreg.dynamodb import Session, delete, to_attributes
from pushreg.errors import ConditionFailedError, MalformedError, PushregError
from pushreg.models.directory import Account, Application, Credential, Place
from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS, device_claim_key, digest, ksid_key, sid_claim_key
from pushreg_ops.directory_writer import DirectoryWriter
from pushreg_ops.doctor.checks import CheckResult
from pushreg_ops.registry import Registry

# Always the same, so that the next doctor finds what a killed one left.
ACCOUNT = "d0c70000000000000000000000d0c700"
PLACE = "d0c70000-0000-4000-8000-00000000d0c7"
NAME = "pushreg-doctor"
TIMEOUT = urllib3.Timeout(connect=5, read=15)
MOBILE = {
    "mobile_device_id": NAME,
    "notification_registration_ids": {NAME: {"notification_type": "fcm", "notification_preferences": ["chat"]}},
    "platform": "android",
    "sip_proxy_server": "sip.example.com",
}


class CallError(PushregError):
    """The API did not answer as it should; the message says how."""


class SmokeTest:
    """Calls the API of a registry as its clients do."""

    def __init__(self, registry: Registry, address: str) -> None:
        self._registry = registry
        self._address = address.rstrip("/")
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False)
        self._writer = DirectoryWriter(registry.client, registry.directory)
        self._secret = secrets.token_urlsafe(32)
        # Functions remember an application, and what token it wants, for a minute.
        self._application = f"{NAME}-{secrets.token_hex(8)}"

    def examine(self) -> Generator[CheckResult, None, None]:
        """Yield how the API answers each family, and clean up whatever happens."""
        try:
            self.clean()
            self._admit()
            trips: list[tuple[str, Callable[[], None]]] = [
                ("kazoo", self._visit_kazoo),
                ("engagement", self._visit_engagement),
                ("places", self._visit_places),
            ]
            for family, visit in trips:
                try:
                    visit()
                    yield CheckResult("good", family, "registers, finds and removes, and refuses a wrong key")
                except CallError as error:
                    fix = "look at the function's log; `pushreg verify` looks at its table"
                    yield CheckResult("bad", family, str(error), fix)
                except urllib3.exceptions.HTTPError:
                    fix = "start `pushreg local`, or name the API with --api"
                    yield CheckResult("bad", family, f"nothing answers at {self._address}", fix)
        finally:
            self.clean()

    def clean(self) -> None:
        """Remove all that a doctor adds."""
        self._writer.remove("account", ACCOUNT)
        self._writer.remove("place", PLACE)
        for entry in self._writer.list("credential"):
            if isinstance(entry, Credential) and (entry.account_id == ACCOUNT or entry.places == frozenset({PLACE})):
                self._writer.remove("credential", entry.secret_digest)
        for entry in self._writer.list("application"):
            if isinstance(entry, Application) and entry.application_id.startswith(f"{NAME}-"):
                self._writer.remove("application", entry.application_id)
                self._remove_subscriber(entry.application_id)
        self._remove(DEVICES, "account_id", ACCOUNT)
        self._remove(PLACES, "place_id", PLACE)

    def _admit(self) -> None:
        moment = to_iso(now())
        for entry in (
            Account(ACCOUNT, moment),
            Place(PLACE, moment),
            Application(self._application, moment, digest(self._secret)),
            Credential(digest(f"kazoo {self._secret}"), "kazoo", "write", moment, account_id=ACCOUNT),
            Credential(digest(f"places {self._secret}"), "places", "write", moment, places=frozenset({PLACE})),
        ):
            self._writer.add(entry)

    def _visit_kazoo(self) -> None:
        path = f"/v2/accounts/{ACCOUNT}/push_notification_subscriptions/{NAME}/{NAME}"
        headers = {"X-Auth-Token": f"kazoo {self._secret}"}
        self._call("GET", path, {"X-Auth-Token": "wrong"}, None, 401)
        self._call("PUT", path, headers, {"data": MOBILE}, 201)
        found = self._call("GET", path, headers, None, 200)
        if found.get("data", {}).get("mobile_device_id") != NAME:
            raise CallError("GET answers with something else than was PUT")
        self._call("DELETE", path, headers, None, 200)
        self._call("GET", path, headers, None, 404)

    def _visit_engagement(self) -> None:
        form = {"appId": self._application, "deviceId": NAME, "sid": NAME, "osType": "androidgcm"}

        def call(action: str, wanted: str, **fields: str) -> str:
            body = {"subscriptionService": {action: {**form, **fields}}}
            # Stacks differ in whether the HTTP status says what statusCode says.
            answer = self._call("POST", "/subscription", {}, body, int(wanted), 200)
            response = answer.get("subscriptionResponse", {})
            if response.get("statusCode") != wanted:
                raise CallError(f"{action} answers statusCode {response.get('statusCode')} where {wanted} was expected")
            return str(response.get("ksid"))

        call("subscribe", "401", authToken="wrong")
        ksid = call("subscribe", "200", authToken=self._secret)
        if call("unsubscribe", "200", authToken=self._secret, ksid=ksid) != ksid:
            raise CallError("unsubscribe answers with another KSID")

    def _visit_places(self) -> None:
        path = f"/dts/places/{PLACE}/subscriptions"
        headers = {"Authorization": f"Bearer places {self._secret}"}
        body = {"device_token": NAME}
        self._call("PUT", path, {"Authorization": "Bearer wrong"}, body, 401)
        self._call("PUT", path, headers, body, 200)
        self._call("DELETE", path, headers, body, 200)
        self._call("DELETE", path, headers, body, 404)

    def _call(self, method: str, path: str, headers: dict[str, str], data: Any, *wanted: int) -> dict[str, Any]:
        body = None if data is None else json.encode(data)
        sent = {"Content-Type": "application/json", **headers}
        answer = self._pool.request(method, self._address + path, headers=sent, body=body, redirect=False)
        if answer.status not in wanted:
            raise CallError(f"{method} {path} answers {answer.status} where {wanted[0]} was expected")
        try:
            content = json.decode(answer.data)
        except MalformedError as error:
            raise CallError(f"{method} {path} answers with no JSON") from error
        return content if isinstance(content, dict) else {}

    def _remove(self, table: str, name: str, owner: str) -> None:
        answer = self._registry.client.query(
            TableName=self._registry.tables[table],
            KeyConditionExpression=f"{name} = :owner",
            ExpressionAttributeValues=to_attributes({":owner": owner}),
            ConsistentRead=True,
        )
        for item in answer["Items"]:
            key = {part: item[part] for part in item if part in (name, "record", "token_digest")}
            self._registry.client.delete_item(TableName=self._registry.tables[table], Key=key)

    def _remove_subscriber(self, application: str) -> None:
        table = self._registry.tables[SUBSCRIBERS]
        session = Session(self._registry.client)
        keys = [build(application, digest(NAME)) for build in (device_claim_key, sid_claim_key)]
        claim = session.get(table, keys[0])
        if claim is None:
            return
        ksid = claim["ksid"]
        writes = [delete(table, key, "ksid = :ksid", ksid=ksid) for key in (*keys, ksid_key(ksid))]
        try:
            session.transact(writes, uuid.uuid4().hex)
        except ConditionFailedError:
            # Another doctor was quicker.
            return
