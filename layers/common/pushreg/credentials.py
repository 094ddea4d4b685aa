"""Authenticates a caller: unknown, revoked and foreign secrets get the same answer and cost the same database calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pushreg.dynamodb import Session
from pushreg.errors import ForbiddenError, UnauthenticatedError
from pushreg.models.directory import Credential, CredentialFamily, Entry
from pushreg.schema import EntryName, digest
from pushreg.stores.directory import Directory
from pushreg.tokens import is_token

VerifyToken = Callable[[str], Sequence[Credential]]


def authenticate(
    directory: Directory,
    session: Session,
    family: CredentialFamily,
    secret: str | None,
    check: Callable[[Credential], None],
    target: EntryName | None = None,
    also: tuple[CredentialFamily, ...] = (),
    verify_token: VerifyToken | None = None,
) -> Entry | None:
    """Return the target's directory entry, or None if there is none, after the caller is authenticated and checked.

    UnauthenticatedError if the secret is missing, unknown or of a family other than `family` and those in `also`;
    `check` raises for a credential that does not permit the request. Credential and target are fetched in one batch,
    so a refused caller cannot learn from timing whether the target exists.

    With `verify_token` (`TokenVerifier.verify`) a signed token is accepted in place of a key, and permits what any of
    its credentials does. The target is looked up after the check.
    """
    if not secret:
        raise UnauthenticatedError
    targets = () if target is None else (target,)
    if verify_token is not None and is_token(secret):
        _check_any(verify_token(secret), check)
        entries = directory.find(session, *targets)
        return entries[0] if entries else None
    name: EntryName = ("credential", digest(secret))
    credential = directory.get_cached(*name)
    entries = []
    is_fresh = credential is None
    if is_fresh:
        credential, *entries = directory.find(session, name, *targets)
    if not isinstance(credential, Credential) or credential.family not in (family, *also):
        raise UnauthenticatedError
    check(credential)
    if not is_fresh:
        entries = directory.find(session, *targets)
    return entries[0] if entries else None


def _check_any(credentials: Sequence[Credential], check: Callable[[Credential], None]) -> None:
    """Return if one of the credentials, at least one, passes; else raise what the last was refused with."""
    *others, last = credentials
    for credential in others:
        try:
            check(credential)
        except ForbiddenError:
            continue
        return
    check(last)


def bearer(authorization: str | None) -> str | None:
    """Return the secret of an `Authorization: Bearer` header (RFC 6750), or None."""
    scheme, _, secret = (authorization or "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None
