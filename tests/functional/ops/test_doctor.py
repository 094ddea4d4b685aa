"""`pushreg doctor` on healthy and on damaged registries; it leaves no data behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from pushreg.models.directory import Application, Credential
from pushreg.schema import DEVICES, DIRECTORY, PLACES, SUBSCRIBERS, digest
from pushreg_local.client import AdminClient
from pushreg_local.demo import ACCOUNT_ID, store_entries
from pushreg_local.demo_issuer import list_issuers
from pushreg_local.errors import OperatorError
from pushreg_ops.directory_writer import DirectoryWriter
from pushreg_ops.doctor.checks import CheckResult, check_directory, check_revoked, check_tables
from pushreg_ops.doctor.smoke_test import ACCOUNT, NAME, PLACE, SmokeTest
from pushreg_ops.registry import Registry
from tests.support.calls import Send
from tests.support.engine import find_port
from tests.support.gateway import Gateway
from tests.support.issuers import kazoo_issuer, places_issuer, public_pem
from tests.support.serving import serve
from tests.support.stored import Stored

pytestmark = pytest.mark.engine

FAMILIES = ("kazoo", "engagement", "places", "senders")


def verdicts(findings: list[CheckResult]) -> dict[str, str]:
    return {each.subject: each.verdict for each in findings}


def examine(registry: Registry, send: Send) -> list[CheckResult]:
    with serve(send) as address:
        return list(SmokeTest(registry, address).run())


def read_all(stored: Stored) -> list[Any]:
    return [sorted(map(str, stored.items(table))) for table in (DEVICES, SUBSCRIBERS, PLACES, DIRECTORY)]


def test_doctor_healthy_registry_is_good_and_unchanged(registry: Registry, gateway: Gateway, stored: Stored) -> None:
    before = read_all(stored)
    for _ in range(2):
        findings = examine(registry, gateway.send)
        assert verdicts(findings) == dict.fromkeys(FAMILIES, "good"), findings
        assert read_all(stored) == before


@pytest.mark.parametrize(
    ("path", "families"),
    [
        ("/v2/", ["kazoo"]),
        ("/subscription", ["engagement"]),
        # A sender looks up what the places family registered.
        ("/dts/", ["places", "senders"]),
        ("/pushreg/", ["senders"]),
    ],
)
def test_doctor_wrong_status_names_family(
    registry: Registry, gateway: Gateway, stored: Stored, path: str, families: list[str]
) -> None:
    def send(method: str, asked: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, Any, bytes]:
        return (418, {}, b"{}") if asked.startswith(path) else gateway.send(method, asked, headers, body)

    before = read_all(stored)
    findings = examine(registry, send)
    bad = [each for each in findings if each.verdict == "bad"]
    assert [each.subject for each in bad] == families
    assert "returned 418 instead of 401" in bad[0].detail
    assert read_all(stored) == before


def test_doctor_missing_authentication_is_bad(registry: Registry, gateway: Gateway) -> None:
    def send(method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, Any, bytes]:
        status, sent, content = gateway.send(method, path, headers, body)
        return (200, sent, content) if status == 401 and path.startswith("/dts/") else (status, sent, content)

    assert verdicts(examine(registry, send))["places"] == "bad"


def test_doctor_lost_write_is_bad(registry: Registry, gateway: Gateway) -> None:
    def send(method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, Any, bytes]:
        answer = gateway.send(method, path, headers, body)
        if method == "PUT":
            gateway.send("DELETE", path, headers, body)
        return answer

    found = verdicts(examine(registry, send))
    assert (found["kazoo"], found["places"]) == ("bad", "bad")


def test_doctor_unreachable_api_is_bad(registry: Registry, stored: Stored) -> None:
    before = read_all(stored)
    findings = list(SmokeTest(registry, f"http://127.0.0.1:{find_port()}").run())
    assert {each.verdict for each in findings} == {"bad"}
    assert "nothing answers" in findings[0].detail
    assert "--api" in (findings[0].fix or "")
    assert read_all(stored) == before


def test_doctor_removes_leftovers_of_killed_run(registry: Registry, gateway: Gateway, stored: Stored) -> None:
    before = read_all(stored)
    with serve(gateway.send) as address:
        visit = SmokeTest(registry, address).run()
        next(visit)
        # Not closed yet: as after a kill, all that it added is still there.
        assert read_all(stored) != before
        assert verdicts(list(SmokeTest(registry, address).run()))["engagement"] == "good"
        visit.close()
    assert read_all(stored) == before
    assert not [
        item for item in stored.items(DIRECTORY) if NAME in str(item) or PLACE in str(item) or ACCOUNT in str(item)
    ]


def test_check_tables_valid_tables_are_good(registry: Registry) -> None:
    findings = list(check_tables(replace(registry, stale_after_days={PLACES: 270})))
    assert {each.verdict for each in findings} == {"good"}
    assert "rows expire after 270 days" in [each.detail for each in findings]


def test_check_tables_wrong_tables_are_bad_with_fix(registry: Registry, other: Registry) -> None:
    names = dict(registry.tables)
    wrong = replace(registry, tables={**names, DEVICES: names[PLACES], PLACES: names[DIRECTORY], SUBSCRIBERS: "Gone"})
    bad = {each.subject: each for each in check_tables(wrong) if each.verdict == "bad"}
    assert bad[DEVICES].detail == "has the keys place_id, token_digest"
    assert bad[SUBSCRIBERS].detail == "Gone is missing"
    assert "restore" in (bad[SUBSCRIBERS].fix or "")
    assert PLACES in bad


class Cloud:
    """A client that tells of tables what the cloud would."""

    def __init__(self, client: Any, recovery: str, expiry: str, encrypted: bool, protected: bool) -> None:
        self._client = client
        self._recovery = recovery
        self._expiry = expiry
        self._encrypted = encrypted
        self._protected = protected

    def describe_table(self, **parameters: Any) -> Any:
        table = self._client.describe_table(**parameters)["Table"]
        status = {"SSEDescription": {"Status": "ENABLED"}} if self._encrypted else {}
        return {"Table": {**table, **status, "DeletionProtectionEnabled": self._protected}}

    def describe_continuous_backups(self, **parameters: Any) -> Any:
        earliest = {"EarliestRestorableDateTime": datetime(2026, 1, 2, 3, 4, tzinfo=UTC)}
        recovery = {"PointInTimeRecoveryStatus": self._recovery, **earliest}
        return {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": recovery}}

    def describe_time_to_live(self, **parameters: Any) -> Any:
        return {"TimeToLiveDescription": {"TimeToLiveStatus": self._expiry, "AttributeName": "expires_at"}}


def in_cloud(registry: Registry, **state: Any) -> Registry:
    return replace(registry, client=cast("AdminClient", Cloud(registry.client, **state)))


def test_check_tables_stack_of_template_is_good(registry: Registry) -> None:
    stack = in_cloud(registry, recovery="ENABLED", expiry="ENABLED", encrypted=True, protected=True)
    findings = list(check_tables(stack))
    assert {each.verdict for each in findings} == {"good"}
    assert "can be restored to any second since 2026-01-02T03:04:00Z" in [each.detail for each in findings]
    for parameter in ("KazooStaleAfterDays", "EngagementStaleAfterDays"):
        assert f"rows never expire ({parameter} is 0)" in [each.detail for each in findings]


def test_check_tables_changed_stack_is_bad(registry: Registry) -> None:
    stack = in_cloud(registry, recovery="DISABLED", expiry="DISABLED", encrypted=False, protected=False)
    found = {(each.subject, each.verdict, each.detail) for each in check_tables(stack)}
    assert (DEVICES, "bad", "point-in-time recovery is off") in found
    assert (DIRECTORY, "bad", "point-in-time recovery is off") in found
    for table in (DEVICES, SUBSCRIBERS, PLACES):
        assert (table, "bad", "TTL is off: expired items are not removed") in found
    assert (DEVICES, "note", "deletion protection is off") in found
    assert all(each.fix for each in check_tables(stack) if each.verdict != "good")


def test_check_revoked_finds_all_that_works_again(registry: Registry, other: Registry) -> None:
    moment = "2026-01-01T00:00:00Z"
    kept = (
        Credential(digest("kept"), "kazoo", "write", moment, account_id=ACCOUNT_ID),
        kazoo_issuer("new", name="rotated"),
        Application("same", moment, digest("token")),
    )
    revived = (
        Credential(digest("leaked"), "kazoo", "write", moment, account_id=ACCOUNT_ID),
        kazoo_issuer("old", name="rotated"),
        kazoo_issuer("gone", name="gone"),
    )
    restored, used = (DirectoryWriter(each.client, each.directory) for each in (registry, other))
    for entry in kept:
        restored.add(entry)
        used.add(entry)
    for entry in revived:
        restored.add(entry)
    for application_id, token in (("replaced", digest("old")), ("open", None)):
        restored.add(Application(application_id, moment, token))
        used.add(Application(application_id, moment, digest("new")))
    # What was added since, and is not here.
    used.add(Application("newer", moment, digest("token")))
    (leaked, *_) = revived
    demo = {f"key {each.key_id}" for each in restored.list("credential") if isinstance(each, Credential)}
    demo -= {f"key {entry.key_id}" for entry in (*kept, *revived) if isinstance(entry, Credential)}
    results = [each for each in check_revoked(registry, other.directory) if each.subject not in demo]
    assert isinstance(leaked, Credential)
    assert {(each.verdict, each.subject, each.fix) for each in results} == {
        ("bad", f"key {leaked.key_id}", f"run `pushreg keys revoke {leaked.key_id}`"),
        ("bad", "issuer gone", "run `pushreg issuers remove gone`"),
        (
            "bad",
            "issuer rotated",
            "run `pushreg issuers remove rotated`, then add it again with the key it has now",
        ),
        ("bad", "application replaced", "run `pushreg apps add replaced --auth-token VALUE` with the newer one"),
        ("bad", "application open", "run `pushreg apps add open --auth-token VALUE` with the newer one"),
    }
    (good,) = check_revoked(registry, registry.directory)
    assert (good.verdict, good.detail) == ("good", f"accepts nothing that was revoked in {registry.directory}")


@pytest.mark.parametrize("table", ["nothing-of-that-name", SUBSCRIBERS])
def test_check_revoked_other_table_is_refused(table: str, registry: Registry) -> None:
    # Every key would count as revoked.
    with pytest.raises(OperatorError, match="name the Directory table that was in use"):
        list(check_revoked(registry, registry.tables.get(table, table)))


def test_check_directory_dangling_keys_and_open_applications_are_noted(registry: Registry) -> None:
    writer = DirectoryWriter(registry.client, registry.directory)
    lost = Credential(digest("lost"), "kazoo", "write", "2026-01-01T00:00:00Z", account_id="f" * 32)
    away = Credential(digest("away"), "places", "write", "2026-01-01T00:00:00Z", places=frozenset({PLACE, "all"}))
    for key in (lost, away):
        writer.add(key)
    try:
        findings = list(check_directory(registry))
    finally:
        for key in (lost, away):
            writer.remove("credential", key.secret_digest)
    notes = {each.subject: each for each in findings if each.verdict == "note"}
    assert notes[f"key {lost.key_id}"].fix == f"add it, or run `pushreg keys revoke {lost.key_id}`"
    assert PLACE in notes[f"key {away.key_id}"].detail
    assert "'VoltMX Foundry MessagingDEV'" in (notes["application VoltMX Foundry MessagingDEV"].fix or "")
    assert "application demo-secure-app" not in notes
    assert findings[0].detail.startswith("accounts 1, applications 4, places 1, keys 6")
    assert ACCOUNT_ID not in str(findings)


def test_check_directory_empty_registry_is_noted(other: Registry) -> None:
    (finding,) = check_directory(other)
    assert (finding.verdict, finding.subject) == ("note", "directory")
    assert "pushreg accounts add" in (finding.fix or "")


class Reindexed:
    """A client that tells of another index of the subscribers."""

    def __init__(self, client: Any, *indexes: Mapping[str, Any]) -> None:
        self._client = client
        self._indexes = indexes

    def describe_table(self, **parameters: Any) -> Any:
        table = self._client.describe_table(**parameters)["Table"]
        return {"Table": {**table, "GlobalSecondaryIndexes": list(self._indexes)}}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def index(partition: str, sort: str, status: str = "ACTIVE") -> dict[str, Any]:
    keys = [{"KeyType": "HASH", "AttributeName": partition}, {"KeyType": "RANGE", "AttributeName": sort}]
    return {"IndexName": "ByApplicationAndUser", "KeySchema": keys, "IndexStatus": status}


@pytest.mark.parametrize(
    ("indexes", "detail"),
    [
        ([], "has no index ByApplicationAndUser: lists by application or user fail"),
        ([index("appId", "ufid")], "the index ByApplicationAndUser has the keys appId, ufid"),
        ([index("ufid_ksid", "appId")], "the index ByApplicationAndUser has the keys ufid_ksid, appId"),
        ([index("appId", "ufid_ksid", "CREATING")], "the index ByApplicationAndUser is CREATING"),
    ],
)
def test_check_tables_wrong_index_is_bad(registry: Registry, indexes: list[dict[str, Any]], detail: str) -> None:
    stack = replace(registry, client=cast("AdminClient", Reindexed(registry.client, *indexes)))
    (bad,) = [each for each in check_tables(stack) if each.verdict == "bad"]
    assert (bad.subject, bad.detail) == (SUBSCRIBERS, detail)
    assert bad.fix


def test_check_tables_reports_index_of_template(registry: Registry) -> None:
    assert "the index ByApplicationAndUser is active" in [each.detail for each in check_tables(registry)]


def test_check_directory_demo_issuers_are_good(registry: Registry, tmp_path: Path) -> None:
    store_entries(registry.client, registry.directory, *list_issuers(tmp_path))
    assert not [each for each in check_directory(registry) if each.subject.startswith("issuer")]


def test_check_directory_unusable_issuers_are_bad(registry: Registry, stored: Stored) -> None:
    writer = DirectoryWriter(registry.client, registry.directory)
    writer.add(kazoo_issuer())
    writer.add(kazoo_issuer("broken", name="broken", public_key="-----BEGIN PUBLIC KEY-----"))
    writer.add(kazoo_issuer("other-curve", name="curved", algorithm="ES256"))
    writer.add(kazoo_issuer("copy", name="copy", public_key=public_pem("kazoo-key-1")))
    writer.add(places_issuer(f"Manager=admin:{PLACE}"))
    found = [each for each in check_directory(registry) if each.subject.startswith("issuer")]
    assert [(each.subject, each.verdict) for each in sorted(found, key=lambda each: each.subject)] == [
        ("issuer azure", "note"),
        ("issuer broken", "bad"),
        ("issuer curved", "bad"),
        ("issuer key", "note"),
    ]
    details = {each.subject: each.detail for each in found}
    assert details["issuer azure"] == f"permits {PLACE}, which does not exist"
    assert details["issuer key"] == "is stored under 2 ids: copy, kazoo-key-1"
    assert all(each.fix for each in found)
    (counts, *_) = check_directory(registry)
    assert counts.detail.endswith("keys of issuers 5")


def test_check_directory_unreadable_entries_are_bad(registry: Registry, stored: Stored) -> None:
    for record in (f"credential#{digest('x')}", "issuer#kid", "account#short", "nothing"):
        stored.put(DIRECTORY, {"record": record, "created_at": "2026-01-01T00:00:00Z"})
    (bad,) = [each for each in check_directory(registry) if each.verdict == "bad"]
    assert (bad.subject, bad.detail, bad.fix) == ("directory", "unreadable entries: 4", "run `pushreg verify`")
    with pytest.raises(OperatorError, match="issuer#kid is unreadable: run `pushreg verify`"):
        list(DirectoryWriter(registry.client, registry.directory).list("issuer"))
