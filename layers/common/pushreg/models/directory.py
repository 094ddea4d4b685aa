"""Who may call and what exists: credentials, applications, places and accounts."""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from typing import Literal

from pushreg.schema import digest, key_id_of

Scope = Literal["read", "write", "admin"]
CredentialFamily = Literal["kazoo", "engagement", "places"]
# On a credential's list of places or applications.
EVERY_PLACE = EVERY_APPLICATION = "all"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a bearer of a secret may do; the secret itself is known by its digest alone."""

    secret_digest: str
    family: CredentialFamily
    scope: Scope
    created_at: str
    account_id: str | None = None
    places: frozenset[str] = frozenset()
    applications: frozenset[str] = frozenset()

    @property
    def key_id(self) -> str:
        """The name by which operators know the credential: the first 16 digits of its digest."""
        return key_id_of(self.secret_digest)

    @property
    def may_write(self) -> bool:
        """Whether the scope reaches beyond reading."""
        return self.scope != "read"

    def reaches_place(self, place_id: str) -> bool:
        """Whether the place is on the credential's list."""
        return EVERY_PLACE in self.places or place_id in self.places

    def reaches_application(self, application_id: str) -> bool:
        """Whether the application is on the credential's list."""
        return EVERY_APPLICATION in self.applications or application_id in self.applications


@dataclass(frozen=True, slots=True)
class Application:
    """An engagement application; without a digest it asks nobody for an authToken."""

    application_id: str
    created_at: str
    auth_token_digest: str | None = None

    def admits(self, auth_token: str | None) -> bool:
        """Whether the token, if one is needed, is the right one; compared in constant time."""
        if self.auth_token_digest is None:
            return True
        return auth_token is not None and compare_digest(digest(auth_token), self.auth_token_digest)


@dataclass(frozen=True, slots=True)
class Place:
    """A place that tokens may be registered for; its id is a lower-case UUID."""

    place_id: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Account:
    """A Kazoo account; its id has 32 characters."""

    account_id: str
    created_at: str


Entry = Credential | Application | Place | Account
