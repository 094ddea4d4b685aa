"""Adds, lists and removes the accounts, places, applications, keys and token issuers of a registry."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pushreg.clock import Clock, now, to_iso
from pushreg.dynamodb import Session, delete, put, update
from pushreg.errors import ConditionFailedError
from pushreg.models.directory import (
    EVERY_ACCOUNT,
    EVERY_APPLICATION,
    EVERY_PLACE,
    Account,
    Application,
    Credential,
    Entry,
    Issuer,
    Place,
    Scope,
)
from pushreg.schema import EntryKind, digest, entry_key, parse_record
from pushreg.stores.directory import to_item
from pushreg_local.errors import OperatorError
from pushreg_ops.auditing import Action, Auditor
from pushreg_ops.directory_writer import DirectoryWriter
from pushreg_ops.jwks import PublicKey
from pushreg_ops.registry import Registry
from pushreg_ops.terminal import count, quote

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class AddOutcome:
    """What `add` did to an entry, in words."""

    text: str

    @property
    def is_new(self) -> bool:
        """Whether the entry was added."""
        return self.text == "added"


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """Options of a new key: its secret, its name and when it expires, in seconds since 1970."""

    value: str | None = None
    name: str | None = None
    expires_at: int | None = None


RANDOM_KEY = KeyOptions()


class Provisioner:
    """Changes one registry's directory."""

    def __init__(self, registry: Registry, clock: Clock = now) -> None:
        self._registry = registry
        self._writer = DirectoryWriter(registry.client, registry.directory)
        self._clock = clock
        self._auditor = Auditor(registry, clock)

    def add(self, entry: Entry, detail: str | None = None) -> bool:
        """Store the entry with its audit entry unless its key is taken, and return whether it was stored."""
        item = to_item(entry)
        # Every entry has created_at, so its absence is the absence of the entry.
        write = put(self._registry.directory, item, "attribute_not_exists(created_at)")
        return self._change("add", item, write, detail)

    def _change(self, action: Action, key: Mapping[str, str], write: dict[str, Any], detail: str | None = None) -> bool:
        # The token of a transaction makes a retried call that had succeeded succeed again, where a plain conditional
        # write would find itself.
        writes = [write, self._auditor.record(action, key, detail)]
        try:
            Session(self._registry.client).transact(writes, uuid.uuid4().hex)
        except ConditionFailedError:
            return False
        return True

    def _delete(self, kind: EntryKind, entry_id: str) -> bool:
        key = entry_key(kind, entry_id)
        return self._change("remove", key, delete(self._registry.directory, key, "attribute_exists(created_at)"))

    def add_account(self, account_id: str) -> AddOutcome:
        """Add the account, unless there is one, and return what was done."""
        return self._add_plain(Account(account_id, self._now()))

    def add_place(self, place_id: str) -> AddOutcome:
        """Add the place, unless there is one, and return what was done."""
        return self._add_plain(Place(place_id, self._now()))

    def _add_plain(self, entry: Entry) -> AddOutcome:
        return AddOutcome("added" if self.add(entry) else "already exists, unchanged")

    def add_application(
        self,
        application_id: str,
        auth_token: str | None = None,
        duplicate_as_update: bool | None = None,
        is_strict: bool | None = None,
    ) -> AddOutcome:
        """Add the application, or change one that exists by what is given, and return what was done."""
        token = digest(auth_token) if auth_token is not None else None
        entry = Application(application_id, self._now(), token, duplicate_as_update, bool(is_strict))
        if self.add(entry, "with authToken" if token else None):
            return AddOutcome("added")
        given = {"auth_token_digest": token, "duplicate_as_update": duplicate_as_update, "strict": is_strict}
        changes = {name: value for name, value in given.items() if value is not None}
        if not changes:
            return AddOutcome("already exists, unchanged")
        done = ", ".join(_describe_change(name, value) for name, value in changes.items())
        change = "SET " + ", ".join(f"{name} = :{name}" for name in changes)
        key = entry_key("application", application_id)
        write = update(self._registry.directory, key, change, "attribute_exists(created_at)", **changes)
        if not self._change("change", key, write, done):
            raise OperatorError(f"the application {application_id} was removed meanwhile: add it again")
        return AddOutcome(f"already exists: {done}")

    def open_application(self, application_id: str) -> bool:
        """Remove the application's authToken and return whether it had one; OperatorError if there is none."""
        key = entry_key("application", application_id)
        condition = "attribute_exists(auth_token_digest)"
        write = update(self._registry.directory, key, "REMOVE auth_token_digest", condition)
        if self._change("change", key, write, "authToken removed"):
            return True
        self._require("application", [application_id], noun="app")
        return False

    def issue_account_key(
        self, account_id: str, scope: Scope, options: KeyOptions = RANDOM_KEY
    ) -> tuple[Credential, str]:
        """Store a new key of the account and return it with its secret; OperatorError if the account does not exist."""
        self._require("account", [account_id])
        return self._issue(options, family="kazoo", scope=scope, account_id=account_id)

    def issue_places_key(
        self, places: frozenset[str], scope: Scope, options: KeyOptions = RANDOM_KEY
    ) -> tuple[Credential, str]:
        """Store a new key for the places and return it with its secret; OperatorError if a place does not exist."""
        self._require("place", sorted(places - {EVERY_PLACE}))
        return self._issue(options, family="places", scope=scope, places=places)

    def issue_applications_key(
        self, applications: frozenset[str], scope: Scope, options: KeyOptions = RANDOM_KEY
    ) -> tuple[Credential, str]:
        """Store a new management key for the applications and return it with its secret.

        OperatorError names an application unknown.
        """
        self._require("application", sorted(applications - {EVERY_APPLICATION}), noun="app")
        return self._issue(options, family="engagement", scope=scope, applications=applications)

    def issue_sender_key(
        self,
        account_id: str | None,
        places: frozenset[str],
        applications: frozenset[str],
        options: KeyOptions = RANDOM_KEY,
    ) -> tuple[Credential, str]:
        """Store a new sender's key for what is given, everything if nothing is, and return it with its secret.

        OperatorError names an account, place or application unknown.
        """
        if account_id is None and not places and not applications:
            account_id = EVERY_ACCOUNT
            places, applications = frozenset({EVERY_PLACE}), frozenset({EVERY_APPLICATION})
        self._require("account", [] if account_id in (None, EVERY_ACCOUNT) else [str(account_id)])
        self._require("place", sorted(places - {EVERY_PLACE}))
        self._require("application", sorted(applications - {EVERY_APPLICATION}), noun="app")
        rights = {"account_id": account_id, "places": places, "applications": applications}
        return self._issue(options, family="senders", scope="sender", **rights)

    def revoke(self, key_id: str) -> None:
        """Remove the key; OperatorError if there is none. Functions may have it cached for another 60 seconds."""
        digests = [key.secret_digest for key in self.list_keys() if key.key_id == key_id]
        if not sum(self._delete("credential", secret_digest) for secret_digest in digests):
            raise OperatorError(f"there is no key {key_id}: see `pushreg keys list`")

    def add_issuer(self, template: Issuer, keys: Sequence[PublicKey]) -> None:
        """Store an issuer, like the template, for each key; all of them or none.

        OperatorError if the issuer's name or a kid is in use, or a place of the grants does not exist.
        """
        self._require("place", sorted({each for grant in template.grants for each in grant.places} - {EVERY_PLACE}))
        if any(entry.name == template.name for entry in self.list_issuers()):
            raise OperatorError(f"there is an issuer {template.name} already: remove it first, or refresh it")
        moment = self._now()
        issuers = [
            template._replace(kid=key.kid, algorithm=key.algorithm, public_key=key.pem, created_at=moment)
            for key in keys
        ]
        self._change_issuers("add", template.name, [self._put_issuer(issuer, None) for issuer in issuers])

    def refresh_issuer(self, name: str, keys: Sequence[PublicKey]) -> tuple[list[str], list[str]]:
        """Give the issuer exactly these keys, and return the kids that were added or changed, and those removed.

        OperatorError if another issuer has one of the kids, or the issuer was changed meanwhile.
        """
        stored = {entry.kid: entry for entry in self.list_issuers() if entry.name == name}
        if not stored:
            raise OperatorError(f"there is no issuer {name}: see `pushreg issuers list`")
        template, moment = next(iter(stored.values())), self._now()
        writes, added = [], []
        for key in keys:
            old = stored.pop(key.kid, None)
            issuer = template._replace(kid=key.kid, algorithm=key.algorithm, public_key=key.pem, created_at=moment)
            if old is None or (old.algorithm, old.public_key) != (key.algorithm, key.pem):
                writes.append(self._put_issuer(issuer, old))
                added.append(key.kid)
        writes += [self._delete_issuer(old) for old in stored.values()]
        if writes:
            self._change_issuers("change", name, writes)
        return added, sorted(stored)

    def remove_issuer(self, name: str) -> list[str]:
        """Remove the issuer and return the kids of its keys; OperatorError if there is none.

        Functions may have it cached for another 60 seconds.
        """
        stored = [entry for entry in self.list_issuers() if entry.name == name]
        if not stored:
            raise OperatorError(f"there is no issuer {name}: see `pushreg issuers list`")
        self._change_issuers("remove", name, [self._delete_issuer(entry) for entry in stored])
        return [entry.kid for entry in stored]

    def list_issuers(self) -> list[Issuer]:
        """Return all issuers, one for each key, oldest first."""
        return [entry for entry in self.list_entries("issuer") if isinstance(entry, Issuer)]

    def _put_issuer(self, issuer: Issuer, old: Issuer | None) -> dict[str, Any]:
        item = to_item(issuer)
        if old is None:
            return put(self._registry.directory, item, "attribute_not_exists(created_at)")
        return put(self._registry.directory, item, "public_key = :old", old=old.public_key)

    def _delete_issuer(self, old: Issuer) -> dict[str, Any]:
        key = entry_key("issuer", old.kid)
        return delete(self._registry.directory, key, "public_key = :old", old=old.public_key)

    def _change_issuers(self, action: Action, name: str, writes: Sequence[dict[str, Any]]) -> None:
        audit = self._auditor.record(action, {"record": f"issuer#{name}"}, count(len(writes), "key"))
        try:
            Session(self._registry.client).transact([*writes, audit], uuid.uuid4().hex)
        except ConditionFailedError as error:
            kids = [parse_record(str(item["record"]))[1] for item in error.items if item is not None]
            detail = (
                f"the key {', '.join(kids)} belongs to an issuer already" if kids else "another operator changed it"
            )
            raise OperatorError(f"nothing was changed: {detail}; see `pushreg issuers list`") from error

    def remove(self, kind: EntryKind, key: str, noun: str) -> None:
        """Remove the entry; OperatorError if there is none."""
        if not self._delete(kind, key):
            raise OperatorError(f"there is no {noun} {key}: see `pushreg {noun}s list`")

    def is_known(self, kind: EntryKind, key: str) -> bool:
        """Whether there is such an entry."""
        return Session(self._registry.client).get(self._registry.directory, entry_key(kind, key)) is not None

    def list_entries(self, kind: EntryKind) -> list[Entry]:
        """Return all entries of the kind, oldest first."""
        return sorted(self._writer.list(kind), key=lambda entry: (entry.created_at, repr(entry)))

    def list_keys(self) -> list[Credential]:
        """Return all keys, oldest first."""
        return [entry for entry in self.list_entries("credential") if isinstance(entry, Credential)]

    def _issue(self, options: KeyOptions, **rights: Any) -> tuple[Credential, str]:
        secret = options.value or secrets.token_urlsafe(SECRET_BYTES)
        credential = Credential(
            secret_digest=digest(secret),
            created_at=self._now(),
            expires_at=options.expires_at,
            name=options.name,
            issued_by=self._auditor.who,
            **rights,
        )
        if not self.add(credential, options.name):
            raise OperatorError(
                f"this value is already in use as key {credential.key_id}: revoke that key, or choose another value"
            )
        return credential, secret

    def _require(self, kind: EntryKind, keys: Iterable[str], noun: str | None = None) -> None:
        session = Session(self._registry.client)
        for key in keys:
            if session.get(self._registry.directory, entry_key(kind, key)) is None:
                raise OperatorError(
                    f"there is no {kind} {key}: add it first with `pushreg {noun or kind}s add {quote(key)}`"
                )

    def _now(self) -> str:
        return to_iso(self._clock())


def _describe_change(name: str, value: object) -> str:
    if name == "auth_token_digest":
        return "authToken replaced"
    return f"{name} set to {'yes' if value else 'no'}"
