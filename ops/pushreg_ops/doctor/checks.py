"""Checks of a registry's tables and directory, without calling its API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pushreg.clock import Clock, now, to_iso
from pushreg.models.directory import (
    EVERY_APPLICATION,
    EVERY_PLACE,
    Account,
    Application,
    Credential,
    Entry,
    Issuer,
    Place,
)
from pushreg.schema import (
    AUDIT_PREFIX,
    SUBSCRIBERS,
    TABLE_KEYS,
    USER_INDEX,
    USER_INDEX_PARTITION,
    USER_INDEX_SORT,
)
from pushreg.stores.directory import to_entry
from pushreg_local.errors import OperatorError
from pushreg_ops.aws import call_unless
from pushreg_ops.jwks import check_key
from pushreg_ops.records.inspection import to_moment
from pushreg_ops.records.invariants import check_directory as find_violations
from pushreg_ops.records.scanning import scan
from pushreg_ops.records.wording import EXPIRY_NOTICE
from pushreg_ops.registry import STALE_PARAMETERS, Registry
from pushreg_ops.terminal import count, quote

Verdict = Literal["good", "note", "bad"]
# Error codes with which DynamoDB Local and moto reject unsupported calls.
_UNKNOWN = ("UnknownOperationException", "ValidationException", "InvalidAction")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check; `fix` is set unless the verdict is good."""

    verdict: Verdict
    subject: str
    detail: str
    fix: str | None = None


def check_tables(registry: Registry) -> Iterator[CheckResult]:
    """Yield the results for each table: keys, indexes, recovery, encryption, deletion protection and TTL."""
    for table in TABLE_KEYS:
        name = registry.tables[table]
        answer = call_unless(registry.client.describe_table, "ResourceNotFoundException", TableName=name)
        if answer is None:
            fix = "deploy the stack again, or restore the table (docs/operations.md)"
            yield CheckResult("bad", table, f"{name} is missing", fix)
            continue
        description = answer["Table"]
        yield _check_form(table, description)
        if table == SUBSCRIBERS:
            yield _check_index(description)
        if not registry.is_local:
            yield from _check_recovery(registry, table, description)
        if table in STALE_PARAMETERS:
            yield from _check_expiry(registry, table)

    if registry.is_local:
        detail = "point-in-time recovery, encryption and deletion protection are not checked: a local engine has none"
        yield CheckResult("good", "tables", detail)


def check_directory(registry: Registry, clock: Clock = now) -> Iterator[CheckResult]:
    """Yield the directory's counts and what an operator should know of its entries.

    Unreadable entries, keys that expire or have unknown owners, unusable issuers, and unprotected applications.
    """
    epoch = int(clock().timestamp())
    entries, unreadable = _read_entries(registry, registry.directory)
    counts = Counter(type(entry).__name__ for entry in entries)
    accounts = {entry.account_id for entry in entries if isinstance(entry, Account)}
    places = {entry.place_id for entry in entries if isinstance(entry, Place)}
    applications = {entry.application_id for entry in entries if isinstance(entry, Application)}
    yield CheckResult(
        "good" if entries else "note",
        "directory",
        f"accounts {counts['Account']:,}, applications {counts['Application']:,}, places {counts['Place']:,},"
        f" keys {counts['Credential']:,}, keys of issuers {counts['Issuer']:,}",
        None if entries else "add entries: `pushreg accounts add`, `pushreg apps add`, `pushreg places add`",
    )
    if unreadable:
        yield CheckResult("bad", "directory", f"unreadable entries: {unreadable:,}", "run `pushreg verify`")
    yield from _check_issuers([entry for entry in entries if isinstance(entry, Issuer)], places)
    for key in (entry for entry in entries if isinstance(entry, Credential)):
        if key.expires_at is not None and key.expires_at - epoch < EXPIRY_NOTICE:
            detail = f"{'expired' if key.expires_at <= epoch else 'expires'} at {to_moment(key.expires_at)}"
            fix = f"issue another one to its caller, then run `pushreg keys revoke {key.key_id}`"
            yield CheckResult("note", f"key {key.key_id}", detail, fix)
        account = set() if key.account_id is None else {key.account_id}
        unknown = (key.places - places) | (key.applications - applications) | (account - accounts)
        unknown -= {EVERY_PLACE, EVERY_APPLICATION}
        if unknown:
            owners = ", ".join(sorted(unknown))
            fix = f"add it, or run `pushreg keys revoke {key.key_id}`"
            yield CheckResult("note", f"key {key.key_id}", f"is for {owners}, which does not exist", fix)
    for application in (entry for entry in entries if isinstance(entry, Application)):
        if application.auth_token_digest is None:
            detail = "accepts subscriptions from anyone who knows its appId"
            name = quote(application.application_id)
            fix = f"run `pushreg apps add {name} --auth-token VALUE`, if its clients send an authToken"
            yield CheckResult("note", f"application {application.application_id}", detail, fix)


def _read_entries(registry: Registry, table: str) -> tuple[list[Entry], int]:
    """Return the entries of a directory table, and how many items are unreadable."""
    entries, unreadable = [], 0
    for page in scan(registry.client, table):
        for item in page:
            if any(find_violations([item])):
                unreadable += 1
            elif not str(item["record"]).startswith(AUDIT_PREFIX):
                entries.append(to_entry(item))
    return entries, unreadable


def _check_issuers(issuers: list[Issuer], places: set[str]) -> Iterator[CheckResult]:
    # By family too: the demo's issuers share one key.
    kids_by_key: dict[tuple[str, str], list[str]] = {}
    for issuer in issuers:
        subject = f"issuer {issuer.name}"
        again = f"run `pushreg issuers remove {issuer.name}`, then add it again"
        try:
            check_key(issuer.kid, issuer.algorithm, issuer.public_key)
        except OperatorError as error:
            yield CheckResult("bad", subject, f"its tokens are refused: {error}", again)
        kids_by_key.setdefault((issuer.family, issuer.public_key), []).append(issuer.kid)
        unknown = {each for grant in issuer.grants for each in grant.places} - places - {EVERY_PLACE}
        if unknown:
            detail = f"permits {', '.join(sorted(unknown))}, which does not exist"
            yield CheckResult("note", subject, detail, f"add it with `pushreg places add`, or {again}")
    for kids in kids_by_key.values():
        if len(kids) > 1:
            detail = f"is stored under {count(len(kids), 'id')}: {', '.join(sorted(kids))}"
            fix = "remove one of their issuers, unless the issuer really uses one key under several ids"
            yield CheckResult("note", "issuer key", detail, fix)


def check_revoked(registry: Registry, table: str) -> Iterator[CheckResult]:
    """Yield what this directory, restored, accepts again: keys, issuers' keys and authTokens that the other one lacks.

    The other table is the one that was in use; OperatorError if it is missing or holds no directory.
    """
    if call_unless(registry.client.describe_table, "ResourceNotFoundException", TableName=table) is None:
        raise OperatorError(f"there is no table {table}: name the Directory table that was in use")
    restored, _ = _read_entries(registry, registry.directory)
    used, _ = _read_entries(registry, table)
    if not used:
        raise OperatorError(f"the table {table} holds no directory: name the Directory table that was in use")
    results = sorted(_find_revived(restored, used, table), key=lambda result: result.subject)
    yield from results
    if not results:
        yield CheckResult("good", "directory", f"accepts nothing that was revoked in {table}")


def _find_revived(restored: list[Entry], used: list[Entry], table: str) -> Iterator[CheckResult]:
    keys = {entry.secret_digest for entry in used if isinstance(entry, Credential)}
    issuers = {entry.kid: entry.name for entry in used if isinstance(entry, Issuer)}
    tokens = {entry.application_id: entry.auth_token_digest for entry in used if isinstance(entry, Application)}
    for entry in restored:
        match entry:
            case Credential() if entry.secret_digest not in keys:
                detail = f"works again, but was revoked: {table} does not have it"
                yield CheckResult("bad", f"key {entry.key_id}", detail, f"run `pushreg keys revoke {entry.key_id}`")
            case Issuer() if entry.kid not in issuers:
                detail = f"its key {entry.kid} counts again, but was removed: {table} does not have it"
                again = ", then add it again with the key it has now" if entry.name in issuers.values() else ""
                fix = f"run `pushreg issuers remove {quote(entry.name)}`{again}"
                yield CheckResult("bad", f"issuer {entry.name}", detail, fix)
            case Application() if entry.auth_token_digest != tokens.get(entry.application_id, entry.auth_token_digest):
                detail = f"has another authToken than in {table}, or none"
                fix = f"run `pushreg apps add {quote(entry.application_id)} --auth-token VALUE` with the newer one"
                yield CheckResult("bad", f"application {entry.application_id}", detail, fix)


def _check_form(table: str, description: dict[str, Any]) -> CheckResult:
    status = description["TableStatus"]
    if status != "ACTIVE":
        return CheckResult("bad", table, f"is {status}", "wait and check again")
    order = {"HASH": 0, "RANGE": 1}
    schema = sorted(description["KeySchema"], key=lambda key: order[key["KeyType"]])
    names = tuple(key["AttributeName"] for key in schema)
    if names != TABLE_KEYS[table]:
        fix = "this is not the expected table: check the stack's outputs"
        return CheckResult("bad", table, f"has the keys {', '.join(names)}", fix)
    return CheckResult("good", table, f"active, items: about {description.get('ItemCount', 0):,}")


def _check_index(description: dict[str, Any]) -> CheckResult:
    indexes = {each["IndexName"]: each for each in description.get("GlobalSecondaryIndexes", ())}
    index = indexes.get(USER_INDEX)
    deploy = "deploy the template again"
    if index is None:
        return CheckResult("bad", SUBSCRIBERS, f"has no index {USER_INDEX}: lists by application or user fail", deploy)
    names = {key["KeyType"]: key["AttributeName"] for key in index["KeySchema"]}
    if names != {"HASH": USER_INDEX_PARTITION, "RANGE": USER_INDEX_SORT}:
        return CheckResult(
            "bad", SUBSCRIBERS, f"the index {USER_INDEX} has the keys {', '.join(names.values())}", deploy
        )
    status = index.get("IndexStatus", "ACTIVE")
    if status != "ACTIVE":
        fix = "wait and check again: DynamoDB fills a new index in the background"
        return CheckResult("bad", SUBSCRIBERS, f"the index {USER_INDEX} is {status}", fix)
    return CheckResult("good", SUBSCRIBERS, f"the index {USER_INDEX} is active")


def _check_recovery(registry: Registry, table: str, description: dict[str, Any]) -> Iterator[CheckResult]:
    answer = call_unless(registry.client.describe_continuous_backups, *_UNKNOWN, TableName=registry.tables[table])
    if answer is None:
        return
    recovery = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
        fix = (
            f"run `aws dynamodb update-continuous-backups --table-name {registry.tables[table]}"
            " --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true`"
        )
        yield CheckResult("bad", table, "point-in-time recovery is off", fix)
    else:
        earliest = recovery.get("EarliestRestorableDateTime")
        yield CheckResult(
            "good",
            table,
            f"can be restored to any second since {to_iso(earliest)}" if earliest else "point-in-time recovery is on",
        )
    if description.get("SSEDescription", {}).get("Status") not in ("ENABLED", "UPDATING"):
        yield CheckResult(
            "note", table, "is encrypted with a key owned by DynamoDB", "deploy the template, which uses AWS KMS"
        )
    if not description.get("DeletionProtectionEnabled"):
        fix = f"run `aws dynamodb update-table --table-name {registry.tables[table]} --deletion-protection-enabled`"
        yield CheckResult("note", table, "deletion protection is off", fix)


def _check_expiry(registry: Registry, table: str) -> Iterator[CheckResult]:
    answer = registry.client.describe_time_to_live(TableName=registry.tables[table])["TimeToLiveDescription"]
    is_on = answer.get("TimeToLiveStatus") in ("ENABLED", "ENABLING") and answer.get("AttributeName") == "expires_at"
    if is_on:
        days = registry.stale_after_days.get(table, 0)
        text = f"rows expire after {days} days" if days else f"rows never expire ({STALE_PARAMETERS[table]} is 0)"
        yield CheckResult("good", table, text)
    else:
        fix = (
            f"run `aws dynamodb update-time-to-live --table-name {registry.tables[table]}"
            " --time-to-live-specification Enabled=true,AttributeName=expires_at`"
        )
        yield CheckResult("bad", table, "TTL is off: expired items are not removed", fix)
