"""Verifies signed tokens (JWT, RFC 7519) that callers present in place of API keys, with the keys in the directory."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, NamedTuple

from pushreg.codecs import json
from pushreg.dynamodb import Session
from pushreg.errors import ForbiddenError, MalformedError, UnauthenticatedError
from pushreg.models.directory import Credential, CredentialFamily, Issuer
from pushreg.schema import digest, is_account_id, is_kid
from pushreg.stores.directory import Directory

MAX_TOKEN = 8192
# Seconds by which the clock of an issuer may differ.
LEEWAY = 60
CACHE_ENTRIES = 1000
# The header is a JSON object, which begins with `ey` in base64url: a brace and a quote or blank.
_TOKEN = re.compile(r"ey[\w-]*\.[\w-]*\.[\w-]*", re.ASCII)
# `exp` and `nbf` are checked here, by the request's clock.
_OPTIONS: Any = {"require": ["exp"], "verify_exp": False, "verify_nbf": False, "verify_iat": False}


class VerifiedToken(NamedTuple):
    """What a token permits until it expires, as long as its issuer is the one that it was verified with."""

    issuer: Issuer
    expires_at: float
    credentials: tuple[Credential, ...]


class TokenVerifier:
    """Verifies tokens, and remembers each while the directory has its issuer cached: at most 60 s."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._verified: dict[str, VerifiedToken] = {}

    def verify(self, session: Session, family: CredentialFamily, token: str, epoch: int) -> tuple[Credential, ...]:
        """Return what the token permits: one credential for Kazoo, one for each mapped role for places.

        UnauthenticatedError if the token is malformed, expired at the epoch, not yet valid, for another audience, or
        not signed with the key and algorithm of a known issuer of the family; ForbiddenError if no role is mapped.
        Nothing but the issuer is read, and nothing at all for a token without a well-formed `kid`.
        """
        if len(token) > MAX_TOKEN:
            raise UnauthenticatedError
        token_digest = digest(token)
        verified = self._verified.get(token_digest)
        # By identity: a cached issuer that was read again may have changed, and a removed one is no longer cached.
        if verified is None or self._directory.get_cached("issuer", verified.issuer.kid) is not verified.issuer:
            verified = self._verify(session, family, token, epoch)
            if len(self._verified) >= CACHE_ENTRIES:
                self._verified = {}
            self._verified[token_digest] = verified
        if verified.issuer.family != family or verified.expires_at + LEEWAY <= epoch:
            raise UnauthenticatedError
        if not verified.credentials:
            raise ForbiddenError("No role of the token gives access")
        return verified.credentials

    def _verify(self, session: Session, family: CredentialFamily, token: str, epoch: int) -> VerifiedToken:
        try:
            header, claims = (_decode_part(part) for part in token.split(".")[:2])
        except MalformedError as error:
            raise UnauthenticatedError from error
        kid = header.get("kid")
        if not isinstance(kid, str) or not is_kid(kid):
            raise UnauthenticatedError
        (issuer,) = self._directory.find(session, ("issuer", kid))
        if not isinstance(issuer, Issuer) or issuer.family != family:
            raise UnauthenticatedError
        _check_signature(token, issuer)
        if _read_time(claims.get("nbf", 0)) - LEEWAY > epoch:
            raise UnauthenticatedError
        return VerifiedToken(issuer, _read_time(claims.get("exp")), tuple(_list_credentials(issuer, claims)))


def is_token(secret: str) -> bool:
    """Whether the secret has the form of a signed token: three parts in base64url, of which the last may be empty."""
    return secret.startswith("ey") and _TOKEN.fullmatch(secret) is not None


def _decode_part(part: str) -> dict[str, Any]:
    """Return the JSON object in the part; MalformedError if it is none, or repeats a member."""
    try:
        data = json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except binascii.Error as error:
        raise MalformedError("invalid base64url") from error
    if not isinstance(data, dict):
        raise MalformedError("no object")
    return data


def _check_signature(token: str, issuer: Issuer) -> None:
    # Imported by the first token: it takes 35 ms of CPU and 10 MB, which callers with API keys need not pay. Functions
    # without TokensLayer do not have it, and never verify a token (docs/decisions/signed-tokens.md#decision).
    import jwt  # noqa: PLC0415

    try:
        jwt.decode(
            token,
            issuer.public_key,
            algorithms=[issuer.algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            options=_OPTIONS,
        )
    except jwt.PyJWTError as error:
        raise UnauthenticatedError from error


def _read_time(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UnauthenticatedError
    return value


def _list_credentials(issuer: Issuer, claims: dict[str, Any]) -> list[Credential]:
    if issuer.family == "kazoo":
        account_id = claims.get("account_id")
        if not isinstance(account_id, str) or not is_account_id(account_id):
            raise UnauthenticatedError
        return [Credential(issuer.digest, "kazoo", "write", issuer.created_at, account_id=account_id)]
    roles = claims.get("roles")
    held = frozenset(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else frozenset()
    return [
        Credential(issuer.digest, "places", grant.scope, issuer.created_at, places=grant.places)
        for grant in issuer.grants
        if grant.role in held
    ]
