"""Who is calling: a bearer's secret to a credential, told apart without telling the caller anything."""

from __future__ import annotations

from collections.abc import Callable

from pushreg.dynamodb import Session
from pushreg.errors import UnauthenticatedError
from pushreg.models.directory import Credential, CredentialFamily, Entry
from pushreg.schema import EntryKind, digest
from pushreg.stores.directory import Directory


def authenticate(
    directory: Directory,
    session: Session,
    family: CredentialFamily,
    secret: str | None,
    check: Callable[[Credential], None],
    target: tuple[EntryKind, str] | None = None,
) -> Entry | None:
    """Return the target's directory entry, or None if there is none, once the caller is known and `check` has passed.

    UnauthenticatedError if the secret is missing, unknown or of another family; `check` raises for one that does not
    reach the target. A known and an unknown target cost a refused caller the same calls: both entries are read at
    once, or neither.
    """
    if not secret:
        raise UnauthenticatedError
    name: tuple[EntryKind, str] = ("credential", digest(secret))
    targets = () if target is None else (target,)
    credential = directory.get_cached(*name)
    entries: list[Entry | None] = []
    fresh = credential is None
    if fresh:
        credential, *entries = directory.find(session, name, *targets)
    if not isinstance(credential, Credential) or credential.family != family:
        raise UnauthenticatedError
    check(credential)
    if not fresh:
        entries = directory.find(session, *targets)
    return entries[0] if entries else None


def bearer(authorization: str | None) -> str | None:
    """Return the secret of an `Authorization: Bearer` header (RFC 6750), or None."""
    scheme, _, secret = (authorization or "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None
