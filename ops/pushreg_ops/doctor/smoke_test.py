"""A smoke test of the API: an authenticated round trip per family with test data that is removed again."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Generator
from typing import Any

import urllib3

from pushreg.clock import now, to_iso
from pushreg.codecs import json
from pushreg.dynamodb import Session, delete, to_attributes
from pushreg.errors import ConditionFailedError, MalformedError
from pushreg.models.directory import Account, Application, Credential, Place
from pushreg.schema import DEVICES, PLACES, SUBSCRIBERS, device_claim_key, digest, ksid_key, sid_claim_key
from pushreg_ops.directory_writer import DirectoryWriter
from pushreg_ops.doctor.checks import CheckResult
from pushreg_ops.registry import Registry
from smoke.probes import ProbeError, probe_engagement, probe_kazoo, probe_places, probe_senders

# Constant, so that the next run cleans up after one that was killed.
ACCOUNT = "d0c70000000000000000000000d0c700"
PLACE = "d0c70000-0000-4000-8000-00000000d0c7"
NAME = "pushreg-doctor"
TIMEOUT = urllib3.Timeout(connect=5, read=15)


class SmokeTest:
    """Calls the API of a registry as clients do.

    Its directory entries leave no audit entries: a health check every minute would bury the changes.
    """

    def __init__(self, registry: Registry, address: str) -> None:
        self._registry = registry
        self._address = address.rstrip("/")
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False)
        self._writer = DirectoryWriter(registry.client, registry.directory)
        self._secret = secrets.token_urlsafe(32)
        # Functions cache applications for a minute, so each run uses a new one.
        self._application = f"{NAME}-{secrets.token_hex(8)}"

    def run(self) -> Generator[CheckResult, None, None]:
        """Yield a result per family; test data is always removed."""
        try:
            self.clean()
            self._add_entries()
            checks: list[tuple[str, Callable[[], None]]] = [
                ("kazoo", lambda: probe_kazoo(self._call, ACCOUNT, f"kazoo {self._secret}", NAME)),
                ("engagement", lambda: probe_engagement(self._call, self._application, self._secret, NAME)),
                ("places", lambda: probe_places(self._call, PLACE, f"places {self._secret}", NAME)),
                ("senders", self._probe_senders),
            ]
            for family, check in checks:
                try:
                    check()
                    yield CheckResult("good", family, "register, look up and remove work; a wrong key is refused")
                except ProbeError as error:
                    fix = "read the function's log; `pushreg verify` checks its table"
                    yield CheckResult("bad", family, str(error), fix)
                except urllib3.exceptions.HTTPError:
                    fix = "start `pushreg local`, or give the API's address with --api"
                    yield CheckResult("bad", family, f"nothing answers at {self._address}", fix)
        finally:
            self.clean()

    def clean(self) -> None:
        """Remove all test data, of earlier runs too."""
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

    def _probe_senders(self) -> None:
        keys = [f"{family} {self._secret}" for family in ("senders", "places")]
        probe_senders(self._call, PLACE, keys[0], self._call, keys[1], NAME)

    def _add_entries(self) -> None:
        moment = to_iso(now())
        for entry in (
            Account(ACCOUNT, moment),
            Place(PLACE, moment),
            Application(self._application, moment, digest(self._secret)),
            Credential(digest(f"kazoo {self._secret}"), "kazoo", "write", moment, account_id=ACCOUNT),
            Credential(digest(f"places {self._secret}"), "places", "write", moment, places=frozenset({PLACE})),
            Credential(digest(f"senders {self._secret}"), "senders", "sender", moment, places=frozenset({PLACE})),
        ):
            self._writer.add(entry)

    def _call(self, method: str, path: str, headers: dict[str, str], data: Any, *wanted: int) -> dict[str, Any]:
        body = None if data is None else json.encode(data)
        sent = {"Content-Type": "application/json", **headers}
        answer = self._pool.request(method, self._address + path, headers=sent, body=body, redirect=False)
        if answer.status not in wanted:
            raise ProbeError(f"{method} {path} returned {answer.status} instead of {wanted[0]}")
        try:
            content = json.decode(answer.data)
        except MalformedError as error:
            raise ProbeError(f"{method} {path} did not return JSON") from error
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
            # Another run removed it concurrently.
            return
