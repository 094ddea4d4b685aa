"""Entries of the Directory table: credentials, applications, places, accounts and token issuers."""

from __future__ import annotations

from hmac import compare_digest
from typing import Literal, NamedTuple, cast, get_args

from pushreg.schema import digest, key_id_of, to_place_id

Scope = Literal["read", "write", "admin", "sender"]
# A key of the family `senders` may read and report for the other three, and never register.
CredentialFamily = Literal["kazoo", "engagement", "places", "senders"]
# The families that accept signed tokens in place of keys.
TokenFamily = Literal["kazoo", "places"]
# On a credential's list of places or applications, and as the account of a sender's key.
EVERY_PLACE = EVERY_APPLICATION = EVERY_ACCOUNT = "all"


class Credential(NamedTuple):
    """An API key, stored as the digest of its secret, and what it permits; `expires_at` is in seconds since 1970.

    Name and issuer are for operators.
    """

    secret_digest: str
    family: CredentialFamily
    scope: Scope
    created_at: str
    account_id: str | None = None
    places: frozenset[str] = frozenset()
    applications: frozenset[str] = frozenset()
    expires_at: int | None = None
    name: str | None = None
    issued_by: str | None = None

    @property
    def key_id(self) -> str:
        """The name by which operators know the credential: the first 16 digits of its digest."""
        return key_id_of(self.secret_digest)

    @property
    def may_write(self) -> bool:
        """Whether the scope permits writing."""
        return self.scope in ("write", "admin")

    @property
    def may_list(self) -> bool:
        """Whether the scope permits reading what others registered; `write` keys sit inside apps."""
        return self.scope != "write"

    def reaches_account(self, account_id: str) -> bool:
        """Whether the credential permits requests for the account."""
        return self.account_id in (EVERY_ACCOUNT, account_id)

    def reaches_place(self, place_id: str) -> bool:
        """Whether the credential permits requests for the place."""
        return EVERY_PLACE in self.places or place_id in self.places

    def reaches_application(self, application_id: str) -> bool:
        """Whether the application is on the credential's list."""
        return EVERY_APPLICATION in self.applications or application_id in self.applications


class Application(NamedTuple):
    """An engagement application; without a digest it requires no authToken.

    `duplicate_as_update`, if it is set, overrides the stack's parameter. A strict application changes nothing of the
    subscriber that has a device, unless the request names its sid or its KSID.
    """

    application_id: str
    created_at: str
    auth_token_digest: str | None = None
    duplicate_as_update: bool | None = None
    is_strict: bool = False

    def accepts(self, auth_token: str | None) -> bool:
        """Whether the token is the application's, or the application requires none; compared in constant time."""
        if self.auth_token_digest is None:
            return True
        return auth_token is not None and compare_digest(digest(auth_token), self.auth_token_digest)


class Place(NamedTuple):
    """A place for which tokens may be registered; its id is a UUID in lower case."""

    place_id: str
    created_at: str


class Account(NamedTuple):
    """A Kazoo account; its id has 32 characters."""

    account_id: str
    created_at: str


class Grant(NamedTuple):
    """What a role in a token permits: requests of the scope for the places."""

    role: str
    scope: Scope
    places: frozenset[str]

    @classmethod
    def from_text(cls, text: str) -> Grant:
        """Return the grant in its stored form `ROLE=SCOPE:PLACES`; ValueError if it is malformed.

        PLACES is `all` or UUIDs separated by commas, in any letter case. The role may hold equals signs.
        """
        role, equals, rights = text.rpartition("=")
        scope, colon, places = rights.partition(":")
        if scope not in get_args(Scope) or not (role and equals and colon):
            raise ValueError(text)
        if places == EVERY_PLACE:
            return cls(role, cast("Scope", scope), frozenset({EVERY_PLACE}))
        place_ids = [to_place_id(each.strip()) for each in places.split(",")]
        if None in place_ids:
            raise ValueError(text)
        return cls(role, cast("Scope", scope), frozenset(each for each in place_ids if each is not None))

    def to_text(self) -> str:
        """Return the stored form."""
        return f"{self.role}={self.scope}:{','.join(sorted(self.places))}"


class Issuer(NamedTuple):
    """One public key (PEM) of a token issuer, the only algorithm it is used with, and what its tokens permit.

    An issuer with several keys has an entry for each, all with its name and the same rules. `source` is the URL from
    which the keys came.
    """

    kid: str
    created_at: str
    name: str
    family: TokenFamily
    algorithm: str
    public_key: str
    issuer: str | None = None
    audience: str | None = None
    grants: tuple[Grant, ...] = ()
    source: str | None = None

    @property
    def digest(self) -> str:
        """The `secret_digest` on the credentials of this issuer's tokens, the same for each of its keys."""
        return digest(f"issuer {self.name}")

    @property
    def key_id(self) -> str:
        """The name of this issuer in log lines, as `key_id`."""
        return key_id_of(self.digest)


Entry = Credential | Application | Place | Account | Issuer
